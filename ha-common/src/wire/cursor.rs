//! Bounded reads, front to back: over a slice in userspace, over a packet in the kernel.

use super::body::{self, Body, Digest};

/// A position in a frame that only moves forward.
///
/// Reads copy out; no reference into the frame ever leaves an implementation.
pub trait Cursor: Copy {
    /// The next `N` bytes, or `None` (and no move) if the frame ends before.
    fn take<const N: usize>(&mut self) -> Option<[u8; N]>;

    /// Moves over `count` bytes, at most 1023. The end is checked by the next read.
    fn skip(&mut self, count: usize);

    /// Sums and hashes the rest of a message from here on; `None` if the frame ends before it does.
    #[inline(always)]
    fn digest(self, body: &Body) -> Option<Digest> {
        body::digest(self, body, || body.address_words)
    }
}

/// A cursor over bytes in memory.
#[derive(Clone, Copy, Debug)]
pub struct SliceCursor<'a> {
    rest: &'a [u8],
}

impl<'a> SliceCursor<'a> {
    /// At the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl Cursor for SliceCursor<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or(&[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_past_the_end_gives_nothing_and_does_not_move() {
        let mut cursor = SliceCursor::new(&[1, 2, 3]);
        assert_eq!(cursor.take::<4>(), None);
        assert_eq!(cursor.take::<2>(), Some([1, 2]));
        cursor.skip(5);
        assert_eq!(cursor.take::<1>(), None);
    }
}
