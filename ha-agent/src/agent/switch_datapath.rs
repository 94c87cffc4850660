//! The control command `datapath`: tells the driver, and waits for what comes of it.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{info, warn};

use super::running::Agent;
use super::status::datapath::{overridden, received};
use crate::config::model::DatapathChoice;
use crate::control::protocol::{ErrorKind, ErrorReply, Switched, quote};
use crate::driver::Command;
use crate::driver::switch::{Answer, SwitchError};

/// How long a program may take to come or to go before the answer is that it is still on its way: the
/// slowest cards take some seconds.
const WAIT: Duration = Duration::from_secs(5);

/// How much of an unknown name an error quotes, in characters.
const MAX_QUOTE: usize = 40;

/// Receives the adverts of an instance by another datapath, and logs what came of it.
pub(super) async fn datapath(
    agent: &Agent,
    instance: &str,
    choice: DatapathChoice,
) -> Result<Switched, ErrorReply> {
    let switched = switch(agent, instance, choice).await;
    match &switched {
        Ok(switched) => {
            let because = &switched.datapath.because;
            info!(
                "{instance}: datapath {} by command: {because}",
                choice.name()
            );
        }
        Err(error) => warn!("{}", error.message),
    }
    switched
}

async fn switch(
    agent: &Agent,
    instance: &str,
    choice: DatapathChoice,
) -> Result<Switched, ErrorReply> {
    let failed = |message: String| ErrorReply::new(ErrorKind::Failed, message);
    let (answer, answered) = oneshot::channel();
    let told = agent.handle.tell(Command::Datapath {
        instance: instance.to_owned(),
        choice,
        answer,
    });
    if !told {
        return Err(failed("the driver has ended".to_owned()));
    }
    match timeout(WAIT, answered).await {
        Ok(Ok(answer)) => reply(instance, choice, answer),
        Ok(Err(_)) => Err(failed(format!(
            "a reload removed instance {instance} in the meantime"
        ))),
        Err(_) => Err(failed(undecided(agent, instance, choice))),
    }
}

fn reply(instance: &str, choice: DatapathChoice, answer: Answer) -> Result<Switched, ErrorReply> {
    let name = choice.name();
    match answer {
        Ok(switched) => {
            let by_command =
                (choice != switched.configured).then(|| overridden(choice, switched.configured));
            Ok(Switched {
                instance: instance.to_owned(),
                interface: switched.interface,
                datapath: received(&switched.reception, by_command),
                program: switched.program,
            })
        }
        Err(SwitchError::Unknown(names)) => Err(ErrorReply::new(
            ErrorKind::UnknownInstance,
            format!(
                "no such instance: \"{}\"; configured: {}",
                quote(instance, MAX_QUOTE),
                names.join(", ")
            ),
        )),
        Err(SwitchError::Refused(why)) => Err(ErrorReply::new(
            ErrorKind::Failed,
            format!("{instance} cannot use datapath {name} and keeps its current one: {why}"),
        )),
        Err(SwitchError::Overtaken) => Err(ErrorReply::new(
            ErrorKind::Failed,
            format!("another command or a reload set the datapath of {instance} in the meantime"),
        )),
    }
}

/// What is said while nothing has come of it: the interface is not there, or a card takes its time.
fn undecided(agent: &Agent, instance: &str, choice: DatapathChoice) -> String {
    let picture = agent.published.picture();
    let view = picture.views.iter().find(|it| it.config.name == instance);
    let reason = view.and_then(|view| view.reason.clone());
    let runs = view.and_then(|view| Some(view.datapath.as_ref()?.reception.datapath.title()));
    format!(
        "datapath {} of {instance} is set but not ready after {} s ({}); it receives by {} now; `ha-agent \
         status {instance}` shows the progress",
        choice.name(),
        WAIT.as_secs(),
        reason
            .as_deref()
            .unwrap_or("the interface's programs are still being attached"),
        runs.unwrap_or("nothing"),
    )
}
