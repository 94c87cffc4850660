//! A lab: one Ethernet segment of network namespaces on this machine, with real programs in it.
//!
//! ```text
//!   h1 (10.99.0.1)   h2 (10.99.0.2)   ...   client (10.99.0.250)
//!        eth0             eth0                   eth0
//!         |                |                      |
//!   port "h1"         port "h2"             port "client"      namespace "switch", bridge "br0"
//! ```
//!
//! Each lab has a name of its own, `ha-<pid>-<n>`, and its namespaces are `<lab>-h1` and so on, so
//! labs run side by side and `ip netns` shows whose they are. Everything that a host needs on disk
//! lies under `/run/ha-lab/<lab>/<host>/`. All of it, processes and mounts included, goes when the
//! [`Lab`] is dropped, and also when the process that made it is killed (see [`janitor`]).
//!
//! Programs enter a host's network namespace by `setns` between fork and exec and stay in the mount
//! namespace of the test. So, other than under `ip netns exec`, /sys is the machine's: a bpffs that
//! one agent mounted is there for the next one. Nothing in the lab reads /sys/class/net, the one
//! part of /sys that would be wrong.

mod addresses;
pub mod advert;
pub mod agent;
pub mod agent_config;
pub mod agent_status;
pub mod announcement;
pub mod ask;
pub mod bpf;
pub mod capture;
pub mod client;
pub mod clock;
mod company;
pub mod datapath;
pub mod decode;
mod directory;
pub mod foreign;
pub mod forge;
pub mod hmac;
pub mod hog;
pub mod host;
pub mod inherited;
pub mod janitor;
pub mod keepalived;
pub mod netns;
pub mod nginx;
mod output;
mod packet;
pub mod pair;
pub mod pcap;
pub mod peer;
pub mod process;
pub mod refused_calls;
pub mod require;
pub mod service_manager;
pub mod tshark;
pub mod tun;
pub mod vip_watch;
pub mod virtual_mac;
pub mod wait;
mod world;

pub use addresses::VIP;
pub use agent::Agent;
pub use agent_config::AgentConfig;
pub use capture::Capture;
pub use client::Client;
pub use host::Host;
pub use pair::Pair;
pub use process::Process;
pub use require::require_tools;
pub use vip_watch::VipWatch;
pub use wait::wait_until;
pub use world::Lab;
