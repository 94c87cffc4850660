//! Nothing is done only once: each request to the kernel fails once and for a second, in each way that there is, at every
//! point of a start, a take-over, a leave, a reload, a crash and an end. Needs no root.

use std::collections::BTreeSet;
use std::sync::Arc;

use ha_agent::config::model::Instance as Config;
use ha_agent::router::InterfaceState;
use ha_common::units::Nanos;
use ha_sim::upkeep::{Fault, Host, How, MISTAKES, Mistake, Request, config};

/// A failure that lasts.
const SECOND: Nanos = Nanos::from_millis(1_000);
/// Refused addresses keep a router out for 5 s, and for 10 s the next time; then comes the election.
const MENDED_WITHIN: Nanos = Nanos::from_millis(20_000);
/// A master after that, and not so long that it has looked at what is there.
const MASTER_WITHIN: Nanos = Nanos::from_millis(600);
/// Since when it must be said that something is not as it is wanted: between two looks.
const SAID_WITHIN: Nanos = Nanos::from_millis(100);

/// An administrator's, the last of them configured as a virtual one as well.
const THEIRS: [&str; 3] = ["10.99.0.1/24", "10.88.0.1/24", "10.99.0.103/24"];
const FIRST: [&str; 3] = ["10.99.0.100/24", "10.99.0.101/24", "10.99.0.103/24"];
/// None of the first ones.
const THIRD: [&str; 1] = ["10.99.0.104/24"];
/// One stays, one goes, one comes in another form, one is new.
const OTHER: [&str; 3] = ["10.99.0.100/24", "10.99.0.101/32", "10.99.0.102/24"];

#[derive(Clone, Copy, Debug)]
enum Step {
    Start,
    Leave,
    TakeOver,
    Reload,
    ReloadBack,
    Crash,
    CrashAndLeave,
    CrashAndChange,
    /// The next one crashes as well, before it has removed what is not its own.
    CrashTwiceAndChange,
    Stop,
}

const STEPS: [Step; 11] = [
    Step::Start,
    Step::Leave,
    Step::TakeOver,
    Step::Reload,
    Step::ReloadBack,
    Step::Crash,
    Step::CrashAndLeave,
    Step::TakeOver,
    Step::CrashAndChange,
    Step::CrashTwiceAndChange,
    Step::Stop,
];

impl Step {
    fn take(self, host: &mut Host) {
        let (first, other) = (config(&FIRST), config(&OTHER));
        match self {
            Self::Start => host.start(first),
            Self::Leave => host.link(InterfaceState::Down),
            Self::TakeOver => host.link(InterfaceState::Up),
            Self::Reload => host.reload(other),
            Self::ReloadBack => host.reload(first),
            Self::Crash => {
                host.crash();
                host.start(first);
            }
            Self::CrashAndLeave => {
                host.crash();
                host.start(first);
                host.link(InterfaceState::Down);
            }
            Self::CrashAndChange => {
                host.crash();
                host.start(other);
            }
            Self::CrashTwiceAndChange => {
                host.crash();
                host.start(config(&THIRD));
                host.run_for(MASTER_WITHIN);
                host.crash();
                host.start(config(&THIRD));
            }
            Self::Stop => host.stop(),
        }
    }

    /// What is on the interface afterwards.
    fn wanted(self) -> BTreeSet<String> {
        let held: &[&str] = match self {
            Self::Start | Self::TakeOver | Self::ReloadBack | Self::Crash => &FIRST,
            Self::Reload | Self::CrashAndChange => &OTHER,
            Self::CrashTwiceAndChange => &THIRD,
            Self::Leave | Self::CrashAndLeave | Self::Stop => &[],
        };
        let all = THEIRS.iter().chain(held);
        all.map(|net| (*net).to_owned()).collect()
    }
}

fn present(host: &Host) -> BTreeSet<String> {
    let present = host.kernel.present.iter();
    present.map(|(_, found)| found.net.to_string()).collect()
}

/// All steps with this fault at each; how often it came, or what was wrong.
fn play(fault: Option<Fault>, marks: bool, mistake: Mistake) -> Result<u32, String> {
    let first: Arc<Config> = config(&FIRST);
    let mut host = Host::new(&THEIRS, first, marks, mistake);
    let mut failed = 0;
    for step in STEPS {
        host.kernel.fail(fault);
        step.take(&mut host);
        let until = host.now() + MENDED_WITHIN;
        while host.now() < until {
            host.run_for(SAID_WITHIN);
            let differs = present(&host) != step.wanted();
            if differs && host.is_master() && !host.says() {
                return Err(format!("{step:?}: nothing is said of {:?}", present(&host)));
            }
        }
        failed += host.kernel.failed;
        if present(&host) != step.wanted() {
            let found = present(&host);
            return Err(format!(
                "{step:?}: {found:?} in place of {:?}",
                step.wanted()
            ));
        }
        if host.says() && !matches!(step, Step::Leave | Step::CrashAndLeave) {
            return Err(format!("{step:?}: something is said to be missing still"));
        }
    }
    Ok(failed)
}

const WAYS: [How; 3] = [How::Refused, How::Unsent, How::Unanswered];

/// Each fault in turn until none is reached any more; the first one that goes wrong.
fn play_all(marks: bool, mistake: Mistake) -> Result<u32, String> {
    // Without marks nobody can tell whose an address is that was added by a request without an answer: it stays.
    let ways = if marks { &WAYS[..] } else { &WAYS[..2] };
    let mut plays = 0;
    for request in [Request::Add, Request::Remove, Request::List] {
        for how in ways.iter().copied() {
            for lasting in [Nanos(0), SECOND] {
                for after in 0.. {
                    let fault = Fault {
                        request,
                        after,
                        lasting,
                        how,
                    };
                    let played = play(Some(fault), marks, mistake);
                    plays += 1;
                    match played {
                        Ok(0) => break,
                        Ok(_) => {}
                        Err(wrong) => return Err(format!("{fault:?}: {wrong}")),
                    }
                }
            }
        }
    }
    Ok(plays)
}

#[test]
fn without_faults_each_step_leads_to_what_is_wanted() {
    for marks in [true, false] {
        assert_eq!(play(None, marks, Mistake::None), Ok(0));
    }
}

#[test]
fn whatever_fails_at_any_point_is_mended() {
    let plays = play_all(true, Mistake::None);
    assert!(plays.as_ref().is_ok_and(|plays| *plays > 30), "{plays:?}");
}

/// Kernels before 5.18.
#[test]
fn whatever_fails_is_mended_without_marks_as_well() {
    let plays = play_all(false, Mistake::None);
    assert!(plays.as_ref().is_ok_and(|plays| *plays > 30), "{plays:?}");
}

#[test]
fn each_mistake_is_found() {
    for mistake in MISTAKES {
        assert!(play_all(true, mistake).is_err(), "{mistake:?}");
    }
}
