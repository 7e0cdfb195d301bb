//! `journal:`: where runs keep plans, journals and locks.

use super::JournalConfig;
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Node, Reader};

/// Reads it; `stores` are the names it may refer to.
pub(super) fn read(reader: &mut Reader, node: &Node, stores: &[&str]) -> Option<JournalConfig> {
    let mut fields = reader.fields(node, "`journal`")?;
    let store = reader.require(&mut fields, "store");
    reader.close(&fields);
    let store = store?;
    let name = reader.text(store, "`store`")?;
    if !stores.contains(&name) {
        let help = match nearest(name, stores.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("declare it: `stores: {{ {name}: {{ url: \"s3://bucket/prefix\" }} }}`"),
        };
        reader.report(
            Diagnostic::new("rekindle::environment::unknown_store", format!("there is no store `{name}`"))
                .label(&store.location, "not declared under `stores:`")
                .help(help),
        );
        return None;
    }
    Some(JournalConfig { store: name.into() })
}
