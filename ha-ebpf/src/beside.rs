//! What is not VRRP: claims of our addresses are noted, and what is fenced is dropped.

use crate::frame::Frame;
use crate::{claim, fence, neighbour};

/// Whether a frame that came in, and is no VRRP, is dropped.
#[inline(always)]
pub(crate) fn is_dropped<F: Frame>(frame: F) -> bool {
    let Some(network) = frame.network() else {
        return false;
    };
    // A tagged frame belongs to the VLAN's own device.
    if network.tagged {
        return false;
    }
    let neighbour = neighbour::read(network);
    claim::note(frame, &neighbour);
    fence::is_question_fenced(frame.ifindex(), &neighbour) || fence::is_fenced_in(frame, network)
}
