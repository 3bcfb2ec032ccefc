//! Rotation: each refresh token is good for one use, which gives the next.
//!
//! A token that comes a second time is in two hands, so its session ends
//! ([RFC 9700, section 4.14.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2)).

use std::time::Duration;

use crate::clock::seconds;
use crate::error::ApiError;
use crate::refresh_tokens::{self, RefreshToken};
use crate::sessions::{IDLE, LONGEST, Session, Sessions};
use crate::users::Users;

/// So often a session can be refreshed, since each used token is remembered as long as it lives. Every 15 minutes for 30 days
/// would be 2,880 times.
const MOST_REFRESHES: i64 = 3_000;

impl Sessions {
    /// Uses a token.
    pub(crate) async fn refresh(&self, token: RefreshToken) -> Result<Session, ApiError> {
        match self.rotate(&token).await? {
            Some(session) => Ok(session),
            None => Err(self.end_if_used(&token).await.err().unwrap_or(ApiError::RefreshInvalid)),
        }
    }

    /// All or nothing, so that no session is left with a used token and no next one. Of many requests at once the database lets
    /// one set `used`; the others wait for it and then find it set.
    async fn rotate(&self, token: &RefreshToken) -> Result<Option<Session>, ApiError> {
        // Not worth a transaction that writes, of which there is one at a time on SQLite, if somebody has made it up.
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
