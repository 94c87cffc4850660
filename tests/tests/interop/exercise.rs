//! What every pair goes through. Leader and follower may be the agent or the peer: the rules are the same.

use anyhow::Result;
use ha_tests::lab::clock::now;

use crate::segment::{Pairing, Party, Seat, Segment};

/// How many intervals must pass without anybody flapping.
const STEADY: usize = 30;
/// How many adverts tell that a change is over.
const SETTLED: usize = 3;

/// One leads by its priority, the other follows; then everything that may happen to them.
pub(crate) fn lead_and_follow(pairing: &Pairing, leading: Party) -> Result<()> {
    let segment = Segment::new(pairing)?;
    let mut leader = segment.seat(1, leading, 110);
    let mut follower = segment.seat(2, leading.other(), 90);
    leader.start()?;
    segment.wait_led_by(&leader)?;
    follower.join()?;
    segment.is_steady(&leader, &follower, STEADY)?;
    silence(&segment, &leader, &follower)?;
    farewell(&segment, &mut leader, &follower)?;
    preemption(&segment, &mut leader, &follower)
}

/// The leader is cut off without a word: the follower waits for as long as the protocol says. When it is
/// back, the follower yields.
fn silence(segment: &Segment<'_>, leader: &Seat<'_>, follower: &Seat<'_>) -> Result<()> {
    let cut = now();
    segment.cut_off(leader)?;
    let first = segment.wait_advert(follower, cut)?.at;
    let waited = first.since(segment.last_heard(follower, first)?);
    follower.is_punctual(waited.to_duration(), follower.timing().master_down())?;
    segment.wait_led_by(follower)?;
    segment.reconnect(leader)?;
    segment.wait_led_by(leader)?;
    segment.is_steady(leader, follower, SETTLED)
}

/// The leader says that it leaves: the follower waits for its skew only.
fn farewell(segment: &Segment<'_>, leader: &mut Seat<'_>, follower: &Seat<'_>) -> Result<()> {
    let told = now();
    leader.leave()?;
    let farewell = segment.wait_farewell(leader, told)?.at;
    let first = segment.wait_advert(follower, farewell)?.at;
    let waited = first.since(farewell).to_duration();
    follower.is_punctual(waited, follower.timing().skew())?;
    segment.wait_led_by(follower)
}

/// The leader comes back, and takes the place of a follower in good health.
fn preemption(segment: &Segment<'_>, leader: &mut Seat<'_>, follower: &Seat<'_>) -> Result<()> {
    leader.start()?;
    segment.wait_led_by(leader)?;
    segment.is_steady(leader, follower, SETTLED)
}

/// With equal priorities nobody preempts; but of two masters the higher address remains, whoever was first.
pub(crate) fn break_a_tie(pairing: &Pairing, higher: Party) -> Result<()> {
    let segment = Segment::new(pairing)?;
    let mut low = segment.seat(1, higher.other(), 100);
    let mut high = segment.seat(2, higher, 100);
    low.start()?;
    segment.wait_led_by(&low)?;
    high.join()?;
    segment.is_steady(&low, &high, SETTLED)?;
    for (master, backup) in [(&low, &high), (&high, &low)] {
        segment.cut_off(master)?;
        segment.wait_led_by(backup)?;
        segment.reconnect(master)?;
        segment.wait_led_by(&high)?;
        segment.is_steady(&high, &low, SETTLED)?;
    }
    Ok(())
}
