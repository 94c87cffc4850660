//! What an interface does before the stack sees a frame, as far as it matters to a program at the card's port.

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use nix::net::if_::if_indextoname;
use socket2::{Domain, Socket, Type};

/// `ETHTOOL_GFLAGS` and `ETH_FLAG_RXVLAN` (`linux/ethtool.h`).
const GET_FLAGS: u32 = 0x25;
const STRIPS_TAGS: u32 = 1 << 8;

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// Whether VLAN tags are taken out of frames before they are handed on: `ethtool -k` calls it `rx-vlan-offload`.
/// `EOPNOTSUPP` from an interface that cannot tell, which is one that does not.
pub fn strips_vlan_tags(ifindex: u32) -> io::Result<bool> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let name = if_indextoname(ifindex)?;
    let mut value = Value {
        command: GET_FLAGS,
        data: 0,
    };
    // SAFETY: all zeros is a value of this structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the request names an interface and points to a value of the command's type; both outlive the call.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value.data & STRIPS_TAGS != 0)
}

/// The name of an interface's driver, if a device stands behind it: `virtio_net`, `hv_netvsc`.
pub fn driver(interface: &str) -> Option<String> {
    // The kernel takes no name with a slash in it, so this one stays in its folder.
    let link = Path::new("/sys/class/net")
        .join(interface)
        .join("device/driver");
    let driver = std::fs::read_link(link).ok()?;
    Some(driver.file_name()?.to_string_lossy().into_owned())
}
