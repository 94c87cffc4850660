//! `datapath`.

use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;

use super::ask::unexpected;
use super::output::{Output, json};
use crate::agent::failure::Failure;
use crate::config::model::DatapathChoice;
use crate::control::client::Client;
use crate::control::protocol::{Command, Reply, Switched};

/// Options of `datapath`.
#[derive(Clone, Debug, clap::Args)]
pub struct DatapathOptions {
    /// Instance name
    #[arg(value_name = "INSTANCE")]
    pub instance: String,
    /// Datapath that receives its adverts
    #[arg(
        value_name = "DATAPATH",
        value_parser = PossibleValuesParser::new(DatapathChoice::ALL.map(DatapathChoice::name))
            .try_map(|name| DatapathChoice::named(&name).ok_or("unknown datapath")),
    )]
    pub datapath: DatapathChoice,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `ha-agent help datapath` says beside the options.
pub(super) const HELP: &str = "\
The instance keeps its state: a master stays master. A datapath that is not available is
rejected, with the reason, and the instance keeps its current one.

The choice lasts until a reload changes `datapath` of this instance, or the agent ends. Choosing
the configured datapath ends it at once.

In an emergency, `ha-agent datapath INSTANCE socket` moves the instance from the BPF program to
a plain socket at once. The program is detached when no other instance on the interface needs it.";

/// Has an instance receive by another datapath and says what runs.
pub(super) fn datapath(runtime_dir: &Path, options: &DatapathOptions) -> Result<(), Failure> {
    let reply = Client::connect(runtime_dir)?.ask(&Command::Datapath {
        instance: options.instance.clone(),
        datapath: options.datapath,
    })?;
    let Reply::Datapath(switched) = reply else {
        return Err(unexpected());
    };
    let mut output = Output::new();
    let text = if options.json {
        json(&*switched, output.is_terminal())?
    } else {
        text(&switched)
    };
    output.write(&text).map(|_| ())
}

fn text(switched: &Switched) -> String {
    let Switched {
        instance,
        interface,
        datapath,
        program,
    } = switched;
    let kind = datapath.kind.map_or("nothing", |kind| kind.title());
    let mut lines = vec![format!(
        "{instance} receives by {kind}: {}",
        datapath.because
    )];
    lines.extend(datapath.notes.iter().cloned());
    for refusal in &datapath.why {
        lines.push(format!("not {}: {}", refusal.kind.title(), refusal.reason));
    }
    if datapath.link.is_none() {
        lines.push(if *program {
            format!("our program stays on {interface} for another instance")
        } else {
            format!("no program of ours is on {interface}")
        });
    }
    if let Some(by_command) = &datapath.overridden {
        lines.push(format!(
            "this lasts until a reload changes `datapath` of {instance}, or the agent ends; `ha-agent datapath \
             {instance} {}` ends it now",
            by_command.configured
        ));
    }
    lines.join("\n") + "\n"
}
