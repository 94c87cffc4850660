//! A tunnel between two hosts: a tun device on each, and threads that carry the packets across.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::host::Host;

/// How often a carrier looks whether it is to end, in milliseconds.
const LOOK: u8 = 50;

/// The tunnel; it goes when this is dropped.
#[derive(Debug)]
pub struct Tunnel {
    cut: Arc<AtomicBool>,
    end: Arc<AtomicBool>,
    carriers: Vec<JoinHandle<()>>,
}

impl Tunnel {
    /// The name of the device on each host.
    pub const INTERFACE: &'static str = "tun0";

    /// Digs one; the first host has `10.77.0.1/24` at its end, the second `10.77.0.2/24`.
    pub fn between(first: &Host, second: &Host) -> Result<Self> {
        let ends = [open(first, 1)?, open(second, 2)?];
        let (cut, end) = (Arc::default(), Arc::default());
        let mut tunnel = Self {
            cut,
            end,
            carriers: Vec::new(),
        };
        for (from, to) in [(0, 1), (1, 0)] {
            let (from, to) = (ends[from].try_clone()?, ends[to].try_clone()?);
            let (cut, end) = (Arc::clone(&tunnel.cut), Arc::clone(&tunnel.end));
            let carry = move || carry(from, to, &cut, &end);
            tunnel.carriers.push(std::thread::spawn(carry));
        }
        Ok(tunnel)
    }

    /// Lets nothing through any more.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Lets everything through again.
    pub fn mend(&self) {
        self.cut.store(false, Ordering::Relaxed);
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        for carrier in self.carriers.drain(..) {
            // One that has panicked has said so.
            let _ = carrier.join();
        }
    }
}

fn carry(mut from: File, mut to: File, cut: &AtomicBool, end: &AtomicBool) {
    let mut packet = [0; 2048];
    while !end.load(Ordering::Relaxed) {
        let mut fds = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        if !matches!(poll(&mut fds, PollTimeout::from(LOOK)), Ok(ready) if ready > 0) {
            continue;
        }
        let Ok(length) = from.read(&mut packet) else {
            return;
        };
        if !cut.load(Ordering::Relaxed) {
            // A device that is switched off takes nothing.
            let _ = to.write(packet.get(..length).unwrap_or_default());
        }
    }
}

/// Makes the device in the host's namespace.
fn open(host: &Host, number: u8) -> Result<File> {
    let file = host.ns().inside(|| -> Result<File> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/net/tun")
            .context("cannot open /dev/net/tun")?;
        // SAFETY: all zeros is a value of this structure.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(Tunnel::INTERFACE.bytes()) {
            *to = from.cast_signed();
        }
        let flags = libc::IFF_TUN | libc::IFF_NO_PI;
        request.ifr_ifru.ifru_flags = i16::try_from(flags).context("flags")?;
        // SAFETY: the descriptor is a tun device's, and the request of the type that the command takes.
        let made = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        if made != 0 {
            return Err(std::io::Error::last_os_error()).context("cannot make a tun device");
        }
        Ok(file)
    })??;
    host.ns().batch(&format!(
        "addr add 10.77.0.{number}/24 dev {0}\nlink set {0} up\n",
        Tunnel::INTERFACE
    ))?;
    Ok(file)
}
