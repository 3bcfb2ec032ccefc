//! A table of fingerprints in shards, so that growing or sweeping one shard blocks others only briefly.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::fingerprint::Fingerprint;
use crate::observe;
use crate::sync::RwLock;

/// Entries with an expiry and a value. For equal IDs the greatest of both is kept.
pub(super) struct Table<V> {
    shards: Box<[RwLock<Shard<V>>]>,
    len: AtomicUsize,
    /// The shard to sweep next.
    next: AtomicUsize,
}

struct Shard<V> {
    entries: HashMap<Fingerprint, Entry<V>>,
    swept_at: u32,
}

/// Packed: a fifth of the table would be padding otherwise.
#[derive(Clone, Copy)]
#[repr(Rust, packed(4))]
struct Entry<V> {
    /// In seconds since 1970.
    expiry: u32,
    value: V,
}

/// With a million entries a shard has 3,100 of its 3,584 places in use. Copying them when it grows takes about 30 us.
const SHARDS: usize = 320;

/// Minimum time between two sweeps of a shard, in seconds.
const PAUSE: u32 = 60;

impl<V: Copy + Ord> Table<V> {
    /// Adds an entry. If it exists, keeps the later expiry and the greater value.
    pub(super) fn insert(&self, id: Fingerprint, expiry: u32, value: V) {
        self.change(id.shard(SHARDS), |shard| {
            let held = shard.entries.entry(id).or_insert(Entry { expiry, value });
            *held = Entry { expiry: expiry.max(held.expiry), value: value.max(held.value) };
        });
    }

    /// Returns true if there is an entry with this value or a greater one.
    #[inline]
    pub(super) fn contains(&self, id: Fingerprint, value: V) -> bool {
        !self.is_empty() && self.holds(id, value)
    }

    fn holds(&self, id: Fingerprint, value: V) -> bool {
        let shard = self.shards[id.shard(SHARDS)].read().unwrap_or_else(PoisonError::into_inner);
        shard.entries.get(&id).is_some_and(|held| value <= { held.value })
    }

    /// Removes entries of one shard that expired before `oldest`, and frees memory. Each call takes the next shard.
    pub(super) fn sweep(&self, now: u32, oldest: u32) {
        if self.is_empty() {
            return;
        }
        let index = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        self.change(index, |Shard { entries, swept_at }| {
            if swept_at.abs_diff(now) < PAUSE {
                return;
            }
            *swept_at = now;
            entries.retain(|_, entry| entry.expiry >= oldest);
            if entries.len() < entries.capacity() / 4 {
                entries.shrink_to(2 * entries.len());
            }
        });
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut Shard<V>)) {
        let mut shard = self.shards[index].write().unwrap_or_else(PoisonError::into_inner);
        let before = shard.entries.len();
        change(&mut shard);
        // Wraps around if there are fewer; the sum wraps back.
        let more = shard.entries.len().wrapping_sub(before);
        self.len.fetch_add(more, Ordering::Relaxed);
        drop(shard);
        observe::revocations_held(more as isize);
    }
}

impl<V> Table<V> {
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        let shard = || RwLock::new(Shard { entries: HashMap::new(), swept_at: 0 });
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            len: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
        }
    }
}

impl<V> Drop for Table<V> {
    fn drop(&mut self) {
        observe::revocations_held(-(self.len() as isize));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documentation states the memory per entry.
    #[test]
    fn entries_have_no_padding() {
        assert_eq!(size_of::<(Fingerprint, Entry<()>)>(), 20);
        assert_eq!(size_of::<(Fingerprint, Entry<u64>)>(), 28);
    }
}
