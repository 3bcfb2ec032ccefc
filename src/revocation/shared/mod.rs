//! Revocations shared between processes.

#[cfg(feature = "test-util")]
mod conformance;
mod follower;
#[cfg(feature = "redis")]
mod redis;
mod state;
mod stats;
mod store;
mod timestamp;
mod writer;

use std::error::Error;
use std::fmt::{self, Formatter};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

#[cfg(feature = "test-util")]
pub use self::conformance::check_revocation_store;
#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
pub use self::stats::SharedRevocationsStats;
pub use self::store::{RevocationPage, RevocationStore, StoreFuture};

use self::follower::Follower;
use self::state::State;
use self::writer::{Outgoing, Writer};
use super::{Revocation, RevocationWrite, RevocationWriteError, Revocations};
use crate::config_error::{ConfigError, ConfigProblem};
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::sync::atomic::Ordering;

/// Configures [`Revocations`] that processes share through a [`RevocationStore`].
///
#[cfg_attr(feature = "redis", doc = "```no_run")]
#[cfg_attr(not(feature = "redis"), doc = "```ignore")]
/// use tower_jwt_auth::revocation::{RedisStore, SharedRevocations};
/// use tower_jwt_auth::{JwtVerifier, RegisteredClaims};
///
/// # async fn example(verifier: JwtVerifier<RegisteredClaims>) -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::new("redis://127.0.0.1")?;
/// let revocations = SharedRevocations::new(store).start()?;
/// let verifier = verifier.revocations(revocations.clone());
///
/// // Tokens get 503 until the store has been read once. To listen only afterwards, wait.
/// revocations.ready().await?;
/// # Ok(())
/// # }
/// ```
///
/// Each process holds the whole list in memory and follows the store, so no request waits for the network. A revocation
/// applies in its own process at once. Other processes apply it when they have read it: with `RedisStore`, as soon as
/// Redis delivers it. A process that starts, or loses the connection, reads everything it has missed.
///
/// # Costs
///
/// The figures are for a million entries. That is 220 revocations a second, if tokens live for 15 minutes and entries
/// for an hour longer. They are measured with sessions of 32 letters on one machine (`benches/redis.rs`) and
/// extrapolated.
///
/// | | one process | 1,000 processes |
/// |---|---|---|
/// | Memory of each process | 40 MB (up to 50 MB if all are subjects) | the same |
/// | Memory of Redis | 210 MB | the same |
/// | Cold start | 3.2 s; Redis works 1.3 s | 22 min if all start at once; 21 s for each 16 |
/// | Redis sends | 30 KB/s | 30 MB/s |
/// | Requests to Redis, with news | at most 10/s | 10,000/s |
/// | Requests to Redis, without news | 2/s | 2,000/s |
/// | Entries rewritten after Redis restarts | 13 (at most 10,000) | 13,000 |
///
/// - Processes that start do not slow down those that serve. Let them listen when they are [ready](Revocations::ready).
/// - A hundred thousand entries need a tenth of all this.
/// - A table doubles when it is full. The next size is reached at 1,150,000 entries.
/// - After Redis restarts, each process rewrites its revocations of the last minute.
///
/// # Security
///
/// Entries are kept for an hour after they expire. If a verifier's [leeway](crate::JwtVerifier::leeway) is longer, a
/// process that starts later may accept a revoked token. Do not use such a leeway.
#[must_use]
pub struct SharedRevocations {
    store: Arc<dyn RevocationStore>,
    outage_limit: Duration,
    write_timeout: Duration,
    ready_timeout: Duration,
}

impl SharedRevocations {
    /// Uses this store.
    pub fn new(store: impl RevocationStore + 'static) -> Self {
        Self {
            store: Arc::new(store),
            outage_limit: Duration::from_secs(60),
            write_timeout: Duration::from_secs(2),
            ready_timeout: Duration::from_secs(30),
        }
    }

    /// Sets how long the list is used during an outage. The default is one minute.
    ///
    /// If the store cannot be read for longer, tokens that are not on the list get 503: they may have been revoked. The
    /// time counts from the last complete read and includes time in which the machine sleeps. Values below 2 s count as
    /// 2 s, since a store without news may be read only once a second.
    pub fn outage_limit(mut self, limit: Duration) -> Self {
        self.outage_limit = limit.max(Duration::from_secs(2));
        self
    }

    /// Sets how long [`RevocationWrite`] waits for the store. The default is 2 s.
    pub fn write_timeout(mut self, limit: Duration) -> Self {
        self.write_timeout = limit;
        self
    }

    /// Sets the timeout of [`Revocations::ready`]. The default is 30 s.
    pub fn ready_timeout(mut self, limit: Duration) -> Self {
        self.ready_timeout = limit;
        self
    }

