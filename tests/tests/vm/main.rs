//! An agent in virtual machines, behind network cards that filter: a module for each subject.

mod clocks;
mod clsact;
mod filter;
mod hmac;
mod matrix;
mod stand_still;
mod unit;
mod vlan;
mod vrf;
