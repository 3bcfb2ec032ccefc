//! Limits on attempts to sign in: by account and by the client's address, with a delay that doubles.
//!
//! An attempt is counted before the password is checked, so that no flood slips through, and taken back if it was right.
//!
//! Whoever guesses at somebody's password does not hold them back where they have been signed in lately: such an address has
//! a count of its own. Anywhere new they may have to wait for as long as the guessing goes on: the delay is bounded, and an
//! attempt that is refused does not prolong it, but whoever asks first when it is over makes the next.

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

/// For how long a failure counts.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

const FIRST_DELAY: Duration = Duration::from_secs(1);

/// Once in so many attempts it is looked whether there are too many rows.
const BETWEEN_LOOKS: u32 = 64;

/// Whom failures are counted of.
pub(crate) type Subject = Vec<u8>;

/// The store. Clones share it.
#[derive(Clone)]
pub(crate) struct Attempts {
    pool: AnyPool,
    clock: Clock,
    limits: Limits,
    known: KnownAddresses,
    held_back: HeldBack,
    begun: Arc<AtomicU32>,
}

/// An attempt that may go on. It counts as failed until it is known to have succeeded.
pub(crate) struct Attempt {
    account: Subject,
    address: Subject,
    by_account: Counted,
    by_address: Counted,
}

/// An attempt to sign up that may go on.
pub(crate) struct SignUpAttempt {
    by_address: Counted,
}

enum Count {
    One(Counted),
    /// In milliseconds since 1970.
    HeldUntil(i64),
}

/// One more failure of a subject.
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

    /// Refuses an address that has been refused lately and has to wait still. Costs nothing.
    pub(crate) fn look(&self, address: &str) -> Result<(), ApiError> {
        let now = self.now();
        match self.held_back.until(&address_subject(address), now) {
            Some(until) => Err(too_many(until, now)),
            None => Ok(()),
        }
    }

    /// Counts an attempt to sign in, or refuses it, whether there is such an account or not.
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

    /// Counts an attempt to sign up against the address alone, as a failure until it is known to have succeeded, and as a
    /// sign-up for good.
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

    /// There is an account. If this fails, it is told on standard error alone: the account is there all the same.
    pub(crate) async fn signed_up(&self, attempt: SignUpAttempt, email: &str) {
        if let Err(error) = self.take_back_address(&attempt.by_address).await {
            report_database(&error);
        }
        self.known.remember(&account_subject(email), &attempt.by_address.subject).await;
    }

    /// The password was right.
    pub(crate) async fn succeeded(&self, attempt: Attempt) -> Result<(), ApiError> {
        sqlx::query("DELETE FROM attempts WHERE subject = $1")
            .bind(attempt.by_account.subject)
            .execute(&self.pool)
            .await?;
        // The other failures of the address stay, or whoever has an account could guess on between two sign-ins.
        self.take_back_address(&attempt.by_address).await?;
        self.known.remember(&attempt.account, &attempt.address).await;
        Ok(())
    }

    /// Somebody is signed in to the account from this address.
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

    /// One statement, so that of many attempts at once no more get through than may.
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
        // To the end, where SQLite commits it.
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

    /// As if it had never been, but for a delay that another has caused since.
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

    /// Deletes rows that are over, and now and then those beyond the maximum, first the ones that are over soonest. Each
    /// attempt makes two rows at most, so that they never pile up.
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
