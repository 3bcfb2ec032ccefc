//! A filter in front of the list: answers "certainly not revoked" without a lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A Bloom filter with one hash: an ID whose bit is clear is not on the list. A set bit may belong to another ID.
#[derive(Default)]
pub(super) struct BitFilter(OnceLock<Box<[AtomicU64]>>);

/// The position of an ID's bit: the part of the list, and the bit within that part.
#[derive(Clone, Copy, Debug)]
pub(super) struct FilterBit(u32);

/// The parts that names are held in, each under a lock of its own. With a million names each has three thousand, which are
/// copied in some 30 us when it grows, and which fill its table well: it doubles at 3,584.
pub(super) const PARTS: usize = 320;

/// A third of a megabyte for all parts, which stays in a core's cache: of 100,000 names one in twenty others is taken for
/// one, of a million one in three.
const BITS_EACH: usize = 1 << 13;
const WORDS_EACH: usize = BITS_EACH / 64;

impl FilterBit {
    /// Mixed with a seed, and good enough for a guess: many IDs made to share one bit only cost look-ups.
    #[inline]
    pub(super) fn of(seed: u64, value: &[u8]) -> Self {
        let mut mixed = seed ^ (value.len() as u64).rotate_left(32);
        let mut rest = value;
        while let Some((chunk, others)) = rest.split_first_chunk() {
            mixed = mix(mixed, *chunk);
            rest = others;
        }
        if !rest.is_empty() {
            let mut last = [0; 16];
            last[..rest.len()].copy_from_slice(rest);
            mixed = mix(mixed, last);
        }
        Self(mixed as u32 % (PARTS * BITS_EACH) as u32)
    }

    pub(super) fn part(self) -> usize {
        self.0 as usize / BITS_EACH
    }

    /// Which bit of its part it is.
    pub(super) fn bit(self) -> u16 {
        (self.0 as usize % BITS_EACH) as u16
    }

    fn word(self) -> usize {
        self.0 as usize / 64
    }
}

/// All bits of both have their part in all bits of what comes out.
#[inline]
fn mix(state: u64, chunk: [u8; 16]) -> u64 {
    let chunk = u128::from_le_bytes(chunk);
    let (upper, lower) = ((chunk >> 64) as u64, chunk as u64);
    let product = u128::from(upper ^ state) * u128::from(lower ^ !state);
    (product >> 64) as u64 ^ product as u64
}

impl BitFilter {
    #[inline]
    pub(super) fn contains(&self, bit: FilterBit) -> bool {
        let mask = 1 << (bit.0 % 64);
        self.0.get().is_some_and(|words| words[bit.word()].load(Ordering::Relaxed) & mask != 0)
    }

    pub(super) fn add(&self, bit: FilterBit) {
        self.words()[bit.word()].fetch_or(1 << (bit.0 % 64), Ordering::Relaxed);
    }

    /// Leaves only these bits of a part, while nothing is added to it. At no moment is one of them missing.
    pub(super) fn leave(&self, part: usize, bits: impl Iterator<Item = u16>) {
        let mut words = [0_u64; WORDS_EACH];
        for bit in bits {
            words[usize::from(bit) / 64] |= 1 << (bit % 64);
        }
        for (held, word) in self.words()[part * WORDS_EACH..].iter().zip(words) {
            held.store(word, Ordering::Relaxed);
        }
    }

    fn words(&self) -> &[AtomicU64] {
        self.0.get_or_init(|| (0..PARTS * WORDS_EACH).map(|_| AtomicU64::new(0)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(n: u32) -> FilterBit {
        FilterBit::of(1, n.to_string().as_bytes())
    }

    #[test]
    fn what_is_added_is_there_and_little_else() {
        let filter = BitFilter::default();
        assert!(!filter.contains(of(0)));
        (0..100_000).for_each(|n| filter.add(of(n)));
        assert!((0..100_000).all(|n| filter.contains(of(n))));
        let others = (100_000..200_000).filter(|n| filter.contains(of(*n))).count();
        assert!(others < 6000, "{others}");
    }

    #[test]
    fn long_names_differ_by_any_of_their_bytes() {
        let name = [b'a'; 70];
        for position in 0..name.len() {
            let mut other = name;
            other[position] = b'b';
            assert_ne!(FilterBit::of(7, &name).0, FilterBit::of(7, &other).0, "{position}");
        }
        assert_ne!(FilterBit::of(7, b"a").0, FilterBit::of(7, b"a\0").0);
    }

    #[test]
    fn what_is_left_of_a_part_stays() {
        let filter = BitFilter::default();
        (0..1000).for_each(|n| filter.add(of(n)));
        let part = of(0).part();
        filter.leave(part, [of(0).bit()].into_iter());
        assert!(filter.contains(of(0)));
        for n in 1..1000 {
            assert_eq!(filter.contains(of(n)), of(n).part() != part || of(n).0 == of(0).0, "{n}");
        }
    }
}
