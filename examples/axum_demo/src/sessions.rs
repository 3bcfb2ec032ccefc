//! Sessions. A sign-in starts one. A sign-out, or the reuse of a refresh token, ends it.
//!
//! The database stores ended sessions, so they stay ended after a restart. The revocation list holds them for the check
//! of access tokens.

use std::time::{Duration, SystemTime};

use sqlx::{AnyConnection, AnyPool};
use tower_jwt_auth::revocation::Revocations;

use crate::clock::{Clock, seconds, time};
use crate::error::{ApiError, report_database};
use crate::random;
use crate::refresh_tokens::{self, RefreshToken};
use crate::tokens::{ISSUER, LONGEST_LIFETIME};
use crate::users::User;

/// Maximum lifetime of a session.
pub(crate) const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Lifetime of a session without a refresh.
pub(crate) const IDLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Time until the row of an expired session is deleted. It exceeds the clock difference between processes, and the
/// lifetime of an access token from the last refresh.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// The store of sessions. Clones share it.
#[derive(Clone)]
pub(crate) struct Sessions {
    pub(crate) pool: AnyPool,
    pub(crate) clock: Clock,
    revocations: Revocations,
    most_of_a_user: usize,
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
        most_of_a_user: usize,
    ) -> Result<Self, sqlx::Error> {
        let ended: Vec<(String, i64)> =
            sqlx::query_as("SELECT sid, expires FROM sessions WHERE ended IS NOT NULL AND expires > $1")
                .bind(clock.seconds() - seconds(KEPT))
                .fetch_all(&pool)
                .await?;
        for (sid, expires) in ended {
            // Also writes to Redis, in case it lost the entry.
            drop(revocations.revoke_session(ISSUER, &sid, time(expires)));
        }
        Ok(Self { pool, clock, revocations, most_of_a_user })
    }

    /// The revocation list for the check of access tokens.
    pub(crate) fn revocations(&self) -> Revocations {
        self.revocations.clone()
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
        transaction.commit().await?;
        self.forget_some().await;
        Ok(Session { sid, user, refresh_token, lasts: IDLE })
    }

    async fn make_room(&self, user_id: i64) -> Result<(), ApiError> {
        let too_many: Vec<String> = sqlx::query_scalar(
            "SELECT sid FROM sessions WHERE user_id = $1 AND ended IS NULL AND expires > $2
             ORDER BY began DESC, sid LIMIT 100 OFFSET $3",
        )
        .bind(user_id)
        .bind(self.clock.seconds())
        .bind(self.most_of_a_user.saturating_sub(1) as i64)
        .fetch_all(&self.pool)
        .await?;
        match too_many.is_empty() {
            true => Ok(()),
            false => self.end(too_many).await,
        }
    }

    /// Ends sessions: all their tokens are invalid from now on. If the database is unavailable, this lasts only until a
    /// restart.
    pub(crate) async fn end(&self, mut sids: Vec<String>) -> Result<(), ApiError> {
        let last_expiry = self.clock.now() + LONGEST_LIFETIME;
        for sid in &sids {
            self.revoke(sid, last_expiry);
        }
        // Sorted, so two processes that end the same sessions cannot deadlock.
        sids.sort_unstable();
        // A task completes even if the client disconnects.
        let sessions = self.clone();
        let written = tokio::spawn(async move { sessions.write_down(&sids).await });
        written.await.map_err(ApiError::internal)?.map_err(ApiError::from)
    }

    /// Ends all current sessions of a user, including this one.
    pub(crate) async fn end_all(&self, user_id: i64, this: String) -> Result<(), ApiError> {
        self.revoke(&this, self.clock.now() + LONGEST_LIFETIME);
        let sessions = self.clone();
        let ended = tokio::spawn(async move {
            let mut sids: Vec<String> =
                sqlx::query_scalar("SELECT sid FROM sessions WHERE user_id = $1 AND ended IS NULL")
                    .bind(user_id)
                    .fetch_all(&sessions.pool)
                    .await?;
            if !sids.contains(&this) {
                sids.push(this);
            }
            sessions.end(sids).await
        });
        ended.await.map_err(ApiError::internal)?
    }

    /// Revokes a session here at once. The list sends it to Redis in the background.
    fn revoke(&self, sid: &str, last_expiry: SystemTime) {
        drop(self.revocations.revoke_session(ISSUER, sid, last_expiry));
    }

    async fn write_down(&self, sids: &[String]) -> Result<(), sqlx::Error> {
        let now = self.clock.seconds();
        let mut transaction = self.pool.begin().await?;
        for sid in sids {
            write_down_one(&mut transaction, sid, now).await?;
        }
        transaction.commit().await
    }

    /// Deletes some expired sessions. Each new session does this, so the table stays small.
    async fn forget_some(&self) {
        let forgotten = sqlx::query(
            "DELETE FROM sessions WHERE sid IN (SELECT sid FROM sessions WHERE expires < $1 LIMIT 10)",
        )
        .bind(self.clock.seconds() - seconds(KEPT))
        .execute(&self.pool)
        .await;
        if let Err(error) = forgotten {
            report_database(&error);
        }
    }
}

/// Marks a session as ended. Inserts a missing row, because an earlier version may have started the session.
async fn write_down_one(database: &mut AnyConnection, sid: &str, now: i64) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO sessions (sid, began, expires, ended) VALUES ($1, $2, $3, $2)
                     ON CONFLICT (sid) DO UPDATE SET expires = $3, ended = $2 WHERE sessions.ended IS NULL";
    sqlx::query(statement)
        .bind(sid.to_owned())
        .bind(now)
        .bind(now + seconds(LONGEST_LIFETIME))
        .execute(database)
        .await?;
    Ok(())
}
