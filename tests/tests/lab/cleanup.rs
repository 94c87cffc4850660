//! `cleanup`: what it takes away after an agent that is gone, and what it leaves.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use ha_common::layout::names;
use ha_tests::lab::agent::{Agent, Circumstances, config_file, invoke_with};
use ha_tests::lab::host::Said;
use ha_tests::lab::pair::{PATIENCE, by_auto};
use ha_tests::lab::{Host, Lab, VIP, VipWatch, wait_until};

/// A host whose agent was killed as a master, with all that it left.
struct Remains {
    vip: VipWatch,
    lab: Lab,
}

impl Remains {
    /// `before` may do something to the host first.
    fn after(before: impl FnOnce(&Host) -> Result<()>) -> Result<Self> {
        let lab = Lab::new(1)?;
        let host = lab.host(1);
        before(host)?;
        let vip = host.vip_watch(VIP)?;
        let agent = Agent::master(host, by_auto(100))?;
        vip.wait_present(PATIENCE)?;
        agent.process().kill()?;
        let remains = Self { vip, lab };
        remains.are_there()?;
        Ok(remains)
    }

    fn host(&self) -> &Host {
        self.lab.host(1)
    }

    fn cleanup(&self, options: &[&str], environment: &[&str]) -> Result<Said> {
        let config = config_file(self.host());
        let mut line = vec!["cleanup", "--config", config.to_str().context("UTF-8")?];
        line.extend(options);
        let circumstances = Circumstances {
            environment,
            ..Circumstances::default()
        };
        invoke_with(self.host(), &circumstances, &line)
    }

    fn are_there(&self) -> Result<()> {
        ensure!(self.vip.present(), "the address is gone");
        ensure!(
            !self.host().ingress_programs()?.is_empty(),
            "the program is gone"
        );
        ensure!(pins(self.host()) > 0, "the pins are gone");
        Ok(())
    }

    fn are_gone(&self) -> Result<()> {
        self.vip.wait_absent(PATIENCE)?;
        // The kernel takes it off in a worker, a moment after its link has gone.
        wait_until(PATIENCE, "the program is gone", || {
            let programs = self.host().ingress_programs();
            programs.is_ok_and(|programs| programs.is_empty())
        })?;
        ensure!(pins(self.host()) == 0, "pins are still there");
        Ok(())
    }
}

fn pins(host: &Host) -> usize {
    let there = |name: &&&str| host.bpf_dir().join(name).exists();
    names::PINNED.iter().filter(there).count()
}

/// Fails unless it says that it removed address and pins.
fn says_what_it_removed(said: &Said) -> Result<()> {
    let expected = [
        format!("removed {VIP}/24 from eth0"),
        "removed the pins in /".to_owned(),
    ];
    for part in expected {
        ensure!(said.out.contains(&part), "no {part:?} in {said:?}");
    }
    Ok(())
}

#[test]
fn what_a_dead_agent_left_is_removed_once() -> Result<()> {
    let remains = Remains::after(|_| Ok(()))?;
    let said = remains.cleanup(&[], &[])?;
    ensure!(said.code == Some(0) && said.err.is_empty(), "{said:?}");
    says_what_it_removed(&said)?;
    remains.are_gone()?;
    let again = remains.cleanup(&[], &[])?;
    ensure!(again.code == Some(0) && again.out.is_empty(), "{again:?}");
    Ok(())
}

#[test]
fn a_configuration_that_is_gone_or_broken_is_said_after_everything_is_removed() -> Result<()> {
    for broken in [None, Some("[[instance]]\nname = \"web\"\n")] {
        let remains = Remains::after(|_| Ok(()))?;
        let file = config_file(remains.host());
        match broken {
            None => fs::remove_file(&file)?,
            Some(text) => fs::write(&file, text)?,
        }
        let said = remains.cleanup(&[], &[])?;
        ensure!(said.code == Some(3), "{said:?}");
        says_what_it_removed(&said)?;
        let name = file.display().to_string();
        ensure!(said.err.contains(&name), "no {name} in {said:?}");
        remains.are_gone()?;
    }
    Ok(())
}

/// It was in the dead master's list like any other.
#[test]
fn an_address_that_an_administrator_added_stays() -> Result<()> {
    let address = format!("{VIP}/24");
    let remains =
        Remains::after(|host| host.ns().batch(&format!("addr add {address} dev eth0\n")))?;
    let said = remains.cleanup(&[], &[])?;
    ensure!(said.code == Some(0), "{said:?}");
    ensure!(!said.out.contains(&address), "{said:?}");
    ensure!(remains.vip.present(), "it is gone");
    ensure!(pins(remains.host()) == 0, "pins are still there");
    Ok(())
}

#[test]
fn before_a_restart_nothing_is_removed_and_after_the_last_end_everything() -> Result<()> {
    let remains = Remains::after(|_| Ok(()))?;
    for end in [
        ["SERVICE_RESULT=signal", "EXIT_STATUS=KILL"],
        ["SERVICE_RESULT=watchdog", "EXIT_STATUS=ABRT"],
        ["SERVICE_RESULT=exit-code", "EXIT_STATUS=1"],
    ] {
        let said = remains.cleanup(&["--unless-restarting"], &end)?;
        ensure!(said.code == Some(0) && said.out.is_empty(), "{said:?}");
        remains.are_there()?;
    }
    // The unit does not start again what was refused its configuration.
    let refused = ["SERVICE_RESULT=exit-code", "EXIT_STATUS=3"];
    let said = remains.cleanup(&["--unless-restarting"], &refused)?;
    ensure!(said.code == Some(0), "{said:?}");
    says_what_it_removed(&said)?;
    remains.are_gone()
}
