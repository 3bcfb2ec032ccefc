//! Sessions. A sign-in starts one. A sign-out, or the reuse of a refresh token, ends it.
//!
//! The database stores ended sessions, so they stay ended after a restart. The revocation list holds them for the check
//! of access tokens.

use std::time::{Duration, SystemTime};

use sqlx::AnyPool;
use tower_jwt_auth::revocation::Revocations;

use crate::clock::{CLOCK_DIFFERENCE, Clock, seconds, time};
use crate::counts::Counts;
use crate::ending::{Ending, Unwritten};
use crate::error::ApiError;
use crate::limits::Limits;
use crate::random;
use crate::refresh_tokens::{self, RefreshToken};
use crate::tokens::ISSUER;
use crate::users::User;

/// Maximum lifetime of a session.
pub(crate) const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Lifetime of a session without a refresh.
pub(crate) const IDLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Time until the row of an expired session is deleted. It exceeds the clock difference between processes, and the
/// lifetime of an access token from the last refresh.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// The store of sessions. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    pub(crate) pool: AnyPool,
    pub(crate) clock: Clock,
    pub(crate) counts: Counts,
    pub(crate) limits: Limits,
    pub(crate) revocations: Revocations,
    pub(crate) unwritten: Unwritten,
}

/// A session that a client has presented. It may have ended.
pub(crate) struct Known {
    pub(crate) sid: String,
    pub(crate) user_id: i64,
    /// True if the refresh token was used before.
    pub(crate) is_used: bool,
    /// False if the session has ended or expired.
    pub(crate) is_open: bool,
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
        let sessions = Self { pool, clock, counts, limits, revocations, unwritten: Unwritten::default() };
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
            false => self.end(too_many.into_iter().map(Ending::of).collect()).await,
        }
    }

    /// Returns the session of a refresh token, used or not.
    pub(crate) async fn find(&self, token: &RefreshToken) -> Result<Option<Known>, sqlx::Error> {
        type Row = (String, i64, Option<i64>, Option<i64>, i64);
        let found: Option<Row> = sqlx::query_as(
            "SELECT sessions.sid, user_id, used, ended, expires
             FROM refresh_tokens JOIN sessions ON sessions.sid = refresh_tokens.sid WHERE hash = $1",
        )
        .bind(token.hash())
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.map(|(sid, user_id, used, ended, expires)| {
            let is_open = ended.is_none() && expires > self.clock.seconds();
            Known { sid, user_id, is_used: used.is_some(), is_open }
        }))
    }

    /// Revokes a session here at once. The list sends it to Redis in the background.
    pub(crate) fn revoke(&self, sid: &str, last_expiry: SystemTime) {
        drop(self.revocations.revoke_session(ISSUER, sid, last_expiry));
    }
}