    /// Starts to follow the store, in a task of the current tokio runtime.
    ///
    /// The store may be down at this time. The runtime needs its timers enabled. After the last clone of the list is
    /// dropped, the task writes the remaining revocations and ends. It tries for at most half a minute.
    ///
    /// # Errors
    ///
    /// Returns an error outside a tokio runtime.
    pub fn start(self) -> Result<Revocations, ConfigError> {
        let runtime = Handle::try_current().map_err(|_| ConfigProblem::NoRuntime.into())?;
        let state = Arc::new(State::new(self.outage_limit));
        let (sender, outbox) = mpsc::unbounded_channel();
        let link = StoreLink {
            state: Arc::clone(&state),
            outbox: sender,
            write_timeout: self.write_timeout,
            ready_timeout: self.ready_timeout,
        };
        let revocations = Revocations { link: Some(Arc::new(link)), ..Revocations::new() };
        let store_returned = Arc::new(Notify::new());
        let follower = Follower {
            store: Arc::clone(&self.store),
            list: Arc::clone(&revocations.list),
            state: Arc::clone(&state),
            store_returned: Arc::clone(&store_returned),
        };
        let list = Arc::clone(&revocations.list);
        let writer = Writer::new(self.store, list, state, store_returned, outbox);
        runtime.spawn(async {
            tokio::select! {
                () = follower.run() => {}
                () = writer.run() => {}
            }
        });
        Ok(revocations)
    }
}

impl fmt::Debug for SharedRevocations {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedRevocations")
            .field("outage_limit", &self.outage_limit)
            .field("write_timeout", &self.write_timeout)
            .field("ready_timeout", &self.ready_timeout)
            .finish_non_exhaustive()
    }
}

/// Connects a list to the task that reads and writes its store.
pub(crate) struct StoreLink {
    state: Arc<State>,
    outbox: mpsc::UnboundedSender<Outgoing>,
    write_timeout: Duration,
    ready_timeout: Duration,
}

/// Maximum number of entries that wait for the store.
const MAX_WAITING: usize = 100_000;

impl StoreLink {
    #[inline]
    pub(super) fn is_current(&self) -> bool {
        self.state.is_current()
    }

    pub(super) fn record(&self, revocation: Revocation) -> RevocationWrite {
        let (outgoing, confirmation) = Outgoing::new(revocation);
        let sent = self.send(outgoing);
        let (state, limit) = (Arc::clone(&self.state), self.write_timeout);
        RevocationWrite::pending(async move {
            sent.map_err(RevocationWriteError::final_failure)?;
            if Handle::try_current().is_err() {
                return Err(RevocationWriteError::retrying("no tokio runtime: awaiting the write needs one"));
            }
            match timeout(limit, confirmation).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(RevocationWriteError::final_failure(
                    "the revoked tokens have expired, or the background task has ended",
                )),
                Err(_) => Err(match state.last_error() {
                    Some(error) => RevocationWriteError::retrying(error.to_string()),
                    None => RevocationWriteError::retrying("the store has not answered yet"),
                }),
            }
        })
    }
}

impl StoreLink {
    fn send(&self, outgoing: Outgoing) -> Result<(), &'static str> {
        // Counted before sending, since the store may confirm the entry at once.
        let others = self.state.waiting.fetch_add(1, Ordering::Relaxed);
        let sent = if others >= MAX_WAITING as u64 {
            Err("too many revocations are waiting for the store")
        } else {
            self.outbox.send(outgoing).map_err(|_| "the tokio runtime of the background task has shut down")
        };
        if sent.is_err() {
            self.state.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        sent
    }
}

impl Revocations {
    /// Waits until the list is up to date, or until the [timeout](SharedRevocations::ready_timeout).
    ///
    /// Await it before you listen. Without a store it is ready at once.
    ///
    /// # Errors
    ///
    /// Returns an error if the list is not up to date at the timeout. The `source` says why the store could not be
    /// read.
    pub async fn ready(&self) -> Result<(), AuthError> {
        let Some(link) = &self.link else { return Ok(()) };
        if link.state.ready(link.ready_timeout).await {
            return Ok(());
        }
        let error = AuthError::new(AuthErrorKind::RevocationsUnavailable);
        Err(match link.state.last_error() {
            Some(cause) => error.with_source(cause.to_string()),
            None => error,
        })
    }

    /// Returns true if the list is up to date. Use it in a readiness probe.
    ///
    /// It is always true without a store. It is about revocations by other processes. Those of this process may still
    /// wait for a store that can be read but not written. Check
    /// [`oldest_waiting`](SharedRevocationsStats::oldest_waiting) for that.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.link.as_ref().is_none_or(|link| link.is_current())
    }

    /// Returns the state of the connection to the store, if there is one.
    #[must_use]
    pub fn shared_stats(&self) -> Option<SharedRevocationsStats> {
        self.link.as_ref().map(|link| link.state.stats())
    }
}

/// The reason that the store could not be read or written.
type StoreError = Box<dyn Error + Send + Sync>;

/// Runs one store call with a time limit. A hang or a panic counts as a failure.
async fn attempt<T: Send + 'static>(
    limit: Duration,
    future: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    // Dropping the set aborts the task.
    let mut tasks = JoinSet::new();
    tasks.spawn(future);
    match timeout(limit, tasks.join_next()).await {
        Ok(Some(Ok(result))) => result,
        Ok(Some(Err(ended))) => Err(ended.into()),
        Ok(None) => Err("the call to the store was not started".into()),
        Err(_) => Err(format!("the store has not answered within {} s", limit.as_secs()).into()),
    }
}

/// Waits after this many failures in a row, at most half a second, so that all processes notice soon that the store is
/// back. A random part keeps them from asking at the same time.
async fn pause(failures: u64) {
    let longest = Duration::from_millis(500).min(Duration::from_millis(50) * failures.min(10) as u32);
    sleep(longest.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
}
