//! A filter that guesses in a few instructions whether a token has been seen.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Holds a tag of sixteen bits for each token, in buckets of four: a fifth tag evicts the oldest.
///
/// Only a guess: a token's tag may have been evicted, or be another's. Only tokens that were found good leave tags,
/// and nobody can choose the signatures of those. (Whoever has a good token can make bad ones that end like it, and are
/// taken for it here. That costs a look into the cache, which tells them apart.)
pub(super) struct TagFilter {
    buckets: Box<[AtomicU64]>,
    /// Makes the places differ from those in any other store.
    seed: u64,
}

impl TagFilter {
    /// With a bucket, and so with four tags, for each of so many tokens: few of them push each other out.
    pub(super) fn with_room_for(tokens: usize) -> Self {
        let buckets = tokens.clamp(1, MOST_BUCKETS).next_power_of_two();
        Self {
            buckets: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
            seed: RandomState::new().hash_one(0),
        }
    }

    /// Returns true if this token has probably been added.
    #[inline]
    pub(super) fn has(&self, token: &[u8]) -> bool {
        let (bucket, tag) = self.place(token);
        contains(bucket.load(Ordering::Relaxed), tag)
    }

    /// Adds a token. Returns true if it has probably been added before.
    pub(super) fn add(&self, token: &[u8]) -> bool {
        let (bucket, tag) = self.place(token);
        let tags = bucket.load(Ordering::Relaxed);
        let before = contains(tags, tag);
        if !before {
            // Of two threads that come here at once, one's tag may be lost.
            bucket.store((tags << 16) | tag, Ordering::Relaxed);
        }
        before
    }

    /// By the last bytes, which are the signature's.
    #[inline]
    fn place(&self, token: &[u8]) -> (&AtomicU64, u64) {
        let end = token.last_chunk().map_or(0, |end| u128::from_le_bytes(*end));
        // All bits of both halves have their part in all bits of what is left.
        let (upper, lower) = ((end >> 64) as u64 ^ self.seed, end as u64 ^ !self.seed);
        let product = u128::from(upper) * u128::from(lower);
        let mixed = (product >> 64) as u64 ^ product as u64;
        let bucket = (mixed >> 16) as usize & (self.buckets.len() - 1);
        // None is zero, as the tags of no token are.
        (&self.buckets[bucket], mixed & 0xffff | 1)
    }
}

#[inline]
fn contains(tags: u64, tag: u64) -> bool {
    let differences = tags ^ (tag * EACH);
    // Whether one of the four is zero: only there a subtraction of one reaches the highest bit first.
    differences.wrapping_sub(EACH) & !differences & (EACH << 15) != 0
}

/// One in each of the four.
const EACH: u64 = 0x0001_0001_0001_0001;

const MOST_BUCKETS: usize = 1 << 24;

/// What a token's part of the buckets may come to: their number is a power of two.
pub(super) const BYTES_EACH: usize = 2 * size_of::<AtomicU64>();

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_last_four_of_a_bucket_are_known() {
        let filter = TagFilter::with_room_for(100);
        let in_first = |token: &[u8; 16]| std::ptr::eq(filter.place(token).0, &filter.buckets[0]);
        let tokens: Vec<_> = (0_u128..).map(u128::to_le_bytes).filter(in_first).take(5).collect();
        for (count, token) in tokens.iter().enumerate() {
            assert!(!filter.has(token));
            assert!(!filter.add(token));
            assert!(filter.add(token));
            for (place, earlier) in tokens[..=count].iter().enumerate() {
                assert_eq!(filter.has(earlier), count - place < 4, "{place} of {count}");
            }
        }
    }

    #[test]
    fn few_tokens_are_taken_for_others() {
        let filter = TagFilter::with_room_for(1000);
        let token = |n: u64| Sha256::digest(n.to_le_bytes());
        for n in 0..1000 {
            filter.add(&token(n));
        }
        assert!((0..1000).filter(|n| filter.has(&token(*n))).count() > 980);
        assert!((1000..101_000).filter(|n| filter.has(&token(*n))).count() < 20);
    }

    #[test]
    fn tokens_and_rooms_of_any_size_will_do() {
        let filter = TagFilter::with_room_for(1000);
        assert!(!filter.has(b"") && !filter.has(b"a.b.c"));
        for room in [0, 1, 2, usize::MAX] {
            let filter = TagFilter::with_room_for(room);
            for token in [&b""[..], b".", b"a.b.c", &[0xff; 100]] {
                filter.add(token);
                assert!(filter.has(token));
            }
        }
    }
}
