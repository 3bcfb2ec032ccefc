use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What has come of [`RemoteKeys`](crate::jwks::RemoteKeys) so far.
#[derive(Clone, Debug)]
pub struct RemoteKeysStats {
    pub(super) fetches: u64,
    pub(super) failures: u64,
    pub(super) stale_uses: u64,
    pub(super) unknown_keys: u64,
    pub(super) cooldown_hits: u64,
    pub(super) rejected_waiters: u64,
    pub(super) keys: usize,
    pub(super) skipped: usize,
    pub(super) age: Option<Duration>,
}

impl RemoteKeysStats {
    /// How many attempts to fetch the keys have been begun.
    #[must_use]
    pub fn fetches(&self) -> u64 {
        self.fetches
    }

    /// How many of them have failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// How often keys were looked at that should have been fetched anew, but could not be: for each token, and once more
    /// where its key was not held.
    #[must_use]
    pub fn stale_uses(&self) -> u64 {
        self.stale_uses
    }

    /// How many tokens came whose key was not held. One that would be refused in any case, for its claims, is not
    /// counted.
    #[must_use]
    pub fn unknown_keys(&self) -> u64 {
        self.unknown_keys
    }

    /// How many tokens had no newer keys fetched, since enough others had lately: whose key was not held, or had not
    /// signed them. They were answered at once.
    #[must_use]
    pub fn cooldown_hits(&self) -> u64 {
        self.cooldown_hits
    }

    /// How many requests were rejected at once, because as many as
    /// [`max_waiting`](super::RemoteKeys::max_waiting) allows were already waiting.
    #[must_use]
    pub fn rejected_waiters(&self) -> u64 {
        self.rejected_waiters
    }

    /// How many keys are held.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// How many keys in the set that is held cannot be used; [`RemoteKeys::skipped_keys`](super::RemoteKeys::skipped_keys) lists
    /// them.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// How long ago the keys that are held were last found to be the provider's, or were given as a
    /// [seed](super::RemoteKeys::seed); `None` where none are held.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.age
    }
}

/// What is counted on the way.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) fetches: Count,
    pub(super) failures: Count,
    pub(super) stale_uses: Count,
    pub(super) unknown_keys: Count,
    pub(super) cooldown_hits: Count,
    pub(super) rejected_waiters: Count,
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
