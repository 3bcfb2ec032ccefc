//! Decides which new tokens a full cache admits.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Remembers a tag of each accepted token, in buckets of four. A fifth tag replaces the oldest.
///
/// Its answer may be wrong, because a tag was replaced or belongs to another token. This costs a signature check or an
/// entry, but never changes a verdict. Only accepted tokens leave tags, and no client can choose their signatures.
pub(super) struct Doorkeeper {
    buckets: Box<[AtomicU64]>,
    hasher: RandomState,
}

/// The number of buckets is a power of two. There is one for every one or two entries.
pub(super) const BYTES_EACH: usize = size_of::<AtomicU64>();

const MAX_BUCKETS: usize = 1 << 24;

impl Doorkeeper {
    pub(super) fn new(entries: usize) -> Self {
        let buckets = entries.div_ceil(2).clamp(1, MAX_BUCKETS).next_power_of_two();
        Self { buckets: (0..buckets).map(|_| AtomicU64::new(0)).collect(), hasher: RandomState::new() }
    }

    /// Returns true if the token has probably been seen before, and remembers it.
    pub(super) fn admits(&self, token: &impl Hash) -> bool {
        let hash = self.hasher.hash_one(token);
        let tag = (hash >> 48) as u16;
        let bucket = &self.buckets[hash as usize & (self.buckets.len() - 1)];
        let tags = bucket.load(Ordering::Relaxed);
        let is_known = [0, 16, 32, 48].into_iter().any(|shift| (tags >> shift) as u16 == tag);
        if !is_known {
            // Two threads may store at the same time: then one tag is lost.
            bucket.store(tags << 16 | u64::from(tag), Ordering::Relaxed);
        }
        is_known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_a_token_the_second_time() {
        let doorkeeper = Doorkeeper::new(1000);
        let admitted = (0..1000).filter(|n| doorkeeper.admits(n)).count();
        assert!(admitted < 10, "{admitted}");
        // Later tags have replaced only a few.
        let admitted = (0..1000).filter(|n| doorkeeper.admits(n)).count();
        assert!(admitted > 750, "{admitted}");
        assert!(doorkeeper.admits(&999));
    }

    #[test]
    fn admits_four_of_one_bucket_in_turn() {
        let doorkeeper = Doorkeeper::new(1);
        let admitted: Vec<_> = [1, 2, 3, 4, 1, 2, 3, 4, 5, 1].iter().map(|n| doorkeeper.admits(n)).collect();
        assert_eq!(admitted, [false, false, false, false, true, true, true, true, false, false]);
    }

    #[test]
    fn forgets_tokens_that_many_others_followed() {
        let doorkeeper = Doorkeeper::new(100);
        for n in 0..10_000 {
            doorkeeper.admits(&n);
        }
        assert!((0..100).filter(|n| doorkeeper.admits(n)).count() < 5);
    }

    #[test]
    fn supports_any_number_of_entries() {
        for entries in [0, 1, 3, usize::MAX] {
            let doorkeeper = Doorkeeper::new(entries);
            doorkeeper.admits(&7);
            assert!(doorkeeper.admits(&7), "{entries}");
        }
    }
}
