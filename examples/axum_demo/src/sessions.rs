//! Sessions that are over: written down, so that a restart brings none of them back, and held in the list that every token
//! is held against.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::AnyPool;
use tower_jwt_auth::Revocations;

use crate::error::{ApiError, report_database};
use crate::tokens::{ISSUER, LIFETIME};

/// The store. Clones share it.
#[derive(Clone)]
pub(crate) struct Sessions {
    pool: AnyPool,
    revocations: Revocations,
}

impl Sessions {
    /// Reads which sessions are over.
    pub(crate) async fn open(pool: AnyPool) -> Result<Self, sqlx::Error> {
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

    /// Ends a session: from now on, none of its tokens is good for anything. If it cannot be written down, that is so until a
    /// restart only.
    pub(crate) async fn end(&self, sid: String) -> Result<(), ApiError> {
        let last_expiry = since_epoch(SystemTime::now() + LIFETIME);
        self.revocations.revoke_session(ISSUER, &sid, time(last_expiry));
        // In a task of its own: a client that does not wait for the answer has signed out all the same.
        let sessions = self.clone();
        let written = tokio::spawn(async move { sessions.write_down(&sid, last_expiry).await });
        written.await.map_err(ApiError::internal)?.map_err(ApiError::from)
    }

    async fn write_down(&self, sid: &str, last_expiry: i64) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO ended_sessions (sid, last_expiry) VALUES ($1, $2) ON CONFLICT (sid) DO NOTHING",
        )
        .bind(sid.to_owned())
        .bind(last_expiry)
        .execute(&self.pool)
        .await?;
        // An hour is longer than the clocks of issuer and verifier may be apart.
        let forgotten = sqlx::query("DELETE FROM ended_sessions WHERE last_expiry < $1")
            .bind(last_expiry - LIFETIME.as_secs() as i64 - 3600)
            .execute(&self.pool)
            .await;
        if let Err(error) = forgotten {
            // The session has ended, whatever became of the others.
            report_database(&error);
        }
        Ok(())
    }
}

fn since_epoch(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64
}

fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.max(0) as u64)
}
