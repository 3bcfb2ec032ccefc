//! Limits sign-in attempts by account and by client address, with a delay that doubles.
//!
//! An attempt is counted before the password is checked, so parallel attempts cannot bypass the limit. A success undoes
//! the count.
//!
//! An attacker who guesses passwords cannot lock users out where they signed in recently: each such address has its own
//! count. From a new address users may have to wait while the guessing goes on. The delay is bounded, and rejected
//! attempts do not extend it. After the delay, the first attempt goes through, whether it is the user's or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use sqlx::AnyPool;

use crate::clock::Clock;
use crate::error::{ApiError, report_database};
use crate::held_back::HeldBack;
use crate::known_addresses::KnownAddresses;
use crate::limits::Limits;
use crate::users::normal_email;

/// Time until a failure no longer counts.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

const FIRST_DELAY: Duration = Duration::from_secs(1);

/// Number of attempts between two checks for excess rows.
const BETWEEN_LOOKS: u32 = 64;

/// The hash of an account, an address, or both, for which failures are counted.
pub(crate) type Subject = Vec<u8>;

/// The store of attempts. Clones share it.
#[derive(Clone)]
pub(crate) struct Attempts {
    pool: AnyPool,
    clock: Clock,
    limits: Limits,
    known: KnownAddresses,
    held_back: HeldBack,
    begun: Arc<AtomicU32>,
}

/// An allowed sign-in attempt. It counts as failed until it succeeds.
pub(crate) struct Attempt {
    account: Subject,
    address: Subject,
    by_account: Counted,
    by_address: Counted,
}

/// An allowed sign-up attempt.
pub(crate) struct SignUpAttempt {
    by_address: Counted,
}

enum Count {
    One(Counted),
    /// In milliseconds since 1970.
    HeldUntil(i64),
}

/// One counted failure of a subject.
struct Counted {
    subject: Subject,
    last: i64,
    delay: i64,
}

impl Attempts {
    pub(crate) fn new(pool: AnyPool, clock: Clock, limits: Limits) -> Self {
        let known = KnownAddresses::new(pool.clone(), clock.clone());
        Self { pool, clock, limits, known, held_back: HeldBack::default(), begun: Arc::default() }
    }

    /// Rejects an address whose delay is known to this process. Needs no query.
    pub(crate) fn look(&self, address: &str) -> Result<(), ApiError> {
        let now = self.now();
        match self.held_back.until(&address_subject(address), now) {
            Some(until) => Err(too_many(until, now)),
            None => Ok(()),
        }
    }

    /// Counts or rejects a sign-in attempt. Unknown accounts are counted like known ones.
    pub(crate) async fn begin(&self, email: &str, address: &str) -> Result<Attempt, ApiError> {
        let by_address = self.begin_anonymous(address).await?;
        let account = account_subject(email);
        let address = by_address.subject.clone();
        let counted = match self.known.contains(&account, &address).await? {
            true => subject("account and address", &[&account, &address]),
            false => account.clone(),
        };
        match self.count(counted, self.limits.account_failures).await? {
            Count::One(by_account) => Ok(Attempt { account, address, by_account, by_address }),
            Count::HeldUntil(until) => {
                self.take_back_address(&by_address).await?;
                Err(too_many(until, self.now()))
            }
        }
    }

    /// Counts or rejects a sign-up attempt, by address only.
    ///
    /// It counts as a failure until it succeeds. It also counts as a sign-up, which a success does not undo.
    pub(crate) async fn begin_sign_up(&self, address: &str) -> Result<SignUpAttempt, ApiError> {
        let by_address = self.begin_anonymous(address).await?;
        let sign_ups = subject("sign-ups", &[address.as_bytes()]);
        match self.count(sign_ups, self.limits.address_sign_ups).await? {
            Count::One(_) => Ok(SignUpAttempt { by_address }),
            Count::HeldUntil(until) => {
                self.take_back_address(&by_address).await?;
                Err(ApiError::TooManySignUps { retry_after: seconds_left(until, self.now()) })
            }
        }
    }

    /// Records that the account was created. Errors are only logged, because the account exists anyway.
    pub(crate) async fn signed_up(&self, attempt: SignUpAttempt, email: &str) {
        if let Err(error) = self.take_back_address(&attempt.by_address).await {
            report_database(&error);
        }
        self.known.remember(&account_subject(email), &attempt.by_address.subject).await;
    }

    /// Records a successful sign-in.
    pub(crate) async fn succeeded(&self, attempt: Attempt) -> Result<(), ApiError> {
        sqlx::query("DELETE FROM attempts WHERE subject = $1")
            .bind(attempt.by_account.subject)
            .execute(&self.pool)
            .await?;
        // Other failures of the address stay. Otherwise anyone with an account could reset them by signing in.
        self.take_back_address(&attempt.by_address).await?;
        self.known.remember(&attempt.account, &attempt.address).await;
        Ok(())
    }

