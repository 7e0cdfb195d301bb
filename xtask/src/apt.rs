//! Programs of the operating system: receives which are needed, yields them installed, or says what to install.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use crate::stage::{Failure, Stage};

/// A program and the Debian package that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needed {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

/// What the tests with a real MariaDB need.
pub(crate) const MARIADB: [Needed; 6] = [
    Needed { program: "mariadbd", package: "mariadb-server" },
    Needed { program: "mariadb-install-db", package: "mariadb-server" },
    Needed { program: "mariadb-dump", package: "mariadb-client" },
    Needed { program: "mariadb-backup", package: "mariadb-backup" },
    Needed { program: "mbstream", package: "mariadb-backup" },
    Needed { program: "setsid", package: "util-linux" },
];

/// Installs packages without starting what is in them. `invoke-rc.d` asks `policy-rc.d` and 101 forbids
/// (Debian Policy 9.3.3); one that is there already is the administrator's word and stays. The trap takes ours
/// away again, also after Ctrl-C.
const INSTALL_SCRIPT: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends "$@"
"#;

/// How this user becomes root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rights {
    Root,
    Sudo,
    /// `sudo -n`: nobody is there to type a password.
    SudoWithoutQuestion,
    None,
}

/// Installs what is missing of `needed`.
///
/// # Errors
/// When something is missing and can't be installed: the message names the packages.
pub(crate) fn ensure(needed: &[Needed]) -> Result<(), Failure> {
    let folders = folders();
    let packages = missing_packages(needed, |program| folders.iter().any(|dir| dir.join(program).is_file()));
    if packages.is_empty() { Ok(()) } else { install(&packages) }
}

/// Installs packages.
///
/// # Errors
/// When they can't be installed: the message names them.
pub(crate) fn install(packages: &[&str]) -> Result<(), Failure> {
    let folders = folders();
    let have = |program: &str| folders.iter().any(|dir| dir.join(program).is_file());
    if !have("apt-get") {
        return Err(by_hand(packages, "this is no Debian"));
    }
    let script = ["sh", "-eu", "-c", INSTALL_SCRIPT, "install"].into_iter().chain(packages.iter().copied());
    let stage =
        match rights(rustix::process::geteuid().is_root(), have("sudo"), std::io::stdin().is_terminal()) {
            Rights::Root => Stage::new("sh", script.skip(1)),
            Rights::Sudo => Stage::new("sudo", script),
            Rights::SudoWithoutQuestion => Stage::new("sudo", std::iter::once("-n").chain(script)),
            Rights::None => return Err(by_hand(packages, "you are not root and there is no sudo")),
        };
    println!("\n==> installing {}", packages.join(" "));
    stage.run_unnamed().map_err(|failure| Failure {
        code: failure.code,
        ..by_hand(packages, "apt-get did not manage to, see above")
    })
}

fn rights(is_root: bool, has_sudo: bool, has_terminal: bool) -> Rights {
    match (is_root, has_sudo, has_terminal) {
        (true, _, _) => Rights::Root,
        (false, true, true) => Rights::Sudo,
        (false, true, false) => Rights::SudoWithoutQuestion,
        (false, false, _) => Rights::None,
    }
}

fn by_hand(packages: &[&str], why: &str) -> Failure {
    let packages = packages.join(" ");
    Failure::new(format!(
        "missing packages: {packages}; they could not be installed: {why}\n\
         install them (on Debian: apt-get install --no-install-recommends {packages}), \
         or leave the tests out that need them: cargo xtask test --without-servers"
    ))
}

fn missing_packages(needed: &[Needed], is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages: Vec<&'static str> =
        needed.iter().filter(|needed| !is_there(needed.program)).map(|needed| needed.package).collect();
    packages.dedup();
    packages
}

/// `PATH`, and the folders of servers, which are not on every user's `PATH`.
fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/sbin", "/usr/local/sbin"].map(|dir| Path::new(dir).to_owned());
    std::env::split_paths(&path).chain(servers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_once_and_only_when_something_of_it_is_missing() {
        assert_eq!(missing_packages(&MARIADB, |_| true), [""; 0]);
        assert_eq!(
            missing_packages(&MARIADB, |_| false),
            ["mariadb-server", "mariadb-client", "mariadb-backup", "util-linux"]
        );
        assert_eq!(missing_packages(&MARIADB, |program| program != "mariadb-dump"), ["mariadb-client"]);
    }

    #[test]
    fn nobody_is_asked_for_a_password_without_a_terminal() {
        assert_eq!(rights(true, true, true), Rights::Root);
        assert_eq!(rights(false, true, true), Rights::Sudo);
        assert_eq!(rights(false, true, false), Rights::SudoWithoutQuestion);
        assert_eq!(rights(false, false, true), Rights::None);
    }

    #[test]
    fn who_can_not_install_is_told_the_packages_and_the_way_around() {
        let failure = by_hand(&["mariadb-server"], "you are not root and there is no sudo");
        assert!(failure.message.contains("apt-get install --no-install-recommends mariadb-server"));
        assert!(failure.message.contains("--without-servers"));
    }
}
