//! Refresh token rotation: each use of a token invalidates it and returns the next one.
//!
//! A second use means that two parties hold the token, so the session ends
//! ([RFC 9700, section 4.14.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2)).

use std::time::Duration;

use tower_jwt_auth::AuthErrorKind;

use crate::clock::{CLOCK_DIFFERENCE, seconds};
use crate::counts::Limit;
use crate::ending::Ending;
use crate::error::ApiError;
use crate::refresh_tokens::{self, RefreshToken};
use crate::sessions::{IDLE, LONGEST, Session, Sessions};
use crate::tokens::ISSUER;
use crate::users::Users;

/// Maximum number of refreshes of a session. It bounds the used tokens that a session keeps until it ends. A refresh
/// every 15 minutes for 30 days makes 2,880.
const MOST_REFRESHES: i64 = 3_000;

impl Sessions {
    /// Exchanges a token for the next one. Ends the session if the token was used before.
    pub(crate) async fn refresh(&self, token: RefreshToken) -> Result<Session, ApiError> {
        // Made-up tokens get no write transaction: SQLite runs only one at a time.
        let known = self.find(&token).await?.ok_or(ApiError::REFRESH_INVALID)?;
        // The cookie stays, so that the sign-out can be repeated.
        if self.is_unwritten(&known) {
            return Err(ApiError::UNAVAILABLE);
        }
        // Another process may have ended the session, and the database does not know.
        self.revocations.check_session(ISSUER, &known.sid).map_err(|error| match error.kind() {
            AuthErrorKind::Revoked => ApiError::REFRESH_INVALID,
            _ => ApiError::REVOCATIONS_UNAVAILABLE,
        })?;
        if !known.is_used
            && let Some(session) = self.rotate(&token, &known.sid).await?
        {
            return Ok(session);
        }
        // A parallel request may have used the token. Otherwise the session is over.
        if self.find(&token).await?.is_some_and(|known| known.is_used) {
            self.end(vec![Ending::of(known.sid)]).await?;
        }
        Err(ApiError::REFRESH_INVALID)
    }

    /// Marks the token as used and creates the next one, in one transaction. Among parallel requests, only one sets
    /// `used`. The others wait for it and then find the token used.
    async fn rotate(&self, token: &RefreshToken, sid: &str) -> Result<Option<Session>, ApiError> {
        let refreshes = Limit::refreshes(sid, self.limits.session_refreshes);
        self.counts.look(&refreshes)?;
        let next = RefreshToken::new()?;
        let now = self.clock.seconds();
        let mut transaction = self.pool.begin().await?;
        let used = sqlx::query("UPDATE refresh_tokens SET used = $1 WHERE hash = $2 AND used IS NULL")
            .bind(now)
            .bind(token.hash())
            .execute(&mut *transaction)
            .await?;
        if used.rows_affected() == 0 {
            return Ok(None);
        }
        let session: Option<(i64, i64)> = sqlx::query_as(
            "UPDATE sessions SET refreshes = refreshes + 1,
                 expires = CASE WHEN began + $2 < $3 THEN began + $2 ELSE $3 END
             WHERE sid = $1 AND ended IS NULL AND refreshes < $5
                 AND began <= $6 AND expires > $4 AND expires <= $7
             RETURNING user_id, expires",
        )
        .bind(sid.to_owned())
        .bind(seconds(LONGEST))
        .bind(now + seconds(IDLE))
        .bind(now)
        .bind(MOST_REFRESHES)
        // Sessions from a clock that was ahead have ended.
        .bind(now + seconds(CLOCK_DIFFERENCE))
        .bind(now + seconds(IDLE) + seconds(CLOCK_DIFFERENCE))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((user_id, expires)) = session else { return Ok(None) };
        let Some(user) = Users::find(&mut transaction, user_id).await? else { return Ok(None) };
        // An error rolls back, so the token stays good.
        self.counts.count(&mut transaction, refreshes).await?;
        refresh_tokens::insert(&mut transaction, &next, sid).await?;
        transaction.commit().await?;
        let lasts = Duration::from_secs(expires.saturating_sub(now) as u64);
        Ok(Some(Session { sid: sid.to_owned(), user, refresh_token: next, lasts }))
    }
}
