//! Who sits at the keyboard, as far as that can be told.

use crate::failure::Failure;

/// More is no name.
const LONGEST_NAME: usize = 100;

/// A person who decides or answers. The name is what the environment or they themselves say: it tells people who
/// mean well apart, and proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    /// `SUDO_USER`, `USER`, `LOGNAME` or what was stated.
    pub(crate) name: String,
    /// What the kernel says: `uid 1000 on db-1`.
    pub(crate) from: String,
}

impl Person {
    /// Finds out who it is; `stated` wins, for people who share an account.
    pub(crate) fn here(stated: Option<&str>) -> Result<Self, Failure> {
        let uid = rustix::process::getuid().as_raw();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let name = match stated {
            Some(name) => checked(name)?,
            None => named(|variable| std::env::var(variable).ok(), uid),
        };
        Ok(Self { name, from: format!("uid {uid} on {host}") })
    }
}

/// Under `sudo`, `USER` is the account that was changed to: who typed it is in `SUDO_USER`.
fn named(variable: impl Fn(&str) -> Option<String>, uid: u32) -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .filter_map(variable)
        .find_map(|name| checked(&name).ok())
        .unwrap_or_else(|| format!("user id {uid}"))
}

fn checked(name: &str) -> Result<String, Failure> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(Failure::input(format!("`{}` is no name", name.escape_debug()))
            .help(format!("a name has 1 to {LONGEST_NAME} characters, all of them printable")));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{checked, named};

    #[test]
    fn whoever_typed_sudo_is_named_before_the_account_they_changed_to() {
        let set = |pairs: &'static [(&str, &str)]| {
            move |wanted: &str| {
                pairs.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
            }
        };
        assert_eq!(named(set(&[("USER", "root"), ("SUDO_USER", "kim")]), 0), "kim");
        assert_eq!(named(set(&[("LOGNAME", "ana"), ("USER", "")]), 7), "ana");
        assert_eq!(named(set(&[]), 7), "user id 7");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "  ", "a\nb", "\u{1b}[2J", &"x".repeat(101)] {
            assert!(checked(name).is_err(), "{name:?}");
        }
        assert_eq!(checked(" Kim Lee ").unwrap(), "Kim Lee");
    }
}
