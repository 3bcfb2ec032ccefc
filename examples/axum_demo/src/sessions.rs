//! Sessions. A sign-in starts one. A sign-out, or the reuse of a refresh token, ends it.
//!
//! The database stores ended sessions, so they stay ended after a restart. The revocation list holds them for the check
//! of access tokens. What the database cannot store is written later.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sqlx::AnyPool;
use tokio::time::{sleep, timeout};
use tower_jwt_auth::revocation::Revocations;

use crate::clock::{CLOCK_DIFFERENCE, Clock, seconds, time};
use crate::counts::Counts;
use crate::error::ApiError;
use crate::limits::Limits;
use crate::random;
use crate::refresh_tokens::{self, RefreshToken};
use crate::tokens::{ISSUER, LIFETIME};
use crate::users::User;

/// Maximum lifetime of a session.
pub(crate) const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Lifetime of a session without a refresh.
pub(crate) const IDLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Time until the row of an expired session is deleted. It exceeds the clock difference between processes, and the
/// lifetime of an access token from the last refresh.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// Time limit for writing down that sessions have ended. A database may make writers wait for longer.
const LONGEST_WRITE: Duration = Duration::from_secs(3);

/// Time between two attempts to write down what the database could not store.
const RETRY: Duration = Duration::from_secs(1);

/// The store of sessions. Clones share it.
#[derive(Clone)]
pub(crate) struct Sessions {
    pub(crate) pool: AnyPool,
    pub(crate) clock: Clock,
    pub(crate) counts: Counts,
    pub(crate) limits: Limits,
    pub(crate) revocations: Revocations,
    /// Ended sessions that are not in the database yet.
    unwritten: Arc<Mutex<BTreeSet<String>>>,
}

/// A session that a client has presented. It may have ended.
pub(crate) struct Known {
    pub(crate) sid: String,
    pub(crate) user_id: i64,
    /// True if the refresh token was used before.
    pub(crate) is_used: bool,
}

/// An active session.
pub(crate) struct Session {
    pub(crate) sid: String,
    pub(crate) user: User,
    /// The next refresh token, which is valid for `lasts`.
    pub(crate) refresh_token: RefreshToken,
    pub(crate) lasts: Duration,
}

impl Sessions {
    /// Loads the ended sessions into the revocation list.
    pub(crate) async fn open(
        pool: AnyPool,
        revocations: Revocations,
        clock: Clock,
        counts: Counts,
        limits: Limits,
    ) -> Result<Self, sqlx::Error> {
        let sessions = Self { pool, clock, counts, limits, revocations, unwritten: Arc::default() };
        let ended: Vec<(String, i64)> =
            sqlx::query_as("SELECT sid, expires FROM sessions WHERE ended IS NOT NULL AND expires > $1")
                .bind(sessions.clock.seconds() - seconds(KEPT))
                .fetch_all(&sessions.pool)
                .await?;
        for (sid, expires) in ended {
            // Also writes to Redis, in case it lost the entry.
            sessions.revoke(&sid, time(expires));
        }
        tokio::spawn(sessions.clone().write_later());
        Ok(sessions)
    }

