//! The declaration in its document.

use super::{Lifecycle, MistakeAt, Provider, Transition};
use crate::diagnostic::Diagnostic;
use crate::document::{Fields, Node, Reader};
use crate::environment::{JournalConfig, Objectives, StoreConfig};
use crate::journal::JOURNALS;
use crate::values::DurationText;

/// Reads `lifecycle` of a store whose URL has this scheme.
pub(in crate::environment) fn read(
    reader: &mut Reader,
    fields: &mut Fields<'_>,
    scheme: Option<&str>,
) -> Option<Lifecycle> {
    let entry = fields.take_entry("lifecycle")?;
    let provider = scheme.and_then(Provider::of_scheme);
    if scheme == Some("file") {
        reader.report(
            Diagnostic::new(
                "rekindle::environment::not_for_this_store",
                "`lifecycle` is carried out by the provider of a bucket, and this store is a folder",
            )
            .label(&entry.key_location(), "nobody would carry it out")
            .help("remove it, and let `backup.prune` thin out the backups"),
        );
        return None;
    }
    let lifecycle = read_fields(reader, &entry.value)?;
    for mistake in lifecycle.mistakes(provider?) {
        let node = node_at(&entry.value, mistake.at);
        let _: Option<()> = reader.wrong_value(node, mistake.message, mistake.help);
    }
    Some(lifecycle)
}

fn read_fields(reader: &mut Reader, node: &Node) -> Option<Lifecycle> {
    let mut fields = reader.fields(node, "`lifecycle`")?;
    let id = fields.take("id").map(|node| reader.filled_text(node, "`id`").map(str::to_owned));
    let prefix = fields.take("prefix").map(|node| reader.filled_text(node, "`prefix`").map(str::to_owned));
    let transitions = match fields.take("transitions") {
        Some(node) => reader.items(node, "`transitions`").map(|items| {
            // Each is read, so that every mistake is told.
            items.iter().map(|item| read_transition(reader, item)).collect::<Vec<_>>()
        }),
        None => Some(Vec::new()),
    };
    let expire = fields.take("expire").map(|node| reader.duration(node, "`expire`"));
    let noncurrent = fields.take("expire_noncurrent");
    let noncurrent = noncurrent.map(|node| reader.duration(node, "`expire_noncurrent`"));
    reader.close(&fields);
    Some(Lifecycle {
        id: sound(id)?,
        prefix: sound(prefix)?,
        transitions: transitions?.into_iter().collect::<Option<_>>()?,
        expire: sound(expire)?.map(DurationText),
        expire_noncurrent: sound(noncurrent)?.map(DurationText),
    })
}

/// Tells a field that is not there from one that is wrong: nothing more is said about a declaration with one.
#[expect(clippy::option_option)]
fn sound<T>(field: Option<Option<T>>) -> Option<Option<T>> {
    match field {
        Some(None) => None,
        Some(Some(value)) => Some(Some(value)),
        None => Some(None),
    }
}

fn read_transition(reader: &mut Reader, node: &Node) -> Option<Transition> {
    let mut fields = reader.fields(node, "a transition")?;
    let after = reader.require(&mut fields, "after").and_then(|node| reader.duration(node, "`after`"));
    let class = reader.require(&mut fields, "class").and_then(|node| reader.filled_text(node, "`class`"));
    reader.close(&fields);
    Some(Transition { after: DurationText(after?), class: class?.to_owned() })
}

fn node_at(lifecycle: &Node, at: MistakeAt) -> &Node {
    let transition = |place: usize, field| lifecycle.get("transitions")?.items()?.get(place)?.get(field);
    match at {
        MistakeAt::Whole => None,
        MistakeAt::Id => lifecycle.get("id"),
        MistakeAt::Prefix => lifecycle.get("prefix"),
        MistakeAt::After(place) => transition(place, "after"),
        MistakeAt::Class(place) => transition(place, "class"),
        MistakeAt::Expire => lifecycle.get("expire"),
        MistakeAt::ExpireNoncurrent => lifecycle.get("expire_noncurrent"),
    }
    .unwrap_or(lifecycle)
}

