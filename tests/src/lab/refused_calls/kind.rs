//! What a system call of an agent asks for.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::listener::Call;

/// Commands of `bpf(2)`.
const MAP_UPDATE: u64 = 2;
const MAP_DELETE: u64 = 3;
const TEST_RUN: u64 = 10;
const LINK_CREATE: u64 = 28;

/// VRRP.
const VRRP: u8 = 112;
/// More of a datagram is not looked at.
const LOOKED_AT: usize = 64 << 10;

/// What is asked of the kernel.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    AddAddress,
    RemoveAddress,
    ListAddresses,
    AddRoute,
    RemoveRoute,
    ListRoutes,
    AddRule,
    RemoveRule,
    ListRules,
    MakeDevice,
    DeleteDevice,
    /// Switching a device or changing its settings.
    SetDevice,
    ListDevices,
    JoinGroup,
    /// A program on an interface.
    Attach,
    /// What a slot is told: its program is run.
    CommandSlot,
    WriteMap,
    Advert,
    /// Gratuitous ARP.
    Announcement,
}

impl Kind {
    /// Requests by netlink that change something: each can be refused by itself, whatever else is in its datagram.
    pub fn is_refusable(self) -> bool {
        matches!(
            self,
            Self::AddAddress
                | Self::RemoveAddress
                | Self::AddRoute
                | Self::RemoveRoute
                | Self::AddRule
                | Self::RemoveRule
                | Self::MakeDevice
                | Self::DeleteDevice
                | Self::SetDevice
        )
    }

    fn of_message(kind: u16) -> Option<Self> {
        Some(match kind {
            libc::RTM_NEWADDR => Self::AddAddress,
            libc::RTM_DELADDR => Self::RemoveAddress,
            libc::RTM_GETADDR => Self::ListAddresses,
            libc::RTM_NEWROUTE => Self::AddRoute,
            libc::RTM_DELROUTE => Self::RemoveRoute,
            libc::RTM_GETROUTE => Self::ListRoutes,
            libc::RTM_NEWRULE => Self::AddRule,
            libc::RTM_DELRULE => Self::RemoveRule,
            libc::RTM_GETRULE => Self::ListRules,
            libc::RTM_NEWLINK => Self::MakeDevice,
            libc::RTM_DELLINK => Self::DeleteDevice,
            libc::RTM_SETLINK => Self::SetDevice,
            libc::RTM_GETLINK => Self::ListDevices,
            _ => return None,
        })
    }
}

/// The memory of the process that asks.
pub(super) struct Memory(File);

impl Memory {
    pub(super) fn of(pid: u32) -> std::io::Result<Self> {
        let path = format!("/proc/{pid}/mem");
        File::options().read(true).write(true).open(path).map(Self)
    }

    fn read(&self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length.min(LOOKED_AT)];
        // What is not there is refused by the kernel in its turn.
        let got = self.0.read_at(&mut bytes, at).unwrap_or(0);
        bytes.truncate(got);
        bytes
    }

    fn word(&self, at: u64) -> u64 {
        let bytes = self.read(at, 8);
        bytes.try_into().map_or(0, u64::from_ne_bytes)
    }

    /// Gives the message of a datagram a type that the kernel does not know.
    pub(super) fn spoil(&self, at: u64) -> std::io::Result<()> {
        self.0.write_all_at(&u16::MAX.to_ne_bytes(), at + 4)
    }
}

/// What is asked for in a call, each with where it stands if it is a message of netlink.
pub(super) fn asked_for(call: &Call, memory: &Memory) -> Vec<(Kind, u64)> {
    let [first, second, third, _, fifth, _] = call.arguments;
    match call.number {
        libc::SYS_sendto => in_datagram(memory, second, third, fifth),
        libc::SYS_sendmsg | libc::SYS_sendmmsg => {
            // struct msghdr: name, its length, the vector, how many.
            let vector = memory.word(second + 16);
            let (at, length) = (memory.word(vector), memory.word(vector + 8));
            in_datagram(memory, at, length, memory.word(second))
        }
        libc::SYS_setsockopt => {
            let joins = matches!(
                (second as i32, third as i32),
                (
                    libc::IPPROTO_IP,
                    libc::IP_ADD_MEMBERSHIP | libc::MCAST_JOIN_GROUP
                ) | (
                    libc::IPPROTO_IPV6,
                    libc::IPV6_ADD_MEMBERSHIP | libc::MCAST_JOIN_GROUP
                )
            );
            joins.then_some((Kind::JoinGroup, 0)).into_iter().collect()
        }
        libc::SYS_bpf => {
            let kind = match first {
                MAP_UPDATE | MAP_DELETE => Kind::WriteMap,
                TEST_RUN => Kind::CommandSlot,
                LINK_CREATE => Kind::Attach,
                _ => return Vec::new(),
            };
            vec![(kind, 0)]
        }
        _ => Vec::new(),
    }
}

fn in_datagram(memory: &Memory, at: u64, length: u64, address: u64) -> Vec<(Kind, u64)> {
    let family = memory.read(address, 2);
    let family = family.try_into().map_or(0, u16::from_ne_bytes);
    let bytes = memory.read(at, length as usize);
    match i32::from(family) {
        libc::AF_NETLINK => messages(&bytes)
            .filter_map(|(kind, offset)| Some((Kind::of_message(kind)?, at + offset as u64)))
            .collect(),
        libc::AF_PACKET => vec![(Kind::Announcement, 0)],
        libc::AF_INET if bytes.get(9) == Some(&VRRP) => vec![(Kind::Advert, 0)],
        _ => Vec::new(),
    }
}

/// Type and offset of each message of a datagram.
fn messages(bytes: &[u8]) -> impl Iterator<Item = (u16, usize)> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        let header = bytes.get(offset..)?.first_chunk::<6>()?;
        let [a, b, c, d, kind @ ..] = *header;
        let found = (u16::from_ne_bytes(kind), offset);
        let length = u32::from_ne_bytes([a, b, c, d]) as usize;
        offset += length.next_multiple_of(4).max(16);
        Some(found)
    })
}
