//! Decides which new tokens a full cache admits.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU16, Ordering};

/// Remembers a tag of each accepted token, in one of many slots. A later tag in the same slot takes its place.
///
/// It may be wrong: a tag may have been replaced, or belong to another token. That costs a signature check or an entry,
/// never a verdict. Only accepted tokens leave tags, and no client can choose their signatures.
pub(super) struct Doorkeeper {
    tags: Box<[AtomicU16]>,
    hasher: RandomState,
}

/// The number of slots is a power of two: up to two for each entry.
pub(super) const BYTES_EACH: usize = 2 * size_of::<AtomicU16>();

const MAX_SLOTS: usize = 1 << 24;

impl Doorkeeper {
    pub(super) fn new(entries: usize) -> Self {
        let slots = entries.clamp(1, MAX_SLOTS).next_power_of_two();
        Self { tags: (0..slots).map(|_| AtomicU16::new(0)).collect(), hasher: RandomState::new() }
    }

    /// Returns true if the token has probably been seen before, and remembers it.
    pub(super) fn admits(&self, token: &[u8]) -> bool {
        // The end of the signature: see the hash of the cache.
        let hash = self.hasher.hash_one(token.last_chunk::<16>().map_or(token, |end| end));
        let tag = (hash >> 48) as u16;
        let slot = &self.tags[hash as usize & (self.tags.len() - 1)];
        // A busy slot is only read.
        slot.load(Ordering::Relaxed) == tag || {
            slot.store(tag, Ordering::Relaxed);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(n: u32) -> [u8; 20] {
        let mut token = [0; 20];
        token[10..14].copy_from_slice(&n.to_be_bytes());
        token
    }

    #[test]
    fn admits_a_token_the_second_time() {
        let doorkeeper = Doorkeeper::new(1000);
        let admitted = (0..1000).filter(|n| doorkeeper.admits(&token(*n))).count();
        assert!(admitted < 5, "{admitted}");
        // Some lost their slot to a later token.
        let admitted = (0..1000).filter(|n| doorkeeper.admits(&token(*n))).count();
        assert!((350..900).contains(&admitted), "{admitted}");
        assert!(doorkeeper.admits(&token(999)));
    }

    #[test]
    fn forgets_tokens_that_many_others_followed() {
        let doorkeeper = Doorkeeper::new(100);
        for n in 0..10_000 {
            doorkeeper.admits(&token(n));
        }
        assert!((0..100).filter(|n| doorkeeper.admits(&token(*n))).count() < 5);
    }

    #[test]
    fn any_size_and_any_token_will_do() {
        for entries in [0, 1, 3, usize::MAX] {
            let doorkeeper = Doorkeeper::new(entries);
            for token in [&b""[..], b"a", &[0xff; 100]] {
                doorkeeper.admits(token);
                assert!(doorkeeper.admits(token));
            }
        }
    }
}
