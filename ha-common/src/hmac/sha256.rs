//! SHA-256's compression function (FIPS 180-4 section 6.2), which is all of it that HMAC needs from a kernel
//! that offers none to XDP and tc programs. It is held against a well-known library's by the tests.

/// The state between two blocks.
pub type State = [u32; 8];

/// Bytes that are compressed at once.
pub const BLOCK: usize = 64;

/// FIPS 180-4 section 5.3.3.
pub const INITIAL: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// FIPS 180-4 section 4.2.2.
#[rustfmt::skip]
static ROUNDS: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// Takes one block in.
#[inline(always)]
pub fn compress(state: &mut State, block: &[u8; BLOCK]) {
    let mut scratch = Scratch::default();
    let (words, _) = block.as_chunks::<4>();
    for (to, word) in scratch.schedule.iter_mut().zip(words) {
        *to = u32::from_be_bytes(*word);
    }
    scratch.rounds(state);
}

/// What a block is worked on with. Apart, because the BPF stack has no room for it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Scratch {
    /// The block's 16 words as numbers; then, as the rounds go, the last 16 words of the message schedule.
    pub schedule: [u32; 16],
    /// The working variables `a` to `h`.
    work: State,
}

impl Scratch {
    /// The 64 rounds, of which 16 at a time use each word of the schedule once: unrolled, they find everything at
    /// constant places.
    #[inline(always)]
    pub fn rounds(&mut self, state: &mut State) {
        self.work = *state;
        let (parts, _) = ROUNDS.as_chunks::<16>();
        for (part, constants) in parts.iter().enumerate() {
            if part > 0 {
                self.extend();
            }
            for (round, constant) in constants.iter().enumerate() {
                self.round(round, *constant);
            }
        }
        for (sum, word) in state.iter_mut().zip(self.work) {
            *sum = sum.wrapping_add(word);
        }
    }

    /// One round. The working variables do not move from one to the next, as the standard has it: their names do.
    #[expect(clippy::many_single_char_names, reason = "the standard's names")]
    #[inline(always)]
    fn round(&mut self, round: usize, constant: u32) {
        let [a, b, c, d, e, f, g, h] =
            [0, 1, 2, 3, 4, 5, 6, 7_usize].map(|name| name.wrapping_sub(round) & 7);
        let work = &mut self.work;
        let choice = work[e] & work[f] ^ !work[e] & work[g];
        let first = work[h]
            .wrapping_add(big(work[e], 6, 11, 25))
            .wrapping_add(choice)
            .wrapping_add(constant)
            .wrapping_add(self.schedule[round]);
        let majority = work[a] & work[b] ^ work[a] & work[c] ^ work[b] & work[c];
        let second = big(work[a], 2, 13, 22).wrapping_add(majority);
        work[d] = work[d].wrapping_add(first);
        work[h] = first.wrapping_add(second);
    }

    /// The next 16 words of the message schedule, each in the place of the one that is not needed any more.
    #[inline(always)]
    fn extend(&mut self) {
        let words = &mut self.schedule;
        for index in 0..words.len() {
            let at = |ahead: usize| (index + ahead) & 15;
            words[index] = words[index]
                .wrapping_add(small(words[at(1)], 7, 18, 3))
                .wrapping_add(words[at(9)])
                .wrapping_add(small(words[at(14)], 17, 19, 10));
        }
    }
}

#[inline(always)]
const fn big(x: u32, i: u32, j: u32, k: u32) -> u32 {
    x.rotate_right(i) ^ x.rotate_right(j) ^ x.rotate_right(k)
}

#[inline(always)]
const fn small(x: u32, i: u32, j: u32, shift: u32) -> u32 {
    x.rotate_right(i) ^ x.rotate_right(j) ^ (x >> shift)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::block_api::compress256;

    use super::*;

    proptest! {
        #[test]
        fn a_block_is_compressed_as_the_library_does(
            mut state: [u32; 8],
            block in any::<[[u8; 32]; 2]>(),
        ) {
            let block: [u8; BLOCK] = bytemuck::cast(block);
            let mut theirs = state;
            compress256(&mut theirs, &[block]);
            compress(&mut state, &block);
            prop_assert_eq!(state, theirs);
        }
    }
}