    /// Starts a session. If the user has too many, ends the oldest ones.
    pub(crate) async fn begin(&self, user: User) -> Result<Session, ApiError> {
        self.make_room(user.id).await?;
        let (sid, refresh_token) = (random::text::<16>()?, RefreshToken::new()?);
        let now = self.clock.seconds();
        let mut transaction = self.pool.begin().await?;
        sqlx::query("INSERT INTO sessions (sid, user_id, began, expires) VALUES ($1, $2, $3, $4)")
            .bind(sid.clone())
            .bind(user.id)
            .bind(now)
            .bind(now + seconds(IDLE))
            .execute(&mut *transaction)
            .await?;
        refresh_tokens::insert(&mut transaction, &refresh_token, &sid).await?;
        // Each new session deletes some expired ones, so the table stays small.
        sqlx::query(
            "DELETE FROM sessions WHERE sid IN (SELECT sid FROM sessions WHERE expires < $1 LIMIT 10)",
        )
        .bind(now - seconds(KEPT))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Session { sid, user, refresh_token, lasts: IDLE })
    }

    async fn make_room(&self, user_id: i64) -> Result<(), ApiError> {
        let now = self.clock.seconds();
        let too_many: Vec<String> = sqlx::query_scalar(
            "SELECT sid FROM sessions WHERE user_id = $1 AND ended IS NULL AND expires > $2
             ORDER BY began > $4, began DESC, sid LIMIT 100 OFFSET $3",
        )
        .bind(user_id)
        .bind(now)
        .bind(self.limits.sessions.saturating_sub(1) as i64)
        // Sessions from a clock that was ahead end first.
        .bind(now + seconds(CLOCK_DIFFERENCE))
        .fetch_all(&self.pool)
        .await?;
        match too_many.is_empty() {
            true => Ok(()),
            false => self.end(too_many).await,
        }
    }

    /// Returns the session of a refresh token, used or not.
    pub(crate) async fn find(&self, token: &RefreshToken) -> Result<Option<Known>, sqlx::Error> {
        let found: Option<(String, i64, Option<i64>)> = sqlx::query_as(
            "SELECT sessions.sid, user_id, used FROM refresh_tokens JOIN sessions ON sessions.sid = refresh_tokens.sid
             WHERE hash = $1",
        )
        .bind(token.hash())
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.map(|(sid, user_id, used)| Known { sid, user_id, is_used: used.is_some() }))
    }

    /// Ends sessions: writes that down, then revokes their access tokens. May be repeated.
    ///
    /// If the database cannot store it, the caller gets the error. The tokens are invalid from now on anyway, and
    /// [`write_later`](Self::write_later) tries again.
    pub(crate) async fn end(&self, sids: Vec<String>) -> Result<(), ApiError> {
        // Sorted, so two processes that end the same sessions cannot deadlock.
        let sids = BTreeSet::from_iter(sids);
        let sessions = self.clone();
        // A task completes even if the request runs out of time.
        let ended = tokio::spawn(async move {
            let written = sessions.write_down(&sids).await;
            for sid in &sids {
                sessions.revoke(sid, sessions.clock.now() + LIFETIME);
            }
            if written.is_err() {
                sessions.unwritten().extend(sids);
            }
            written
        });
        ended.await.map_err(ApiError::internal)?.map_err(ApiError::from)
    }

    /// Ends all current sessions of the user of a session. Ends at least that one, even if there is an error.
    pub(crate) async fn end_all(&self, session: Known) -> Result<(), ApiError> {
        let statement = "SELECT sid FROM sessions WHERE user_id = $1 AND ended IS NULL";
        let found = sqlx::query_scalar(statement).bind(session.user_id).fetch_all(&self.pool).await;
        let (mut sids, failure): (Vec<String>, _) = match found {
            Ok(sids) => (sids, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        sids.push(session.sid);
        self.end(sids).await?;
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Writes what the database could not store, until the database is closed.
    async fn write_later(self) {
        while !self.pool.is_closed() {
            sleep(RETRY).await;
            let _ = self.write_unwritten().await;
        }
    }

    /// Writes what the database could not store, if it can now, and closes it.
    pub(crate) async fn close(&self) {
        let _ = self.write_unwritten().await;
        self.pool.close().await;
    }

    async fn write_unwritten(&self) -> Result<(), sqlx::Error> {
        let sids = self.unwritten().clone();
        if !sids.is_empty() {
            self.write_down(&sids).await?;
            self.unwritten().retain(|sid| !sids.contains(sid));
        }
        Ok(())
    }

    fn unwritten(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // Nothing under the lock can panic.
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Revokes a session here at once. The list sends it to Redis in the background.
    fn revoke(&self, sid: &str, last_expiry: SystemTime) {
        drop(self.revocations.revoke_session(ISSUER, sid, last_expiry));
    }

    async fn write_down(&self, sids: &BTreeSet<String>) -> Result<(), sqlx::Error> {
        let now = self.clock.seconds();
        let written = async {
            let mut transaction = self.pool.begin().await?;
            for sid in sids {
                sqlx::query("UPDATE sessions SET expires = $2, ended = $3 WHERE sid = $1 AND ended IS NULL")
                    .bind(sid.clone())
                    .bind(now + seconds(LIFETIME))
                    .bind(now)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await
        };
        timeout(LONGEST_WRITE, written).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}
