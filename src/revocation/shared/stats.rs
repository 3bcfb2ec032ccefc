use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// The state of the connection between a list of [`Revocations`](crate::revocation::Revocations) and its store.
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
    /// Returns the time since the list was last complete, if it ever was.
    ///
    /// A complete list contains everything in the store. The time is hardly more than a second, except during an outage
    /// of the store.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// Returns the number of this process's entries that are not confirmed yet.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Returns how long the oldest of them has waited.
    ///
    /// If it is long, other processes do not know these revocations.
    #[must_use]
    pub fn oldest_waiting(&self) -> Option<Duration> {
        self.oldest_waiting
    }

    /// Returns the number of failed reads.
    #[must_use]
    pub fn failed_reads(&self) -> u64 {
        self.failed_reads
    }

    /// Returns the number of failed writes.
    #[must_use]
    pub fn failed_writes(&self) -> u64 {
        self.failed_writes
    }

    /// Returns the error of a failing read, otherwise of a failing write.
    ///
    /// `None` if both succeed.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<dyn Error + Send + Sync>> {
        self.last_error.clone()
    }
}
