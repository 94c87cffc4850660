//! The namespace lab, booted machines in it, virtual machines and the golden scenarios, used by
//! the tests, the demo and the bench.

pub mod bench;
pub mod demo;
pub mod golden;
pub mod lab;
pub mod nspawn;
pub mod scenario;
pub mod vectors;
pub mod vm;
