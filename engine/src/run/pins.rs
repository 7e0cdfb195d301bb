//! Is a kind still what the plan was made with? Receives what the plan says and what is there, yields what is wrong.

use crate::plan::Origin;
use crate::step::{KindInfo, Problem};

/// Finds fault with a kind that is carried out by another file than the plan says. Kinds that are part of this
/// program have no digest: their versions are in the plan, and resuming with a newer program is allowed.
pub(super) fn changed(origin: &Origin, info: &KindInfo) -> Option<Problem> {
    let planned = origin.kinds.get(&info.kind)?;
    let (then, now) = (planned.digest.as_ref()?, info.digest.as_ref());
    if now == Some(then) {
        return None;
    }
    let now = now.map_or("it is part of this program".to_owned(), |now| {
        format!("now it is version {}, sha256 {now}", info.version)
    });
    Some(Problem {
        code: "rekindle::plugin::changed",
        message: format!(
            "it was changed since the plan was made: then it was version {}, sha256 {then}, {now}",
            planned.version
        ),
        help: Some("put back the one that the plan was made with, or start a new run".to_owned()),
        pointer: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::KindIdentity;
    use crate::step::{Effect, Registry};
    use crate::testing::ScriptedStep;

    fn told(then: Option<&str>, now: Option<&str>) -> Option<String> {
        let mut registry = Registry::default();
        ScriptedStep::new("acme.a", Effect::Write).register(&mut registry);
        let mut info = registry.get("acme.a").unwrap().info().clone();
        info.digest = now.map(str::to_owned);
        info.version = "2.0.0".to_owned();
        let identity = KindIdentity { version: "1.0.0".to_owned(), digest: then.map(str::to_owned) };
        let origin = Origin { kinds: [("acme.a".to_owned(), identity)].into(), ..Origin::default() };
        changed(&origin, &info).map(|problem| problem.message)
    }

    #[test]
    fn another_file_is_refused_and_another_version_of_this_program_is_not() {
        assert_eq!(told(Some("aa"), Some("aa")), None);
        assert_eq!(told(None, None), None);
        insta::assert_snapshot!(told(Some("aa"), Some("bb")).unwrap(), @"it was changed since the plan was made: then it was version 1.0.0, sha256 aa, now it is version 2.0.0, sha256 bb");
        insta::assert_snapshot!(told(Some("aa"), None).unwrap(), @"it was changed since the plan was made: then it was version 1.0.0, sha256 aa, it is part of this program");
    }

    #[test]
    fn a_plan_of_the_first_format_pins_nothing() {
        let mut registry = Registry::default();
        ScriptedStep::new("acme.a", Effect::Write).register(&mut registry);
        assert_eq!(changed(&Origin::default(), registry.get("acme.a").unwrap().info()), None);
    }
}
