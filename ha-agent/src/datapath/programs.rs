//! Programs of a loaded object by their names.

use aya::Ebpf;
use aya::programs::{SchedClassifier, Xdp};

use super::error::{KernelError, program_error};

/// A tc program of an object.
pub(super) fn tc_mut<'a>(
    object: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut SchedClassifier, KernelError> {
    object
        .program_mut(name)
        .ok_or(KernelError::Missing(name))?
        .try_into()
        .map_err(program_error(name))
}

/// An XDP program of an object.
pub(super) fn xdp_mut<'a>(
    object: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut Xdp, KernelError> {
    object
        .program_mut(name)
        .ok_or(KernelError::Missing(name))?
        .try_into()
        .map_err(program_error(name))
}
