//! The driver: one thread that runs every election, and wakes only when somebody must decide. It never logs,
//! and waits for nobody but the kernel: for netlink's answers (at most 1 s each), for what is attached to an
//! interface, and for files in /proc.
//!
//! It owns the kernel half, the ring, the netlink socket and the instances. It is told things by
//! [`Command`]s and a bell, and publishes its status by the [`published::StatusPublisher`] and by [`report::Report`]s.

mod address_device;
mod advert_path;
pub mod advert_signer;
mod clear_leftovers;
mod command;
pub(crate) mod counted;
mod detector;
mod event_loop;
mod filter_entries;
mod follow_links;
mod groups;
pub(crate) mod hooks;
mod instance;
mod leftovers;
mod memberships;
mod observed_links;
mod port;
pub mod published;
mod recall;
mod receivers;
mod relevance;
mod reload;
pub mod report;
mod rounds;
pub mod sender;
mod shared_sockets;
mod start;
pub(crate) mod switch;
mod switch_datapath;
mod sync_groups;
mod system;
mod take_deferred;
mod thread;
mod watchdog;

pub(crate) use command::Command;
pub use command::Handle;
pub use detector::configuration as slot_configuration;
pub use start::{Faults, Setup, Started, start};
