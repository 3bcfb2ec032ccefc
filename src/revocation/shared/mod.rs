//! What is revoked, on more than one machine.

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
use tokio::time::{Instant, sleep, timeout};

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

/// Sets up [`Revocations`] that several processes share by a [`RevocationStore`].
///
/// Each process holds all of them in memory and follows the store, so that no request waits for the network. A revocation counts in
/// its own process at once, and in the others when they have read it: with `RedisStore`, as soon as Redis passes it on.
/// A process that starts, or was out of touch, reads what it has missed.
///
/// What that comes to, by measurement (`benches/redis.rs`, sessions of 32 letters, one machine) and arithmetic, where
/// 220 revocations a second of tokens that live for 15 minutes, and the hour beyond, make a million entries:
///
/// | | one process | a thousand |
/// |---|---|---|
/// | memory of each process | 40 MB (up to 50 if all are subjects) | the same |
/// | memory of Redis | 210 MB | the same |
/// | from a cold start until the list is held | 3.2 s, of which Redis works 1.3 s | 22 minutes if all start at once, and 21 s for each 16 |
/// | what is new: Redis sends | 30 KB/s | 30 MB/s |
/// | what is new: Redis is asked | at most 10 times a second, twice if there is nothing | 10,000 and 2,000 times |
/// | a start of Redis: what each process has revoked within a minute is written again | 13 entries (never more than 10,000) | 13,000 |
///
/// Processes that start while others serve are no burden to those; have them listen when they are [ready](Revocations::ready).
/// A hundred thousand entries are a tenth of all this. A table doubles when it is full, which is next at 1,150,000 entries.
///
/// Entries are kept for an hour after they have expired. With a verifier whose [leeway](crate::JwtVerifier::leeway) is longer, a process that
/// starts in between may accept a token that was revoked: there is no reason for such a leeway.
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
/// // Until the store has been read once, tokens are answered with 503: to listen only then, wait for it.
/// revocations.ready().await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct SharedRevocations {
    store: Arc<dyn RevocationStore>,
    outage_limit: Duration,
    write_timeout: Duration,
    ready_timeout: Duration,
}

impl SharedRevocations {
    /// Shared by this store.
    pub fn new(store: impl RevocationStore + 'static) -> Self {
        Self {
            store: Arc::new(store),
            outage_limit: Duration::from_secs(60),
            write_timeout: Duration::from_secs(2),
            ready_timeout: Duration::from_secs(30),
        }
    }

    /// Sets for how long the list counts that cannot be compared with the store, from when it last was; time in which the
    /// machine sleeps counts. The default is a minute. Less than 2 s count as 2 s, for a store that has nothing new may be
    /// asked once a second. After that, tokens that are not known to be revoked are answered with 503: they may have been.
    pub fn outage_limit(mut self, limit: Duration) -> Self {
        self.outage_limit = limit.max(Duration::from_secs(2));
        self
    }

    /// Sets how long [`RevocationWrite`] waits at most for the store. The default is 2 s.
    pub fn write_timeout(mut self, limit: Duration) -> Self {
        self.write_timeout = limit;
        self
    }

    /// Sets how long [`Revocations::ready`] waits at most. The default is 30 s.
    pub fn ready_timeout(mut self, limit: Duration) -> Self {
        self.ready_timeout = limit;
        self
    }

    /// Begins to follow the store, by a task in this tokio runtime, which needs its timers enabled. It ends with the last
    /// clone of the list, when all that was revoked has been written, or half a minute later if it cannot be.
    ///
    /// The store need not be there yet.
    ///
    /// # Errors
    ///
    /// If this is no tokio runtime.
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
        let back_in_touch = Arc::new(Notify::new());
        let follower = Follower {
            store: Arc::clone(&self.store),
            list: Arc::clone(&revocations.list),
            state: Arc::clone(&state),
            back_in_touch: Arc::clone(&back_in_touch),
        };
        let list = Arc::clone(&revocations.list);
        let writer = Writer::new(self.store, list, state, back_in_touch, outbox);
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

/// How many entries may wait for a store.
const MOST_WAITING: usize = 100_000;

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
                return Err(RevocationWriteError::retrying(
                    "it can be waited for only inside of a tokio runtime",
                ));
            }
            match timeout(limit, confirmation).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => {
                    Err(RevocationWriteError::final_failure("it is over, or the task that writes has ended"))
                }
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
        // Counted first, since the store may confirm it a moment later.
        let others = self.state.waiting.fetch_add(1, Ordering::Relaxed);
        let sent = if others >= MOST_WAITING as u64 {
            Err("too many others wait for the store")
        } else {
            self.outbox.send(outgoing).map_err(|_| "the runtime of the task that writes has ended")
        };
        if sent.is_err() {
            self.state.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        sent
    }
}

impl Revocations {
    /// Waits until the list counts, at most for the [limit](SharedRevocations::ready_timeout): for those who want to listen only
    /// then. With no store it is ready at once.
    ///
    /// # Errors
    ///
    /// If it does not count then. The `source` says why the store could not be read.
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

    /// Whether the list counts at this moment: for a probe. With no store it always does.
    ///
    /// That is about what others revoke. What this process revokes may wait for a store that can be read and not written:
    /// [`oldest_waiting`](SharedRevocationsStats::oldest_waiting) tells.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.link.as_ref().is_none_or(|link| link.is_current())
    }

    /// How well the list and its store are in touch, if there is one.
    #[must_use]
    pub fn shared_stats(&self) -> Option<SharedRevocationsStats> {
        self.link.as_ref().map(|link| link.state.stats())
    }
}

/// Why a store could not be read or written.
type StoreError = Box<dyn Error + Send + Sync>;

/// One attempt, of which a store that hangs or panics makes a failed one.
async fn attempt<T: Send + 'static>(
    limit: Duration,
    future: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    // Dropped, the set ends what is in it.
    let mut tasks = JoinSet::new();
    tasks.spawn(future);
    match timeout(limit, tasks.join_next()).await {
        Ok(Some(Ok(result))) => result,
        Ok(Some(Err(ended))) => Err(ended.into()),
        Ok(None) => Err("nothing was attempted".into()),
        Err(_) => Err(format!("the store has not answered within {} s", limit.as_secs()).into()),
    }
}

/// After so many failures in a row: soon, so that all is known within a second of a store's return, and not all processes
/// at once.
async fn pause(failures: u64) {
    let longest = Duration::from_millis(500).min(Duration::from_millis(50) * failures.min(10) as u32);
    sleep(longest.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
}
