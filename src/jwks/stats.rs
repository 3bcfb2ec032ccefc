use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters and state of [`RemoteKeys`](crate::jwks::RemoteKeys).
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
    /// Returns the number of attempts to fetch keys that have begun.
    #[must_use]
    pub fn fetches(&self) -> u64 {
        self.fetches
    }

    /// Returns the number of failed attempts.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Returns how often keys were used although a refresh was overdue and had failed.
    ///
    /// It counts once for each token, and once more if its key was not held.
    #[must_use]
    pub fn stale_uses(&self) -> u64 {
        self.stale_uses
    }

    /// Returns the number of tokens whose key was not held.
    ///
    /// Tokens whose claims would be rejected anyway do not count.
    #[must_use]
    pub fn unknown_keys(&self) -> u64 {
        self.unknown_keys
    }

    /// Returns the number of tokens that started no fetch because of the cooldown.
    ///
    /// Their key was not held, or had not signed them. They were answered at once.
    #[must_use]
    pub fn cooldown_hits(&self) -> u64 {
        self.cooldown_hits
    }

    /// Returns the number of requests rejected because too many were already waiting.
    ///
    /// [`max_waiting`](super::RemoteKeys::max_waiting) sets the limit.
    #[must_use]
    pub fn rejected_waiters(&self) -> u64 {
        self.rejected_waiters
    }

    /// Returns the number of keys held.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// Returns the number of keys in the current set that cannot be used.
    ///
    /// [`RemoteKeys::skipped_keys`](super::RemoteKeys::skipped_keys) lists them.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Returns the time since the provider last confirmed the held keys.
    ///
    /// It grows while the keys [rest](super::RemoteKeys::idle_timeout). `None` if no keys are held. For a
    /// [seed](super::RemoteKeys::seed) the time counts from its configuration.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.age
    }
}

/// The counters behind `RemoteKeysStats`.
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
