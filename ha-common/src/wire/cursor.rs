//! Bounded reads, front to back: over a slice in userspace, over a packet in the kernel.

use super::message_sum::{Body, MAX_WORDS, MessageSum};

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
    fn sum(self, body: &Body) -> Option<MessageSum> {
        sum(self, body, || body.address_words)
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

/// Makes the pass, from where the cursor stands; `None` if the frame ends before the body does.
/// `address_words` gives that field of the body, for each word anew.
#[inline(always)]
pub fn sum<C: Cursor>(
    mut cursor: C,
    body: &Body,
    address_words: impl Fn() -> u32,
) -> Option<MessageSum> {
    let mut made = MessageSum::default();
    let mut left = body.length;
    for index in 0..MAX_WORDS {
        if left < 4 {
            break;
        }
        let word = cursor.take::<4>()?;
        made.sum = made.sum.word(word);
        if index < address_words() {
            let lane = index & body.words_per_address.wrapping_sub(1);
            made.hash = made.hash.word(word, lane);
        }
        left -= 4;
    }
    let mut last = [0; 4];
    for byte in last.iter_mut().take(3) {
        if left == 0 {
            break;
        }
        [*byte] = cursor.take::<1>()?;
        left -= 1;
    }
    made.sum = made.sum.word(last);
    Some(made)
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
