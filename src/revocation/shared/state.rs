//! The state of the connection to the store.

use std::error::Error;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::timestamp::Timestamp;
use super::{SharedRevocationsStats, StoreError};
use crate::observe;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Shared by the users of the list and the background task.
pub(super) struct State {
    began: Timestamp,
    /// How long the list counts as up to date after it was last complete.
    outage_limit: Duration,
    /// When the list was last complete, in milliseconds after `began` by each clock. [`NEVER`] if it was not.
    complete: AtomicU64,
    complete_on_the_wall: AtomicU64,
    has_become_current: Notify,
    reads: Count,
    writes: Count,
    /// Number of entries that wait for the store.
    pub(super) waiting: AtomicU64,
    oldest_waiting: Mutex<Option<Instant>>,
}

const NEVER: u64 = u64::MAX;

/// Failed attempts: in total, and since the last success.
#[derive(Default)]
struct Count {
    failed: AtomicU64,
    in_a_row: AtomicU64,
    /// The error of the last attempt, if it failed.
    last_error: Mutex<Option<Arc<dyn Error + Send + Sync>>>,
}

impl Count {
    fn last_error(&self) -> Option<Arc<dyn Error + Send + Sync>> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_last_error(&self, error: Option<Arc<dyn Error + Send + Sync>>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

/// An operation on the store.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Read,
    Write,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl State {
    pub(super) fn new(outage_limit: Duration) -> Self {
        Self {
            began: Timestamp::now(),
            outage_limit,
            complete: AtomicU64::new(NEVER),
            complete_on_the_wall: AtomicU64::new(0),
            has_become_current: Notify::new(),
            reads: Count::default(),
            writes: Count::default(),
            waiting: AtomicU64::new(0),
            oldest_waiting: Mutex::default(),
        }
    }

    /// Returns true if the list was complete recently. Reads the clock, so that it works even if the task has died.
    #[inline]
    pub(super) fn is_current(&self) -> bool {
        self.age().is_some_and(|age| age < self.outage_limit)
    }

    /// Records that the list contains everything that was in the store at this time.
    pub(super) fn complete_as_of(&self, time: Timestamp) {
        let wall = time.wall.duration_since(self.began.wall).unwrap_or_default();
        self.complete_on_the_wall.store(millis(wall), Ordering::Relaxed);
        // `Release`: those who see this value also see the entries.
        self.complete.store(millis(time.steady - self.began.steady), Ordering::Release);
        self.has_become_current.notify_waiters();
    }

    /// Records that the list may be incomplete.
    pub(super) fn is_incomplete(&self) {
        self.complete.store(NEVER, Ordering::Relaxed);
    }

    /// Returns the time since the list was last complete.
    #[inline]
    fn age(&self) -> Option<Duration> {
        // `Acquire`: pairs with the `Release` above, and keeps the clock from being read earlier.
        let complete = self.complete.load(Ordering::Acquire);
        let wall = self.complete_on_the_wall.load(Ordering::Relaxed);
        let at = || Timestamp {
            wall: self.began.wall + Duration::from_millis(wall),
            steady: self.began.steady + Duration::from_millis(complete),
        };
        (complete != NEVER).then(|| at().elapsed())
    }

    /// Waits until the list is up to date.
    pub(super) async fn ready(&self, limit: Duration) -> bool {
        if self.is_current() || Handle::try_current().is_err() {
            return self.is_current();
        }
        let current = async {
            loop {
                let change = self.has_become_current.notified();
                if self.is_current() {
                    return;
                }
                change.await;
            }
        };
        timeout(limit, current).await.is_ok()
    }

    /// Records a success.
    pub(super) fn succeeded(&self, attempt: Operation) {
        let count = self.count(attempt);
        let failures = count.in_a_row.swap(0, Ordering::Relaxed);
        if failures > 0 {
            count.set_last_error(None);
        }
        observe::store_answered(attempt.name(), failures);
    }

    /// Records a failure. Returns the number of failures in a row.
    pub(super) fn failed(&self, attempt: Operation, error: StoreError) -> u64 {
        let error = Arc::from(error);
        let count = self.count(attempt);
        count.set_last_error(Some(Arc::clone(&error)));
        count.failed.fetch_add(1, Ordering::Relaxed);
        let failures = count.in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        observe::store_failed(attempt.name(), &*error, failures);
        failures
    }

    pub(super) fn is_failing(&self, attempt: Operation) -> bool {
        self.count(attempt).in_a_row.load(Ordering::Relaxed) > 0
    }

    pub(super) fn set_oldest_waiting(&self, since: Option<Instant>) {
        *self.oldest_waiting.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Returns the error of the last read, or else of the last write.
    pub(super) fn last_error(&self) -> Option<Arc<dyn Error + Send + Sync>> {
        self.reads.last_error().or_else(|| self.writes.last_error())
    }

    pub(super) fn stats(&self) -> SharedRevocationsStats {
        SharedRevocationsStats {
            age: self.age(),
            waiting: self.waiting.load(Ordering::Relaxed),
            oldest_waiting: self
                .oldest_waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .map(|since| since.elapsed()),
            failed_reads: self.reads.failed.load(Ordering::Relaxed),
            failed_writes: self.writes.failed.load(Ordering::Relaxed),
            last_error: self.last_error(),
        }
    }

    fn count(&self, attempt: Operation) -> &Count {
        match attempt {
            Operation::Read => &self.reads,
            Operation::Write => &self.writes,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(NEVER)
}
