//! A virtual machine with a real network card: what a namespace lab cannot show, since its veth pairs
//! let everything in.
//!
//! ```text
//!   this process                    qemu (emulation, never KVM)
//!   Segment  <- unix datagrams ->   eth0 (and eth1): virtio-net, e1000e and others, with their filters
//!   Wire     <- tap device     ->   the card after these, if there is one
//!   Console  <- unix stream    ->   ttyS1: a shell that takes orders
//!                                   Debian's stock kernel, busybox, the agent that ships
//! ```
//!
//! The test is the whole segment: it builds the frames that the guest is to hear and reads what the
//! guest sends. That takes no root, but for a tap device, and leaves nothing behind: the machine dies
//! with the test.
//! `cargo xtask setup` brings qemu and the kernel, and `cargo xtask vm` runs these tests.

pub mod agent;
mod archive;
mod console;
pub mod filters;
mod folder;
mod guest;
mod image;
mod lacp;
pub mod machine;
pub mod master;
pub mod matrix;
mod monitor;
pub mod segment;

pub use agent::GuestAgent;
pub use guest::Vm;
pub use machine::{Card, Machine, Wire};
pub use master::Master;
pub use segment::{Frame, Segment};
