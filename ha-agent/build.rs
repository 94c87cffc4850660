//! Finds the eBPF object that the binary embeds, and puts it where the compiler looks.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Where `cargo xtask build-ebpf` leaves it, from this package's folder. Relative, so that a checkout that was
/// moved or copied with its build folder does not go on with the old one's object.
const OBJECT: &str = "../target/ebpf/ha-ebpf.o";

fn main() {
    println!("cargo::rerun-if-env-changed=HA_EBPF_OBJECT");
    let path = env::var_os("HA_EBPF_OBJECT").map_or_else(|| PathBuf::from(OBJECT), PathBuf::from);
    println!("cargo::rerun-if-changed={}", path.display());
    if !path.is_file() {
        println!(
            "cargo::error=no eBPF object at {}: run `cargo xtask build-ebpf` first",
            path.display()
        );
        return;
    }
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    if let Err(error) = fs::copy(&path, Path::new(&out).join("ha-ebpf.o")) {
        println!("cargo::error=cannot copy {}: {error}", path.display());
    }
}
