//! A switch's half of a link aggregation group (IEEE 802.1AX), as far as a bond needs it: each of the guest's
//! LACPDUs is answered with one that agrees to all it says.

/// To whom LACPDUs go.
const SLOW_PROTOCOLS: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0x02];
const ETHERTYPE: [u8; 2] = [0x88, 0x09];
/// Subtype LACP, version 1.
const HEAD: [u8; 2] = [1, 1];
/// The switch.
const SYSTEM: [u8; 6] = [0x02, 0x99, 0, 0, 0, 0x55];
/// Active, short timeout (so that the guest sends one each second), aggregatable, in sync, collecting,
/// distributing.
const STATE: u8 = 0x3f;
/// In sync and collecting: who says so takes frames.
const TAKES_FRAMES: u8 = 0x18;
/// What an actor says of itself: system and priority, key, port and priority, state.
const INFORMATION: usize = 15;
/// Where that is in a frame: after the Ethernet header, subtype, version, and the field's type and length.
const ACTOR: usize = 14 + 2 + 2;

/// What a LACPDU of the guest leads to.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Answer {
    /// Whether the guest takes frames by this port.
    pub(super) collects: bool,
    /// What the switch says.
    pub(super) frame: Vec<u8>,
}

/// The answer of the switch's port of that number, if the frame is a LACPDU.
pub(super) fn answer(frame: &[u8], port: u8) -> Option<Answer> {
    if frame.get(..6)? != SLOW_PROTOCOLS
        || frame.get(12..14)? != ETHERTYPE
        || frame.get(14..16)? != HEAD
    {
        return None;
    }
    let guest = frame.get(ACTOR..ACTOR + INFORMATION)?;
    let collects = guest.last()? & TAKES_FRAMES == TAKES_FRAMES;
    let mut answer = SLOW_PROTOCOLS.to_vec();
    answer.extend(SYSTEM);
    answer.extend(ETHERTYPE);
    answer.extend(HEAD);
    // The actor: priority, system, key, port priority, port, state.
    answer.extend([1, 20, 0x80, 0]);
    answer.extend(SYSTEM);
    answer.extend([0, 1, 0x80, 0, 0, port + 1, STATE, 0, 0, 0]);
    // The partner is the guest as it describes itself.
    answer.extend([2, 20]);
    answer.extend(guest);
    answer.extend([0, 0, 0]);
    // The collector, with no delay; the terminator, and what is reserved.
    answer.extend([3, 16]);
    answer.extend([0; 14]);
    answer.extend([0; 52]);
    Some(Answer {
        collects,
        frame: answer,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacpdu(state: u8) -> Vec<u8> {
        let mut frame = [&SLOW_PROTOCOLS[..], &[2; 6], &ETHERTYPE, &HEAD, &[1, 20]].concat();
        frame.extend([7; INFORMATION - 1]);
        frame.push(state);
        frame.resize(14 + 110, 0);
        frame
    }

    #[test]
    fn a_lacpdu_is_answered_with_the_guest_as_partner_and_nothing_else_is() {
        let mut said = answer(&lacpdu(0x3f), 1).unwrap();
        assert!(said.collects && !answer(&lacpdu(0x07), 1).unwrap().collects);
        // 14 bytes of Ethernet and the 110 of a LACPDU.
        assert_eq!(said.frame.len(), 14 + 110);
        let actor = &said.frame[ACTOR..ACTOR + INFORMATION];
        assert_eq!(actor[INFORMATION - 2..], [2, STATE]);
        let partner = &said.frame[ACTOR + 20..ACTOR + 20 + INFORMATION];
        assert_eq!(partner, &lacpdu(0x3f)[ACTOR..ACTOR + INFORMATION]);
        said.frame[14] = 2;
        assert_eq!(answer(&said.frame, 1), None);
        assert_eq!(answer(&said.frame[..20], 1), None);
    }
}
