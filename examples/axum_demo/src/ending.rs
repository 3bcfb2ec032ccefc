//! The end of sessions: in the revocation list at once, and in the database as soon as it can store it.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync;
use tokio::time::{sleep, timeout};

use crate::clock::seconds;
use crate::error::{ApiError, report_database};
use crate::sessions::{Known, Sessions};
use crate::tokens::LIFETIME;

/// Time limit for a request that waits for the database. A lock may last longer.
const LONGEST_WRITE: Duration = Duration::from_secs(3);

/// Time between two attempts to write what the database could not store.
const RETRY: Duration = Duration::from_secs(1);

/// A session that ends.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Ending {
    pub(crate) sid: String,
    /// Set if all sessions of this user end.
    pub(crate) user_id: Option<i64>,
}

impl Ending {
    /// The end of this session only.
    pub(crate) fn of(sid: String) -> Self {
        Self { sid, user_id: None }
    }
}

/// The ended sessions that are not in the database yet. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unwritten {
    endings: Arc<Mutex<BTreeSet<Ending>>>,
    /// Held while one is written, so a lock in the database blocks one connection.
    writing: Arc<sync::Mutex<()>>,
}

impl Unwritten {
    fn endings(&self) -> MutexGuard<'_, BTreeSet<Ending>> {
        // Nothing under the lock can panic.
        self.endings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    /// Ends sessions. May be repeated.
    ///
    /// All their access tokens are invalid from now on. If the database cannot store that, the caller gets the error, and
    /// [`write_later`](Self::write_later) tries again.
    pub(crate) async fn end(&self, endings: Vec<Ending>) -> Result<(), ApiError> {
        for ending in &endings {
            self.revoke(&ending.sid, self.clock.now() + LIFETIME);
        }
        let sessions = self.clone();
        // A task completes even if the request runs out of time.
        let written = tokio::spawn(async move { sessions.write(endings.into_iter().collect()).await });
        written.await.map_err(ApiError::internal)?.map_err(ApiError::from)
    }

    /// Returns true if the session has ended, and the database does not know.
    pub(crate) fn is_unwritten(&self, known: &Known) -> bool {
        let endings = self.unwritten.endings();
        endings.iter().any(|ending| ending.sid == known.sid || ending.user_id == Some(known.user_id))
    }

    /// Writes what the database could not store, until the database is closed.
    pub(crate) async fn write_later(self) {
        while !self.pool.is_closed() {
            sleep(RETRY).await;
            // The first attempt has reported the error.
            let _ = self.write_all().await;
        }
    }

    /// Closes the database, after an attempt to write the rest.
    pub(crate) async fn close(&self) {
        if let Err(error) = self.write_all().await {
            report_database(&error);
            let count = self.unwritten.endings().len();
            eprintln!("{count} sign-outs could not be stored: sign out again after the next start");
        }
        self.pool.close().await;
    }

    async fn write_all(&self) -> Result<(), sqlx::Error> {
        let endings = self.unwritten.endings().clone();
        self.write(endings).await
    }

    /// Writes as many endings as the time limit allows, and keeps the others for later. Returns the last error.
    async fn write(&self, endings: BTreeSet<Ending>) -> Result<(), sqlx::Error> {
        let mut rest = endings.clone();
        let written = async {
            let mut result = Ok(());
            for ending in endings {
                let _writing = self.unwritten.writing.lock().await;
                match self.write_one(&ending).await {
                    Ok(()) => {
                        rest.remove(&ending);
                        self.unwritten.endings().remove(&ending);
                    }
                    Err(error) => result = Err(error),
                }
            }
            result
        };
        let written = timeout(LONGEST_WRITE, written).await;
        self.unwritten.endings().extend(rest);
        written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    async fn write_one(&self, ending: &Ending) -> Result<(), sqlx::Error> {
        // A repeated sign-out finds none, and takes no lock.
        let open: Vec<String> =
            sqlx::query_scalar("SELECT sid FROM sessions WHERE (sid = $1 OR user_id = $2) AND ended IS NULL")
                .bind(ending.sid.clone())
                .bind(ending.user_id)
                .fetch_all(&self.pool)
                .await?;
        // Before the first write, which may take effect after its time limit.
        for sid in &open {
            self.revoke(sid, self.clock.now() + LIFETIME);
        }
        let now = self.clock.seconds();
        let mut result = Ok(());
        for sid in open {
            let end = "UPDATE sessions SET expires = $2, ended = $3 WHERE sid = $1 AND ended IS NULL";
            let end = sqlx::query(end).bind(sid).bind(now + seconds(LIFETIME)).bind(now);
            result = end.execute(&self.pool).await.map(drop).and(result);
        }
        result
    }
}
