//! What the agent needs of Linux beside its network: the clock, descriptors, eventfds, real-time scheduling.

pub mod async_fd;
pub mod clock;
pub mod descriptors;
pub mod heap;
pub mod latest;
pub mod notifier;
pub mod realtime;
