use std::sync::atomic::{AtomicU64, Ordering};

use crate::verify::CacheStats;

/// Statistics of the lookups of `ApiKeys` or `Introspection`.
///
/// Clones of a verifier share them.
#[derive(Clone, Debug)]
pub struct LookupStats {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) failed: u64,
    pub(super) limited: u64,
    pub(super) remembered: CacheStats,
}

impl LookupStats {
    /// Returns the number of calls whose answer was a valid credential.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Returns the number of calls whose answer was an unknown or invalid credential.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Returns the number of calls that failed or timed out.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Returns the number of requests that got 503 without a call.
    ///
    /// There was a backoff, or too many requests were waiting.
    #[must_use]
    pub fn limited(&self) -> u64 {
        self.limited
    }

    /// Returns the statistics of the remembered accepted credentials.
    #[must_use]
    pub fn remembered(&self) -> &CacheStats {
        &self.remembered
    }
}

/// The counters behind [`LookupStats`].
#[derive(Default)]
pub(super) struct Counts {
    accepted: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    limited: AtomicU64,
}

/// The end of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Accepted,
    Rejected,
    Failed,
    Limited,
}

impl Counted {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Limited => "limited",
        }
    }
}

impl Counts {
    pub(super) fn add(&self, counted: Counted) {
        let counter = match counted {
            Counted::Accepted => &self.accepted,
            Counted::Rejected => &self.rejected,
            Counted::Failed => &self.failed,
            Counted::Limited => &self.limited,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self, remembered: CacheStats) -> LookupStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LookupStats {
            accepted: read(&self.accepted),
            rejected: read(&self.rejected),
            failed: read(&self.failed),
            limited: read(&self.limited),
            remembered,
        }
    }
}
