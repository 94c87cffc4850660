//! `[node]`.

use super::parse_names;
use super::table::Field;
use crate::config::model::{LogFormat, Node};

const DEFAULT_MAX_SLOTS: u32 = 4096;

/// Reads the section, which may be absent.
pub(crate) fn read(field: Option<Field<'_>>) -> Option<Node> {
    let Some(field) = field else {
        return Some(Node {
            name: host_name(),
            log_format: LogFormat::default(),
            max_slots: DEFAULT_MAX_SLOTS,
        });
    };
    let mut table = field.table()?;
    let name = table.optional("name", None, |f| parse_names::name(f).map(Some));
    let log_format = table.optional("log_format", LogFormat::default(), |f| {
        f.choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)])
    });
    let max_slots = table.optional("max_slots", DEFAULT_MAX_SLOTS, |f| {
        u32::try_from(f.integer(" virtual routers")?).ok()
    });
    table.finish();
    Some(Node {
        name: name?.into_inner().unwrap_or_else(host_name),
        log_format: log_format?.into_inner(),
        max_slots: max_slots?.into_inner(),
    })
}

/// The host name, or a name that says that there is none: it only labels logs and metrics.
fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .filter(|name| parse_names::is_name(name))
        .unwrap_or_else(|| "unnamed".to_owned())
}
