//! Which bpf-linker, and the compilers that it fits.

use std::ops::RangeInclusive;

/// Pinned: the linker decides what the kernel's verifier gets to see.
pub(crate) const VERSION: &str = "0.13.0";

/// The LLVM major versions that this version has a feature for.
pub(crate) const SUPPORTED_LLVM: RangeInclusive<u32> = 21..=23;
