//! The bridge between the shared layouts and aya's map types.

/// A shared layout as a map key or value.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Raw<T>(pub(crate) T);

// SAFETY: `Raw` is transparent, and `bytemuck::Pod` promises what `aya::Pod` asks for: no padding,
// no invalid bit pattern, nothing borrowed.
unsafe impl<T: bytemuck::Pod> aya::Pod for Raw<T> {}
