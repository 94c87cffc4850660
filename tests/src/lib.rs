//! The namespace lab, booted machines in it, virtual machines, and the simulation, used by the tests, the
//! demo and the bench.

pub mod bench;
pub mod demo;
pub mod lab;
pub mod nspawn;
pub mod scenario;
pub mod sim;
pub mod vectors;
pub mod vm;