    /// Records that a user of this address is signed in to the account.
    pub(crate) async fn remember(&self, email: &str, address: &str) {
        self.known.remember_new(&account_subject(email), &address_subject(address)).await;
    }

    async fn begin_anonymous(&self, address: &str) -> Result<Counted, ApiError> {
        let subject = address_subject(address);
        match self.count(subject.clone(), self.limits.address_failures).await? {
            Count::One(counted) => {
                self.forget_some().await;
                Ok(counted)
            }
            Count::HeldUntil(until) => {
                self.held_back.hold(subject, until);
                Err(too_many(until, self.now()))
            }
        }
    }

    /// Counts in one statement, so parallel attempts cannot exceed the limit.
    async fn count(&self, subject: Subject, free: u32) -> Result<Count, sqlx::Error> {
        let now = self.now();
        let counted: Option<(i64, i64)> = sqlx::query_as(
            "INSERT INTO attempts (subject, failures, last, delay, expires) VALUES ($1, 1, $2, 0, $3)
             ON CONFLICT (subject) DO UPDATE SET
                 failures = CASE WHEN attempts.expires <= $2 THEN 1 ELSE attempts.failures + 1 END,
                 last = $2,
                 delay = CASE WHEN attempts.expires <= $2 OR attempts.failures + 1 < $4 THEN 0
                     WHEN attempts.delay = 0 THEN $5
                     WHEN attempts.delay * 2 < $6 THEN attempts.delay * 2 ELSE $6 END,
                 expires = $3
             WHERE attempts.delay = 0 OR attempts.last + attempts.delay <= $2
             RETURNING last, delay",
        )
        .bind(subject.clone())
        .bind(now)
        .bind(now + millis(REMEMBERED))
        .bind(i64::from(free))
        .bind(millis(FIRST_DELAY))
        .bind(millis(self.limits.longest_delay))
        // Reads to the end, because SQLite commits there.
        .fetch_all(&self.pool)
        .await?
        .pop();
        match counted {
            Some((last, delay)) => Ok(Count::One(Counted { subject, last, delay })),
            None => Ok(Count::HeldUntil(self.held_until(subject).await?.unwrap_or(now))),
        }
    }

    async fn held_until(&self, subject: Subject) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar("SELECT last + delay FROM attempts WHERE subject = $1")
            .bind(subject)
            .fetch_optional(&self.pool)
            .await
    }

    async fn take_back_address(&self, counted: &Counted) -> Result<(), sqlx::Error> {
        self.take_back(counted).await?;
        self.held_back.release(&counted.subject);
        Ok(())
    }

    /// Undoes a count, but keeps a delay that a later attempt caused.
    async fn take_back(&self, counted: &Counted) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE attempts SET failures = failures - 1,
                 last = CASE WHEN last = $2 AND delay = $3 THEN last - delay ELSE last END,
                 delay = CASE WHEN last = $2 AND delay = $3 THEN delay / 2 ELSE delay END
             WHERE subject = $1 AND failures > 0",
        )
        .bind(counted.subject.clone())
        .bind(counted.last)
        .bind(counted.delay)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Deletes some expired rows, and every 64th time those beyond the maximum, starting with the earliest expiry.
    /// An attempt creates at most two rows, so the table stays small.
    async fn forget_some(&self) {
        let expired = sqlx::query(
            "DELETE FROM attempts WHERE subject IN (SELECT subject FROM attempts WHERE expires <= $1 LIMIT 10)",
        )
        .bind(self.now())
        .execute(&self.pool);
        let too_many = sqlx::query(
            "DELETE FROM attempts WHERE subject IN
                 (SELECT subject FROM attempts ORDER BY expires DESC LIMIT 1000 OFFSET $1)",
        )
        .bind(i64::from(self.limits.attempt_rows))
        .execute(&self.pool);
        let forgotten = async {
            expired.await?;
            if self.begun.fetch_add(1, Ordering::Relaxed).is_multiple_of(BETWEEN_LOOKS) {
                too_many.await?;
            }
            Ok::<_, sqlx::Error>(())
        };
        if let Err(error) = forgotten.await {
            report_database(&error);
        }
    }

    fn now(&self) -> i64 {
        millis(self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

fn account_subject(email: &str) -> Subject {
    subject("account", &[normal_email(email).as_bytes()])
}

fn address_subject(address: &str) -> Subject {
    subject("address", &[address.as_bytes()])
}

fn too_many(until: i64, now: i64) -> ApiError {
    ApiError::TooManyAttempts { retry_after: seconds_left(until, now) }
}

fn seconds_left(until: i64, now: i64) -> u64 {
    let left = until.saturating_sub(now).max(0) as u64;
    left.div_ceil(1000).max(1)
}

fn subject(kind: &str, names: &[&[u8]]) -> Subject {
    let mut hash = Sha256::new_with_prefix(kind);
    for name in names {
        hash.update([0xff]);
        hash.update(name);
    }
    hash.finalize().to_vec()
}

fn millis(duration: Duration) -> i64 {
    duration.as_millis() as i64
}
