//! Finds the eBPF object that the binary embeds.

use std::env;
use std::path::{Path, PathBuf};

/// Where `cargo xtask build-ebpf` leaves it, from the workspace's root.
const OBJECT: &str = "target/ebpf/ha-ebpf.o";

fn main() {
    println!("cargo::rerun-if-env-changed=HA_EBPF_OBJECT");
    let path = env::var_os("HA_EBPF_OBJECT").map_or_else(default_path, PathBuf::from);
    println!("cargo::rerun-if-changed={}", path.display());
    if path.is_file() {
        println!("cargo::rustc-env=HA_EBPF_OBJECT={}", path.display());
    } else {
        println!(
            "cargo::error=no eBPF object at {}: run `cargo xtask build-ebpf` first",
            path.display()
        );
    }
}

fn default_path() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    here.parent().unwrap_or(Path::new(".")).join(OBJECT)
}
