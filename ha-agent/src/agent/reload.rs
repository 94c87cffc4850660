//! A reload: the file is read again, and what is wrong with it changes nothing.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ha_common::election::Role;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{info, warn};

use super::running::Agent;
use super::{reload_costs, reload_summary};
use crate::config::model::{DatapathChoice, Instance};
use crate::config::{self, Config, Problem};
use crate::control::protocol::{ErrorKind, ErrorReply, Reloaded};
use crate::driver::Command;
use crate::driver::published::{InstanceStatus, PublishedStatus};
use crate::os::clock;

/// How long the driver may take for a new configuration; hundreds of devices that go take it seconds. Less than a client
/// waits for its answer.
const WAIT: Duration = Duration::from_secs(20);

/// How long a named datapath is waited for before the answer is that it is still on its way: the slowest cards take some
/// seconds.
const DATAPATH_WAIT: Duration = Duration::from_secs(5);

/// Reloads, logs what came of it, and keeps it for `status`; `force`: also if that costs an instance its part.
pub(super) async fn reload(agent: &Agent, force: bool) -> Result<Reloaded, ErrorReply> {
    let outcome = agent.reload_now(force).await;
    say(&outcome);
    let error = outcome.as_ref().err().cloned();
    *agent
        .last_reload
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = Some((clock::now(), error));
    outcome
}

impl Agent {
    /// What is said of more addresses than the kernel half was loaded for. They are held all the same.
    fn outgrown(&self, new: &Config) -> Option<String> {
        let room = self.reader.as_ref()?.room_for_held();
        let held: usize = new.instances.iter().map(|it| it.held().count()).sum();
        (held > usize::try_from(room).unwrap_or(usize::MAX)).then(|| {
            format!(
                "the file has {held} addresses, but the BPF maps have room for {room}: the others are not \
                 fenced if this host stalls as their master; restart the agent when convenient"
            )
        })
    }

    /// Whether an instance of the running configuration is in no FAULT.
    fn takes_part(&self, instance: &Instance) -> bool {
        let picture = self.published.picture();
        let view = picture
            .views
            .iter()
            .find(|it| it.config.name == instance.name);
        view.is_some_and(|view| view.role != Role::Fault)
    }

