//! Sessions that are over: written down, so that a restart brings none of them back, and held in the list that every token
//! is held against.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::SqlitePool;
use tower_jwt_auth::Revocations;

use crate::tokens::{ISSUER, LIFETIME};

/// The store. Clones share it.
#[derive(Clone)]
pub(crate) struct Sessions {
    pool: SqlitePool,
    revocations: Revocations,
}

impl Sessions {
    /// Reads which sessions are over.
    pub(crate) async fn open(pool: SqlitePool) -> Result<Self, sqlx::Error> {
        let ended: Vec<(String, i64)> =
            sqlx::query_as("SELECT sid, last_expiry FROM ended_sessions").fetch_all(&pool).await?;
        let revocations = Revocations::new();
        for (sid, last_expiry) in ended {
            revocations.revoke_session(ISSUER, &sid, time(last_expiry));
        }
        Ok(Self { pool, revocations })
    }

    /// What tokens have to be held against.
    pub(crate) fn revocations(&self) -> Revocations {
        self.revocations.clone()
    }

    /// Ends a session: from now on, none of its tokens is good for anything. It is written down first, so that it has
    /// ended for good if this succeeds.
    pub(crate) async fn end(&self, sid: &str) -> Result<(), sqlx::Error> {
        let now = jsonwebtoken::get_current_timestamp();
        let last_expiry = now.saturating_add(LIFETIME) as i64;
        sqlx::query("INSERT OR REPLACE INTO ended_sessions (sid, last_expiry) VALUES (?, ?)")
            .bind(sid)
            .bind(last_expiry)
            .execute(&self.pool)
            .await?;
        self.revocations.revoke_session(ISSUER, sid, time(last_expiry));
        // An hour is longer than the clocks of issuer and verifier may be apart.
        sqlx::query("DELETE FROM ended_sessions WHERE last_expiry < ?")
            .bind(now as i64 - 3600)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.max(0) as u64)
}
