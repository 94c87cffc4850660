//! What the agent needs of Linux beside its network: clocks and timers, descriptors, eventfds, real-time scheduling.

pub mod alarm;
pub mod async_fd;
pub mod clock;
pub mod descriptors;
pub mod heap;
pub mod latest;
pub mod notifier;
pub mod realtime;
