//! Agents, nginx and peers in network namespaces, and the package on booted systems: a module for each subject.
//!
//! One program, since each links the whole agent. `cargo xtask test --only lab reload::` runs one subject.

mod addresses;
mod beside;
mod checks;
mod claims;
mod cleanup;
mod cli;
mod consume;
mod datapath;
mod decoded;
mod differences;
mod excluded;
mod hmac;
mod hosts;
mod inherited;
mod interfaces;
mod ipv6_lost;
mod kernel_watchdog;
mod log;
mod many;
mod multicast_group;
mod nopreempt;
mod pacing;
mod package;
mod pins;
mod preempt_delay;
mod reload;
mod roles;
mod routes;
mod scale;
mod scenario;
mod selftest;
mod sending;
mod service_manager;
mod stall;
mod status;
mod switch;
mod sync_groups;
mod systemd;
mod track;
mod track_file;
mod unicast;
mod vectors;
mod virtual_mac;
mod virtual_mac_life;
