//! Where adverts are heard and who keeps the deadline, as `status` shows it.

use ha_common::lateness;
use ha_common::layout::Slot;

use crate::config::model;
use crate::driver::hooks::Reception;
use crate::driver::published::{DatapathStatus, InstanceStatus};
use crate::status::instance::{Consume, ConsumeChoice, Datapath, Override, Timer, TimerKind};

use super::now::Now;

pub(super) fn datapath(view: &InstanceStatus) -> Datapath {
    let overridden = view
        .switched
        .map(|choice| overridden(choice, view.config.datapath));
    match &view.datapath {
        Some(path) => received(&path.reception, overridden),
        None => Datapath {
            kind: None,
            link: None,
            because: String::new(),
            overridden,
            why: Vec::new(),
            notes: Vec::new(),
            reattached: 0,
        },
    }
}

/// What a command has set in place of the configured one.
pub(in crate::agent) fn overridden(
    choice: model::DatapathChoice,
    configured: model::DatapathChoice,
) -> Override {
    Override {
        datapath: choice.name().to_owned(),
        configured: configured.name().to_owned(),
    }
}

/// What runs.
pub(in crate::agent) fn received(reception: &Reception, overridden: Option<Override>) -> Datapath {
    Datapath {
        kind: Some(reception.datapath),
        link: reception.link.map(str::to_owned),
        because: reception.because.clone(),
        overridden,
        why: reception.refusals.clone(),
        notes: reception.notes.clone(),
        reattached: reception.reattached,
    }
}

pub(super) fn consume(view: &InstanceStatus) -> Consume {
    let effective = view
        .datapath
        .as_ref()
        .is_some_and(|datapath| datapath.consume);
    let in_kernel = view
        .datapath
        .as_ref()
        .is_some_and(|datapath| datapath.kernel_slot.is_some());
    let (configured, why) = match view.config.consume {
        model::Consume::Always => (ConsumeChoice::Always, "configured".to_owned()),
        model::Consume::Never => (ConsumeChoice::Never, "configured".to_owned()),
        model::Consume::Auto if effective => (
            ConsumeChoice::Auto,
            "the interface's instances add up to more than 100 adverts a second".to_owned(),
        ),
        model::Consume::Auto => (
            ConsumeChoice::Auto,
            "the interface's instances add up to at most 100 adverts a second".to_owned(),
        ),
    };
    if in_kernel {
        Consume {
            configured,
            effective,
            why,
        }
    } else {
        Consume {
            configured,
            effective: false,
            why: "no BPF program runs".to_owned(),
        }
    }
}

pub(super) fn timer(view: Option<&DatapathStatus>, slot: Option<&Slot>, now: Now) -> Timer {
    let why = match view {
        Some(view) if view.kernel_timer => None,
        Some(view) if view.kernel_slot.is_some() => Some("the kernel provides no timer"),
        Some(_) => Some("the plain-socket datapath keeps its deadlines in the agent"),
        None => Some("nothing is attached"),
    };
    let late = slot.filter(|slot| why.is_none() && slot.late != 0);
    Timer {
        kind: if why.is_none() {
            TimerKind::Kernel
        } else {
            TimerKind::Watchdog
        },
        why: why.map(str::to_owned),
        late: late.map_or(0, |slot| slot.late),
        latest_us: late.map(|slot| slot.latest / 1000),
        guarded: late.is_some_and(|slot| lateness::look_at(slot, now.monotonic).is_some()),
    }
}
