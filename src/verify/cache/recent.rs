//! Which tokens have been found good lately, by a guess that costs a few instructions.

use std::sync::atomic::{AtomicU64, Ordering};

/// Marks of tokens, of sixteen bits each, in buckets of four: a fifth pushes the first one out.
///
/// Only a guess: a token's mark may have been pushed out, or be another's. Only tokens that were found good leave marks,
/// and whoever asks for one does not choose its signature, so that nobody can aim at a bucket.
pub(super) struct Recent {
    buckets: Box<[AtomicU64]>,
}

impl Recent {
    /// With a bucket, and so with four marks, for each of so many tokens: few of them push each other out.
    pub(super) fn with_room_for(tokens: usize) -> Self {
        let buckets = tokens.clamp(1, MOST_BUCKETS).next_power_of_two();
        Self { buckets: (0..buckets).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Whether this token seems to have been found good lately.
    #[inline]
    pub(super) fn has(&self, token: &[u8]) -> bool {
        let (bucket, mark) = self.place(token);
        let differences = bucket.load(Ordering::Relaxed) ^ (mark * EACH);
        // Whether one of the four is zero: only there a subtraction of one reaches the highest bit first.
        differences.wrapping_sub(EACH) & !differences & (EACH << 15) != 0
    }

    pub(super) fn add(&self, token: &[u8]) {
        let (bucket, mark) = self.place(token);
        // Of two threads that come here at once, one may be lost.
        bucket.store((bucket.load(Ordering::Relaxed) << 16) | mark, Ordering::Relaxed);
    }

    /// By the last bytes, which are the signature's.
    #[inline]
    fn place(&self, token: &[u8]) -> (&AtomicU64, u64) {
        let end = token.last_chunk().map_or(0, |end| u64::from_le_bytes(*end));
        // The higher a bit, the more of the bytes it depends on.
        let mixed = end.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bucket = (mixed >> 40) as usize & (self.buckets.len() - 1);
        (&self.buckets[bucket], mixed >> 24 & 0xffff)
    }
}

/// One in each of the four.
const EACH: u64 = 0x0001_0001_0001_0001;

const MOST_BUCKETS: usize = 1 << 24;

/// What a token's part of the buckets may come to: their number is a power of two.
pub(super) const BYTES_EACH: usize = 2 * size_of::<AtomicU64>();

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens of one bucket, with marks of their own.
    fn neighbours() -> impl Iterator<Item = [u8; 8]> {
        (1_u64..).map(|n| (n << 24).wrapping_mul(INVERSE).to_le_bytes())
    }

    /// Undoes what `place` multiplies with.
    const INVERSE: u64 = 0xf1de_83e1_9937_733d;

    #[test]
    fn the_last_four_of_a_bucket_are_known() {
        let recent = Recent::with_room_for(1000);
        let tokens: Vec<_> = neighbours().take(5).collect();
        for (count, token) in tokens.iter().enumerate() {
            assert!(!recent.has(token));
            recent.add(token);
            for (place, earlier) in tokens[..=count].iter().enumerate() {
                assert_eq!(recent.has(earlier), count - place < 4, "{place} of {count}");
            }
        }
    }

    #[test]
    fn few_tokens_are_taken_for_others() {
        let recent = Recent::with_room_for(1000);
        let token = |n: u64| n.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes();
        for n in 0..1000 {
            recent.add(&token(n));
        }
        assert!((0..1000).filter(|n| recent.has(&token(*n))).count() > 980);
        assert!((1000..101_000).filter(|n| recent.has(&token(*n))).count() < 20);
    }

    #[test]
    fn tokens_and_rooms_of_any_size_will_do() {
        for room in [0, 1, 2, usize::MAX] {
            let recent = Recent::with_room_for(room);
            for token in [&b""[..], b".", b"a.b.c", &[0xff; 100]] {
                recent.add(token);
                assert!(recent.has(token));
            }
        }
    }
}