/// Reports rules under which a promise can't be kept: objects in a class that is read back too slowly, or deleted
/// too early. `node` is `stores:` as it is written.
pub(in crate::environment) fn hold_against(
    reader: &mut Reader,
    node: &Node,
    stores: &[(String, StoreConfig)],
    objectives: &Objectives,
) {
    for (name, store) in stores {
        let provider = store.url.split_once(':').and_then(|(scheme, _)| Provider::of_scheme(scheme));
        let (Some(lifecycle), Some(provider)) = (&store.lifecycle, provider) else { continue };
        let Some(at) = node.get(name).and_then(|store| store.get("lifecycle")) else { continue };
        for (place, transition) in lifecycle.transitions.iter().enumerate() {
            let class = node_at(at, MistakeAt::Class(place));
            if let Some(found) = too_slow(class, transition, provider, objectives) {
                reader.report(found);
            }
        }
        if let (Some(expire), Some(window)) = (lifecycle.expire, objectives.recovery_window)
            && expire < window
        {
            let _: Option<()> = reader.wrong_value(
                node_at(at, MistakeAt::Expire),
                format!(
                    "backups are deleted after {expire}, and `objectives.recovery_window` promises {window}"
                ),
                format!("write `{window}` or more, or promise less"),
            );
        }
    }
}

/// Reports rules that would take journals and locks of runs away: what lies below `runs/` of the journal's store.
/// `node` is `stores:` as it is written.
pub(in crate::environment) fn spare_journals(
    reader: &mut Reader,
    node: &Node,
    stores: &[(String, StoreConfig)],
    journal: &JournalConfig,
) {
    let Some((_, kept_in)) = stores.iter().find(|(name, _)| journal.store == name.as_str().into()) else {
        return;
    };
    let runs = format!("{}/{JOURNALS}", kept_in.url.trim_end_matches('/'));
    for (name, store) in stores.iter().filter(|(_, store)| store.endpoint == kept_in.endpoint) {
        let Some(lifecycle) = store.lifecycle.as_ref().filter(|lifecycle| lifecycle.moves_or_deletes())
        else {
            continue;
        };
        let prefix = lifecycle.prefix.as_deref().unwrap_or_default();
        let below = format!("{}/{prefix}", store.url.trim_end_matches('/'));
        let Some(at) = node.get(name).and_then(|store| store.get("lifecycle")) else { continue };
        if runs.starts_with(&below) || below.starts_with(&runs) {
            let _: Option<()> = reader.wrong_value(
                node_at(at, MistakeAt::Prefix),
                format!("it would take the journals and locks of runs, which lie in `{runs}`"),
                "say what it is about, as in `prefix: backups/`, or keep the journal in another store",
            );
        }
    }
}

/// Says that the RTO can't be met with backups of a class.
fn too_slow(
    class: &Node,
    transition: &Transition,
    provider: Provider,
    objectives: &Objectives,
) -> Option<Diagnostic> {
    let (rto, after) = (objectives.rto?, transition.after);
    let retrieval = DurationText(provider.retrieval(&transition.class));
    // Equal is too slow as well: what has been read back is still to be restored.
    if retrieval < rto || objectives.recovery_window.is_some_and(|window| window <= after) {
        return None;
    }
    let name = &transition.class;
    Some(
        Diagnostic::new(
            "rekindle::environment::rto_out_of_reach",
            format!(
                "what is in `{name}` can be read only after up to {retrieval}, and then restored: the RTO is {rto}"
            ),
        )
        .label(&class.location, format!("backups older than {after} would be there"))
        .help(format!(
            "use a class that is read at once (`GLACIER_IR`), or, if older backups need not meet the RTO, \
             say so: `objectives: {{ recovery_window: {after} }}`"
        )),
    )
}
