use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// How well a list of [`Revocations`](crate::revocation::Revocations) and its store are in touch.
#[derive(Clone, Debug)]
pub struct SharedRevocationsStats {
    pub(super) age: Option<Duration>,
    pub(super) waiting: u64,
    pub(super) oldest_waiting: Option<Duration>,
    pub(super) failed_reads: u64,
    pub(super) failed_writes: u64,
    pub(super) last_error: Option<Arc<dyn Error + Send + Sync>>,
}

impl SharedRevocationsStats {
    /// How long ago everything in the store was on the list, if it ever was: hardly more than a second, unless the store is away.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// How many entries of this process the store has not confirmed yet.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// For how long the oldest of them has waited: if it is long, what this process has revoked is not known to the others.
    #[must_use]
    pub fn oldest_waiting(&self) -> Option<Duration> {
        self.oldest_waiting
    }

    /// How often reading from the store has failed.
    #[must_use]
    pub fn failed_reads(&self) -> u64 {
        self.failed_reads
    }

    /// How often writing to it has failed.
    #[must_use]
    pub fn failed_writes(&self) -> u64 {
        self.failed_writes
    }

    /// Why the last read failed, or else the last write. `None` after good attempts.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<dyn Error + Send + Sync>> {
        self.last_error.clone()
    }
}
