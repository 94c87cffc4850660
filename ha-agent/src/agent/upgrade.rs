//! `upgrade`: the program that is installed now takes the place of the one that runs, in the same process; `hand-over`:
//! the service manager starts it in the next one.
//!
//! It is the way back from a crash, on purpose and without the pause before the restart: the addresses stay, the slots in
//! the pinned maps say master, and the new program carries on from both. What it cannot carry on from is refused, and so
//! is a program that rejects the configuration: it would end, and the service with it.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs, io};

use ha_common::election::Role;
use tracing::info;

use super::ending::Ending;
use super::exit::Exit;
use super::failure::Failure;
use super::running::Agent;
use crate::checks;
use crate::control::protocol::{ErrorKind, ErrorReply, Upgrading};
use crate::control::server::Successor;
use crate::driver::published::InstanceStatus;
use crate::os::descriptors;

/// How long the new program may take to check the configuration.
const CHECK_WAIT: Duration = Duration::from_secs(10);

/// How the kernel calls a program whose file was replaced (proc(5), `/proc/PID/exe`).
const REPLACED: &[u8] = b" (deleted)";

/// Finds out whether the installed program can carry on, and has the agent end for it.
pub(super) async fn upgrade(agent: &Agent, by: Successor) -> Result<Upgrading, ErrorReply> {
    let refused = |message: String| ErrorReply::new(ErrorKind::Failed, message);
    if let Err(why) = &agent.pins {
        return Err(refused(format!(
            "a new program could not carry on, because the maps are not pinned: {why}; restart the service instead"
        )));
    }
    let picture = agent.published.picture();
    if let Some(view) = picture.views.iter().find(|view| is_lost(view)) {
        return Err(refused(format!(
            "{} is MASTER by a plain socket, which leaves nothing to carry on from; restart the service instead",
            view.config.name
        )));
    }
    let program = installed().map_err(|error| refused(error.to_string()))?;
    takes_configuration(&program, &agent.file).await?;
    let ending = match by {
        Successor::SameProcess => Ending::Upgrade(program.clone()),
        Successor::NextProcess => Ending::HandedOver,
    };
    info!("{} carries on", program.display());
    agent.ending.send_replace(Some(ending));
    Ok(Upgrading { program })
}

/// Whether an instance would not be master any more.
fn is_lost(view: &InstanceStatus) -> bool {
    let datapath = view.datapath.as_ref();
    view.role == Role::Master && datapath.is_some_and(|it| it.soft.is_some())
}

/// The file that this program was started from, as it is now.
fn installed() -> io::Result<PathBuf> {
    let link = fs::read_link("/proc/self/exe")?.into_os_string().into_vec();
    let path = link.strip_suffix(REPLACED).unwrap_or(&link);
    Ok(PathBuf::from(OsStr::from_bytes(path)))
}

async fn takes_configuration(program: &Path, file: &Path) -> Result<(), ErrorReply> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let command = [text(program), "check-config".to_owned(), text(file)];
    let output = match checks::run_once(&command, CHECK_WAIT).await {
        Ok((true, _)) => return Ok(()),
        Ok((false, output)) => output,
        Err(why) => why,
    };
    Err(ErrorReply {
        kind: ErrorKind::Config,
        message: format!(
            "{} rejects {}; the running agent stays as it is: correct the file, and try again",
            program.display(),
            file.display()
        ),
        details: vec![output],
    })
}

/// Becomes that program. Returns only if that fails.
pub(super) fn become_program(program: &Path) -> Failure {
    descriptors::restore();
    let error = Command::new(program).args(env::args_os().skip(1)).exec();
    Failure::text(
        Exit::General,
        format!("cannot execute {}: {error}", program.display()),
    )
}
