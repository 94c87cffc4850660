//! What the agent needs of Linux beside its network: the clock, eventfds, real-time scheduling.

pub mod async_fd;
pub mod clock;
pub mod notifier;
pub mod realtime;
