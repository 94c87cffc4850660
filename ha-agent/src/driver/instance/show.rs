//! What the board shows of an instance.

use std::sync::Arc;

use super::{Edges, Instance};
use crate::driver::board::{DatapathView, SoftView, View};
use crate::driver::detector::Place;
use crate::driver::port::Port;

impl Instance {
    /// As last shown.
    pub(crate) fn shown(&self) -> Arc<View> {
        Arc::clone(&self.shown)
    }

    /// Renews what is shown, if something has changed.
    pub(crate) fn show(&mut self, edges: &Edges<'_>) {
        if std::mem::take(&mut self.dirty) {
            self.shown = Arc::new(self.view(edges));
        }
    }

    fn view(&self, edges: &Edges<'_>) -> View {
        View {
            config: Arc::clone(&self.config),
            switched: self.switched(),
            ifindex: self.port.as_ref().map(|port| port.ifindex),
            role: self.role(),
            since: self.election.since(),
            reason: self.reason(edges),
            preempt_at: self.election.preempt_wait(),
            priority: self.election.rules().priority,
            terms: self.terms.clone(),
            seat: self.seat.clone(),
            source: self.port.as_ref().map(|port| port.path.source),
            holder: self.port.as_ref().map(Port::holder),
            device: self.device().cloned(),
            datapath: self.port.as_ref().map(datapath_view),
            last: self.last.clone(),
            transitions: self.transitions,
            wakeups: self.wakeups,
            sent: edges.sender.sent(self.id),
            unsent: self.unsent().cloned(),
            announced: self.announced,
            claims: self.claims.clone(),
            restored: self.restored,
            way_errors: self.ways.errors(),
            ways_restored: self.ways.restored(),
            notices: self.notices.clone(),
        }
    }
}

fn datapath_view(port: &Port) -> DatapathView {
    let (kernel_slot, soft) = match &port.detector.place {
        Place::Kernel(slot) => (Some(*slot), None),
        Place::Soft(soft) => {
            let view = SoftView {
                slot: *soft.slot(),
                peers: soft.peers().collect(),
            };
            (None, Some(Box::new(view)))
        }
    };
    DatapathView {
        reception: port.reception.clone(),
        kernel_slot,
        soft,
        kernel_timer: port.detector.has_kernel_timer(),
        consume: port.detector.consume,
    }
}
