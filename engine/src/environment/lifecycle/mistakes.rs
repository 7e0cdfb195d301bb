//! What a provider would refuse, or would do otherwise than it reads.

use super::classes::Class;
use super::{DAY_SECONDS, Lifecycle, Provider, Transition};
use crate::diagnostic::nearest;
use crate::host::Key;
use crate::values::DurationText;

/// Something wrong with a declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub at: MistakeAt,
    /// What.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// A part of a declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MistakeAt {
    /// All of it.
    Whole,
    /// `id`
    Id,
    /// `prefix`
    Prefix,
    /// `transitions[N].after`
    After(usize),
    /// `transitions[N].class`
    Class(usize),
    /// `expire`
    Expire,
    /// `expire_noncurrent`
    ExpireNoncurrent,
}

/// Amazon S3 API Reference, `LifecycleRule`; less what is put behind it for the rule about leftovers.
const MAX_ID: usize = 200;
/// No provider counts further than a century for backups.
const MAX_DAYS: u64 = 36_500;

impl Lifecycle {
    /// Finds everything that is wrong with it.
    pub fn mistakes(&self, provider: Provider) -> Vec<Mistake> {
        let mut found = Found(Vec::new());
        if self.transitions.is_empty() && self.expire.is_none() && self.expire_noncurrent.is_none() {
            let help = "give `transitions`, `expire` or `expire_noncurrent`, or leave `lifecycle` out";
            found.add(MistakeAt::Whole, "`lifecycle` says nothing", help);
        }
        self.check_id(provider, &mut found);
        self.check_prefix(&mut found);
        let mut before: Option<(&Transition, usize, &Class)> = None;
        for (place, transition) in self.transitions.iter().enumerate() {
            if !found.days(MistakeAt::After(place), "`after`", transition.after) {
                continue;
            }
            let Some((rank, class)) = found.class(provider, place, transition) else { continue };
            found.age(place, transition, class);
            if let Some(before) = before {
                found.order(place, before, (transition, rank, class));
            }
            before = Some((transition, rank, class));
        }
        if let Some(expire) = self.expire
            && found.days(MistakeAt::Expire, "`expire`", expire)
            && let Some(last) = self.transitions.iter().max_by_key(|transition| transition.after)
            && expire <= last.after
        {
            found.add(
                MistakeAt::Expire,
                format!("objects are deleted after {expire}, before they are moved to `{}`", last.class),
                format!("write more than {}, or leave that transition out", last.after),
            );
        }
        if let Some(age) = self.expire_noncurrent {
            found.days(MistakeAt::ExpireNoncurrent, "`expire_noncurrent`", age);
        }
        found.0
    }

    fn check_id(&self, provider: Provider, found: &mut Found) {
        let Some(id) = &self.id else { return };
        if provider == Provider::Gcs {
            let help = "leave it out: rules of Google are known again by their prefix";
            found.add(MistakeAt::Id, "rules of Google Cloud Storage have no IDs", help);
        } else if id.is_empty() || id.len() > MAX_ID || id.chars().any(char::is_control) {
            let help = format!("write 1 to {MAX_ID} characters of plain text");
            found.add(MistakeAt::Id, "it is no ID of a rule", help);
        }
    }

    fn check_prefix(&self, found: &mut Found) {
        let Some(prefix) = &self.prefix else { return };
        let folder = prefix.strip_suffix('/');
        if folder.is_some_and(|folder| Key::new(folder).is_ok()) {
            return;
        }
        let help = if folder.is_none() && Key::new(prefix.as_str()).is_ok() {
            format!("write `{prefix}/`: without the slash, other names that begin so would be meant too")
        } else {
            "write the objects' folder below the store's URL, as in `backups/shop/`".to_owned()
        };
        found.add(MistakeAt::Prefix, format!("`{prefix}` is no folder of a store"), help);
    }
}

struct Found(Vec<Mistake>);

impl Found {
    fn add(&mut self, at: MistakeAt, message: impl Into<String>, help: impl Into<String>) {
        self.0.push(Mistake { at, message: message.into(), help: help.into() });
    }

    /// Tells whether an age is one that a provider can count.
    fn days(&mut self, at: MistakeAt, what: &str, age: DurationText) -> bool {
        let whole = age.0.as_secs().is_multiple_of(DAY_SECONDS) && age.0.subsec_nanos() == 0;
        let days = Lifecycle::days(age);
        if whole && (1..=MAX_DAYS).contains(&days) {
            return true;
        }
        let message = if whole && days > 0 {
            format!("{what}: {age} is more than a century")
        } else {
            format!("{what}: {age} is no whole number of days, and providers count in days")
        };
        self.add(at, message, "write days, as in `30d`");
        false
    }

    fn class(
        &mut self,
        provider: Provider,
        place: usize,
        transition: &Transition,
    ) -> Option<(usize, &'static Class)> {
        let class = provider.class(&transition.class);
        if class.is_none() {
            let names = provider.classes().iter().map(|class| class.name);
            let help = match nearest(&transition.class, names.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "write one of: {}",
                    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
                ),
            };
            let message = format!("objects can't be moved to a class `{}`", transition.class);
            self.add(MistakeAt::Class(place), message, help);
        }
        class
    }

    fn age(&mut self, place: usize, transition: &Transition, class: &Class) {
        if Lifecycle::days(transition.after) < class.least_age_days {
            let least = class.least_age_days;
            self.add(
                MistakeAt::After(place),
                format!("objects must be {least} days old before S3 moves them to `{}`", class.name),
                format!("write `{least}d` or more"),
            );
        }
    }

    fn order(
        &mut self,
        place: usize,
        (before, before_rank, before_class): (&Transition, usize, &Class),
        (transition, rank, class): (&Transition, usize, &Class),
    ) {
        if transition.after <= before.after {
            let message =
                format!("{} does not come after {} of the one before", transition.after, before.after);
            self.add(MistakeAt::After(place), message, "put the transitions in the order of their ages");
        } else if rank <= before_rank {
            let message = format!("objects can't be moved from `{}` to `{}`", before_class.name, class.name);
            let help = "move them to colder and colder classes only: there is no way back";
            self.add(MistakeAt::Class(place), message, help);
        } else {
            let stay = Lifecycle::days(transition.after) - Lifecycle::days(before.after);
            let least = before_class.least_stay_days;
            if stay < least {
                let earliest = Lifecycle::days(before.after) + least;
                self.add(
                    MistakeAt::After(place),
                    format!("objects stay in `{}` for {least} days at least", before_class.name),
                    format!("write `{earliest}d` or more"),
                );
            }
        }
    }
}
