//! The marks that senders leave. Two CPUs may judge adverts of one sender at once: a mark only goes on.

use aya_ebpf::bindings::BPF_NOEXIST;
use ha_common::hmac::Stamp;
use ha_common::hmac::replay::ReplayState;
use ha_common::layout::PeerKey;
use ha_common::reject::Reject;

use crate::atomic;
use crate::maps::HA_MARKS;

/// How often another CPU may be quicker with an earlier advert of the same sender, each time within a microsecond.
const TRIES: usize = 4;

/// Whether a mark could be left.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Left {
    /// It is there.
    There,
    /// There is no room: the same advert could be played again.
    Nowhere,
}

/// Where a sender's mark is, if it has left one.
#[inline(always)]
pub(crate) fn find(sender: &PeerKey) -> Option<*mut ReplayState> {
    HA_MARKS.get_ptr_mut(sender)
}

/// Copies a mark. Another CPU may write it meanwhile, word by word: a mixture of two adverts of one moment is as good
/// as either.
#[inline(always)]
pub(crate) fn read(mark: *mut ReplayState) -> ReplayState {
    // SAFETY: the caller's mark is a live map value.
    unsafe { mark.read_volatile() }
}

/// Leaves a sender's first mark. A full table gives up a sender that was not heard for long, which begins anew by our
/// clock.
///
/// # Errors
/// [`Reject::HmacReplay`]: another CPU has taken this advert or a later one meanwhile.
#[inline(always)]
pub(crate) fn begin(sender: &PeerKey, mark: &ReplayState) -> Result<Left, Reject> {
    if HA_MARKS
        .insert(sender, mark, u64::from(BPF_NOEXIST))
        .is_ok()
    {
        return Ok(Left::There);
    }
    let Some(there) = find(sender) else {
        return Ok(Left::Nowhere);
    };
    let last = later_than(read(there).stamp, mark)?;
    advance(there, last, mark)
}

/// Moves a mark on, if `last` still is its stamp, or an earlier one by now.
///
/// # Errors
/// As for [`begin`].
#[inline(always)]
pub(crate) fn advance(
    there: *mut ReplayState,
    mut last: u64,
    mark: &ReplayState,
) -> Result<Left, Reject> {
    for _ in 0..TRIES {
        // SAFETY: `there` is a live map value, whose words are aligned to 8 bytes.
        let found = unsafe { atomic::compare_exchange(&raw mut (*there).stamp, last, mark.stamp) };
        if found == last {
            // SAFETY: as above.
            unsafe {
                (*there).at = mark.at;
                (*there).mac = mark.mac;
            }
            return Ok(Left::There);
        }
        last = later_than(found, mark)?;
    }
    Err(Reject::HmacReplay)
}

/// The stamp that is there, if the mark is later.
#[inline(always)]
fn later_than(there: u64, mark: &ReplayState) -> Result<u64, Reject> {
    if Stamp(mark.stamp).is_after(Stamp(there)) {
        Ok(there)
    } else {
        Err(Reject::HmacReplay)
    }
}