    /// Reads the file again; what is wrong with it changes nothing.
    async fn reload_now(&self, force: bool) -> Result<Reloaded, ErrorReply> {
        let _one_at_a_time = self.reloading.lock().await;
        let file = self.file.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&file))
            .await
            .map_err(|error| ErrorReply::new(ErrorKind::Failed, error.to_string()))?;
        let mut new = loaded.map_err(|error| ErrorReply {
            kind: ErrorKind::Config,
            message: format!("invalid configuration: {}", self.file.display()),
            details: error.lines(),
        })?;
        let (old, _) = self.config();
        let plan = config::plan(&old, &new);
        let costs = reload_costs::costs(&plan, &self.links.get(), |it| self.takes_part(it));
        if !costs.is_empty() && !force {
            return Err(ErrorReply {
                kind: ErrorKind::HostLacks,
                message:
                    "the reload would take an instance out for want of what this host does not have"
                        .to_owned(),
                details: costs,
            });
        }
        let changes = reload_summary::phrases(&plan);
        // It takes a restart, and until then each reload says so.
        new.node = old.node.clone();
        let mut warnings: Vec<String> = new.warnings.iter().map(Problem::one_line).collect();
        warnings.extend(self.outgrown(&new));
        warnings.extend(costs);
        let new = Arc::new(new);
        if let Some(checks) = self.checks.lock().await.as_mut() {
            checks
                .apply(new.checks.clone())
                .await
                .map_err(|error| ErrorReply::new(ErrorKind::Config, error.to_string()))?;
        }
        let before = self.published.picture();
        let (done, taken) = oneshot::channel();
        if !self.handle.tell(Command::Reload(Arc::clone(&new), done)) {
            return Err(ErrorReply::new(ErrorKind::Failed, "the driver has ended"));
        }
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = (new, clock::now());
        if !matches!(timeout(WAIT, taken).await, Ok(Ok(()))) {
            let message = format!(
                "the driver hangs: it has not taken the configuration within {} s; it will as soon as it can",
                WAIT.as_secs()
            );
            return Err(ErrorReply::new(ErrorKind::Failed, message));
        }
        warnings.extend(self.await_datapaths().await);
        Ok(Reloaded {
            changes,
            warnings,
            faults: faults(&before, &self.published.picture()),
        })
    }

    /// Programs come and go in their own time, and what is refused then is an instance in FAULT. Says which instances
    /// still receive by another datapath than the one that is asked for when that takes longer than is waited.
    async fn await_datapaths(&self) -> Vec<String> {
        let mut changes = self.changes.clone();
        let decided = async {
            while !underway(&self.published.picture()).is_empty() {
                // Without news of changes there is nothing to wait for.
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        // What is still on its way is said.
        let _ = timeout(DATAPATH_WAIT, decided).await;
        underway(&self.published.picture())
    }
}

/// The instances that are to receive by a named datapath, and neither do yet nor are in FAULT for it.
fn underway(picture: &PublishedStatus) -> Vec<String> {
    let of_one = |view: &Arc<InstanceStatus>| {
        let DatapathChoice::Only(wanted) = view.config.datapath else {
            return None;
        };
        let runs = view.datapath.as_ref().map(|it| it.reception.datapath);
        if view.switched.is_some() || view.role == Role::Fault || runs == Some(wanted) {
            return None;
        }
        let name = &view.config.name;
        let now = runs.map_or("nothing", |it| it.title());
        Some(format!(
            "instance {name}: datapath {} is not ready after {} s, it receives by {now} until then; \
             `ha-agent status {name}` shows the progress",
            wanted.name(),
            DATAPATH_WAIT.as_secs()
        ))
    };
    picture.views.iter().filter_map(of_one).collect()
}

/// The instances that are in FAULT now and were not before, or for another reason.
fn faults(before: &PublishedStatus, after: &PublishedStatus) -> Vec<String> {
    let is_faulty = |it: &&Arc<InstanceStatus>| it.role == Role::Fault;
    let was = |it: &&Arc<InstanceStatus>| {
        let mut earlier = before.views.iter().filter(is_faulty);
        earlier.any(|old| old.config.name == it.config.name && old.reason == it.reason)
    };
    let new = after.views.iter().filter(is_faulty).filter(|it| !was(it));
    new.map(|it| {
        let reason = it.reason.as_deref().unwrap_or("no reason is known");
        format!("instance {} is in FAULT: {reason}", it.config.name)
    })
    .collect()
}

fn say(outcome: &Result<Reloaded, ErrorReply>) {
    match outcome {
        Ok(reloaded) if reloaded.changes.is_empty() => info!("reloaded: nothing changed"),
        Ok(reloaded) => info!("reloaded: {}", reloaded.changes.join("; ")),
        Err(error) => {
            let stays = match error.kind {
                ErrorKind::Config | ErrorKind::HostLacks => {
                    ", the running configuration stays in force"
                }
                _ => "",
            };
            warn!("reload failed{stays}: {}", error.message);
            for line in &error.details {
                warn!("{line}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    /// Published instances: name, state and reason.
    fn published(instances: &[(&str, Role, &str)]) -> PublishedStatus {
        let view = |(number, (name, role, reason)): (usize, &(&str, Role, &str))| {
            let text = format!(
                "[[instance]]\nname = \"{name}\"\ninterface = \"eth0\"\nvrid = {}\naddresses = [\"10.99.0.1\"]\n",
                number + 1
            );
            let config = parse("test.toml", &text).unwrap().instances.remove(0);
            let mut status = InstanceStatus::new(Arc::new(config));
            status.role = *role;
            status.reason = Some((*reason).to_owned());
            Arc::new(status)
        };
        PublishedStatus {
            views: instances.iter().enumerate().map(view).collect(),
            ..PublishedStatus::default()
        }
    }

    #[test]
    fn only_what_a_reload_has_put_in_fault_is_said() {
        let before = published(&[
            ("old", Role::Fault, "check nginx failed"),
            ("other", Role::Fault, "check nginx failed"),
            ("web", Role::Master, ""),
            ("mail", Role::Backup, ""),
        ]);
        let after = published(&[
            ("old", Role::Fault, "check nginx failed"),
            ("other", Role::Fault, "no such interface"),
            ("web", Role::Fault, "no such interface"),
            ("mail", Role::Backup, ""),
            ("new", Role::Fault, "all slots are in use"),
            ("fine", Role::Initialize, ""),
        ]);
        assert_eq!(
            faults(&before, &after),
            [
                "instance other is in FAULT: no such interface",
                "instance web is in FAULT: no such interface",
                "instance new is in FAULT: all slots are in use",
            ]
        );
        assert_eq!(faults(&after, &after), [""; 0]);
    }

    #[test]
    fn a_named_datapath_is_waited_for_unless_it_is_refused_or_a_command_counts() {
        let text = "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\naddresses = [\"10.99.0.1\"]\n\
                    datapath = \"native\"\n";
        let config = parse("test.toml", text).unwrap().instances.remove(0);
        let mut view = InstanceStatus::new(Arc::new(config));
        let said = |view: &InstanceStatus| {
            underway(&PublishedStatus {
                views: vec![Arc::new(view.clone())],
                ..PublishedStatus::default()
            })
        };
        let [one] = &said(&view)[..] else { panic!() };
        assert!(
            one.contains("datapath native is not ready after 5 s"),
            "{one}"
        );
        view.role = Role::Fault;
        assert_eq!(said(&view), [""; 0]);
        view.role = Role::Backup;
        view.switched = Some(DatapathChoice::Auto);
        assert_eq!(said(&view), [""; 0]);
        assert_eq!(
            underway(&published(&[("auto", Role::Initialize, "")])),
            [""; 0]
        );
    }
}
