//! Counts events in fixed windows of time and rejects those beyond a limit.
//!
//! The database has the counts, so processes share them and restarts keep them. A count belongs to one window, so what a
//! wrong clock has counted is over when the clock is right.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, AnyPool};

use crate::clock::Clock;
use crate::error::ApiError;

/// Maximum number of reached limits that a process remembers. The database has all of them.
const MOST: usize = 4_096;

const MINUTE: i64 = 60;
/// The longest window, in seconds.
const HOUR: i64 = 60 * MINUTE;

/// What is counted, such as the failures of an account, and its limit.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    /// A hash: what people type for an email may be a secret.
    subject: Vec<u8>,
    most: u32,
    /// In seconds.
    window: i64,
    /// Creates the error from the seconds until the next window.
    error: fn(u64) -> ApiError,
}

impl Limit {
    /// Limits failures in each minute. `names` name the account or client.
    pub(crate) fn failures(kind: &str, names: &[&str], most: u32) -> Self {
        Self { subject: hash(kind, names), most, window: MINUTE, error: ApiError::too_many_attempts }
    }

    /// Limits the refreshes of a session in each minute.
    pub(crate) fn refreshes(sid: &str, most: u32) -> Self {
        Self { subject: hash("refreshes", &[sid]), most, window: MINUTE, error: ApiError::too_many_refreshes }
    }

    /// Limits the sign-ups of an address or a network in each hour.
    pub(crate) fn sign_ups(name: &str, most: u32) -> Self {
        Self { subject: hash("sign-ups", &[name]), most, window: HOUR, error: ApiError::too_many_sign_ups }
    }

    fn end_of_window(&self, now: i64) -> i64 {
        (now / self.window + 1) * self.window
    }
}

pub(crate) fn hash(kind: &str, names: &[&str]) -> Vec<u8> {
    let mut hash = Sha256::new_with_prefix(kind);
    for name in names {
        // No text contains this byte.
        hash.update([0xff]);
        hash.update(name);
    }
    hash.finalize().to_vec()
}

/// One counted event.
pub(crate) struct Counted {
    subject: Vec<u8>,
    ends: i64,
}

/// The counts. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    clock: Clock,
    /// The subjects whose limit is reached, with the end of the window.
    full: Arc<Mutex<HashMap<Vec<u8>, i64>>>,
}

impl Counts {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, full: Arc::default() }
    }

    /// Rejects an event if this process knows that the limit is reached. Needs no query.
    pub(crate) fn look(&self, limit: &Limit) -> Result<(), ApiError> {
        let now = self.clock.seconds();
        let ends = limit.end_of_window(now);
        match self.full().get(&limit.subject) {
            Some(full) if *full == ends => Err((limit.error)((ends - now) as u64)),
            _ => Ok(()),
        }
    }

    /// Counts or rejects an event in one statement, so parallel events cannot exceed the limit.
    pub(crate) async fn count(
        &self,
        database: &mut AnyConnection,
        limit: Limit,
    ) -> Result<Counted, ApiError> {
        let now = self.clock.seconds();
        let ends = limit.end_of_window(now);
        let count: Option<i64> = sqlx::query_scalar(
            "INSERT INTO counts (subject, ends, count) VALUES ($1, $2, 1)
             ON CONFLICT (subject, ends) DO UPDATE SET count = counts.count + 1 WHERE counts.count < $3
             RETURNING count",
        )
        .bind(limit.subject.clone())
        .bind(ends)
        .bind(i64::from(limit.most))
        // Reads to the end, because SQLite commits there.
        .fetch_all(&mut *database)
        .await?
        .pop();
        match count {
            // New rows pay for the old ones: those of past windows, and those of a clock that was ahead.
            Some(1) => {
                let forget = "DELETE FROM counts WHERE ends <= $1 OR ends > $2";
                sqlx::query(forget).bind(now).bind(now + 2 * HOUR).execute(database).await?;
            }
            Some(_) => {}
            None => {
                let mut full = self.full();
                if full.len() >= MOST {
                    full.clear();
                }
                full.insert(limit.subject, ends);
                return Err((limit.error)((ends - now) as u64));
            }
        }
        Ok(Counted { subject: limit.subject, ends })
    }

    /// Takes back an event that turned out not to count.
    pub(crate) async fn take_back(&self, pool: &AnyPool, counted: Counted) -> Result<(), sqlx::Error> {
        self.full().remove(&counted.subject);
        let statement = "UPDATE counts SET count = count - 1 WHERE subject = $1 AND ends = $2 AND count > 0";
        sqlx::query(statement).bind(counted.subject).bind(counted.ends).execute(pool).await?;
        Ok(())
    }

    fn full(&self) -> MutexGuard<'_, HashMap<Vec<u8>, i64>> {
        // Nothing under the lock can panic.
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
