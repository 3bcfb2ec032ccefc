//! Refresh token rotation: each use of a token invalidates it and returns the next one.
//!
//! A second use means that two parties hold the token, so the session ends
//! ([RFC 9700, section 4.14.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2)).

use std::time::Duration;

use crate::clock::seconds;
use crate::error::ApiError;
use crate::refresh_tokens::{self, RefreshToken};
use crate::sessions::{IDLE, LONGEST, Session, Sessions};
use crate::users::Users;

/// Maximum number of refreshes of a session. It bounds the used tokens that a session keeps until it ends. A refresh
/// every 15 minutes for 30 days makes 2,880.
const MOST_REFRESHES: i64 = 3_000;

impl Sessions {
    /// Exchanges a token for the next one. Ends the session if the token was used before.
    pub(crate) async fn refresh(&self, token: RefreshToken) -> Result<Session, ApiError> {
        match self.rotate(&token).await? {
            Some(session) => Ok(session),
            None => Err(self.end_if_used(&token).await.err().unwrap_or(ApiError::RefreshInvalid)),
        }
    }

    /// Marks the token as used and creates the next one, in one transaction. Among parallel requests, only one sets
    /// `used`. The others wait for it and then find the token used.
    async fn rotate(&self, token: &RefreshToken) -> Result<Option<Session>, ApiError> {
        // Made-up tokens get no write transaction: SQLite runs only one at a time.
        if !self.has_given_out(token).await? {
            return Ok(None);
        }
        let next = RefreshToken::new()?;
        let now = self.clock.seconds();
        let mut transaction = self.pool.begin().await?;
        let sid: Option<String> = sqlx::query_scalar(
            "UPDATE refresh_tokens SET used = $1 WHERE hash = $2 AND used IS NULL RETURNING sid",
        )
        .bind(now)
        .bind(token.hash())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(sid) = sid else { return Ok(None) };
        let session: Option<(i64, i64)> = sqlx::query_as(
            "UPDATE sessions SET refreshes = refreshes + 1,
                 expires = CASE WHEN began + $2 < $3 THEN began + $2 ELSE $3 END
             WHERE sid = $1 AND ended IS NULL AND expires > $4 AND refreshes < $5
             RETURNING user_id, expires",
        )
        .bind(sid.clone())
        .bind(seconds(LONGEST))
        .bind(now + seconds(IDLE))
        .bind(now)
        .bind(MOST_REFRESHES)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((user_id, expires)) = session else { return Ok(None) };
        let Some(user) = Users::find(&mut transaction, user_id).await? else { return Ok(None) };
        refresh_tokens::insert(&mut transaction, &next, &sid).await?;
        transaction.commit().await?;
        let lasts = Duration::from_secs(expires.saturating_sub(now) as u64);
        Ok(Some(Session { sid, user, refresh_token: next, lasts }))
    }

    async fn has_given_out(&self, token: &RefreshToken) -> Result<bool, sqlx::Error> {
        let sid: Option<String> = sqlx::query_scalar("SELECT sid FROM refresh_tokens WHERE hash = $1")
            .bind(token.hash())
            .fetch_optional(&self.pool)
            .await?;
        Ok(sid.is_some())
    }

    async fn end_if_used(&self, token: &RefreshToken) -> Result<(), ApiError> {
        let sid: Option<String> = sqlx::query_scalar(
            "SELECT sessions.sid FROM refresh_tokens JOIN sessions ON sessions.sid = refresh_tokens.sid
             WHERE hash = $1 AND used IS NOT NULL AND ended IS NULL",
        )
        .bind(token.hash())
        .fetch_optional(&self.pool)
        .await?;
        match sid {
            Some(sid) => self.end(vec![sid]).await,
            None => Ok(()),
        }
    }
}
