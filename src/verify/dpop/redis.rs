//! Accepted proofs in Redis.

use std::error::Error;
use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::{InfoDict, pipe};

use super::replay_store::{ProofId, ReplayFuture, ReplayStore};
use crate::config_error::ConfigError;
use crate::redis_client::{Outcome, RedisClient, SharedConnection, reject_replica};

/// A [`ReplayStore`] in [Redis](https://redis.io) 5 or [Valkey](https://valkey.io).
///
/// ```no_run
/// use tower_jwt_auth::dpop::{Dpop, RedisReplayStore};
///
/// async fn dpop() -> Result<Dpop, Box<dyn std::error::Error + Send + Sync>> {
///     let store = RedisReplayStore::new("redis://127.0.0.1")?;
///     store.connect().await?;
///     Ok(Dpop::new("https://api.example.com")?.replay_store(store))
/// }
/// ```
///
/// All processes with the same server and [prefix](Self::key_prefix) together accept a proof once. Each proof takes one
/// round trip. The requests of a store and its clones share one connection.
///
/// # Failures
///
/// If Redis fails, requests with a proof get 503. During an outage they fail at once or after 50 ms, and one attempt at a
/// time connects again.
///
/// If Redis restarts, fails over to a replica, or loses its data, it may have lost the record of any proof from before. From
/// then on the store accepts only newer proofs. Clients get 503 for ten seconds: five for clocks that differ, and the five
/// of [`Dpop::max_ahead`](crate::dpop::Dpop::max_ahead). The same happens with a new server, and when its first replica
/// connects. To begin these seconds before the first request, call [`connect`](Self::connect) when the application starts.
///
/// # Data
///
/// - `{tower-jwt-auth}:proof:<id>` is an accepted proof, by its [`ProofId`]. It expires a few seconds after the proof. It
///   takes about 170 bytes, so 1,000 requests per second need 11 MB.
/// - `{tower-jwt-auth}:proofs-since` says since when the server has all records: its `run_id` and `master_replid`, and the
///   time in milliseconds since 1970. If a clock that was ahead wrote it, every proof gets 503 until then. Delete the key
///   to end that sooner.
///
/// # Configuration of Redis
///
/// - Permit these commands: `INFO`, `MULTI`, `EXEC`, `GET` and `SET`.
/// - Disable eviction with `maxmemory-policy noeviction`. When it connects, the store rejects a server with a memory limit and
///   another policy.
/// - Connect to the primary. A replica is rejected.
/// - Connect directly. Behind a proxy, the store cannot see that the server is another one.
/// - Persistence is not needed.
/// - Synchronize the clocks of all machines: they may differ by five seconds.
///
/// After a network partition there may be two primaries for some time, and each accepts a proof once. Set
/// `min-replicas-to-write 1` to limit it.
#[derive(Clone)]
pub struct RedisReplayStore(Arc<Inner>);

struct Inner {
    connection: SharedConnection,
    prefix: String,
    since: String,
}

/// The greatest difference of the clocks of two machines.
const MAX_SKEW: Duration = Duration::from_secs(5);

const LOST: &str = "Redis has restarted or lost its data; proofs from before cannot be checked";
const UNKNOWN: &str = "the connection to Redis was lost while the proof was recorded";

impl RedisReplayStore {
    /// Creates a store for the Redis server at this URL.
    ///
    /// The URLs are those of [`RedisStore::new`](crate::revocation::RedisStore::new). The store connects with the first
    /// proof, or when you call [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// - The URL has another form.
    /// - It begins with `rediss://`, and the feature `redis-tls` is off.
    /// - It ends in `#insecure`.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        Ok(Self::of(RedisClient::new(url)?, "tower-jwt-auth"))
    }

    /// Sets the prefix of the Redis keys. The default is `tower-jwt-auth`.
    ///
    /// Use different prefixes for applications that share a server but not their clients. A proof is accepted once for each
    /// prefix.
    #[must_use]
    pub fn key_prefix(self, prefix: &str) -> Self {
        Self::of(self.0.connection.client().clone(), prefix)
    }

    /// Connects now, so that a mistake shows when the application starts.
    ///
    /// Examples are a wrong URL, a wrong password and a server that evicts records.
    ///
    /// # Errors
    ///
    /// Redis cannot be reached, or the store rejects the server.
    pub async fn connect(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut read = pipe();
        read.cmd("GET").arg(&self.0.since);
        read.cmd("INFO").arg("replication");
        let response = self.0.connection.query::<(Option<String>, InfoDict)>(&read).await?;
        let (since, info) = response.value;
        let history = history_of(&response.run_id, &info)?;
        match since_of(since.as_deref(), &history) {
            Some(_) => Ok(()),
            None => self.0.begin(&history).await,
        }
    }

    fn of(client: RedisClient, prefix: &str) -> Self {
        Self(Arc::new(Inner {
            connection: SharedConnection::new(client, reject_eviction),
            prefix: prefix.to_owned(),
            since: format!("{{{prefix}}}:proofs-since"),
        }))
    }
}

#[cfg(feature = "redis-tls")]
impl RedisReplayStore {
    /// Trusts only these certificate authorities: one or more certificates in PEM.
    ///
    /// By default the store trusts those of the operating system, or those in `SSL_CERT_FILE` or `SSL_CERT_DIR`.
    ///
    /// # Errors
    ///
    /// - The text has no certificate, or a damaged one.
    /// - The store has no `rediss://` URL.
    pub fn root_certificates(self, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let client = self.0.connection.client().with_root_certificates(pem.as_ref())?;
        Ok(Self::of(client, &self.0.prefix))
    }
}

impl ReplayStore for RedisReplayStore {
    fn record(&self, proof: ProofId, keep: Duration) -> ReplayFuture {
        let store = Arc::clone(&self.0);
        Box::pin(async move { store.record(proof, keep).await })
    }
}

impl Inner {
    async fn record(&self, proof: ProofId, keep: Duration) -> Outcome<bool> {
        // A transaction, so that no record is lost in between.
        let mut both = pipe();
        both.atomic().cmd("GET").arg(&self.since);
        both.cmd("SET").arg(format!("{{{}}}:proof:{proof}", self.prefix)).arg(1).arg("NX");
        both.arg("PX").arg(millis(keep));
        // The server may have become a replica, or have been one for a while.
        both.cmd("INFO").arg("replication");
        let response = self.connection.query(&both).await?;
        let (since, recorded, info): (Option<String>, Option<String>, InfoDict) = response.value;

        let history = history_of(&response.run_id, &info)?;
        let Some(since) = since_of(since.as_deref(), &history) else {
            self.begin(&history).await?;
            return Err(LOST.into());
        };
        let valid_from = proof.valid_from().duration_since(UNIX_EPOCH).unwrap_or_default();
        if valid_from < since.saturating_add(MAX_SKEW) {
            return Err(LOST.into());
        }
        match recorded {
            Some(_) => Ok(true),
            // The record may be our own.
            None if response.is_repeated => Err(UNKNOWN.into()),
            None => Ok(false),
        }
    }

    /// Notes that this history has all records from now on.
    async fn begin(&self, history: &str) -> Outcome<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let mut write = pipe();
        write.cmd("SET").arg(&self.since).arg(format!("{history} {}", millis(now)));
        self.connection.query::<(String,)>(&write).await?;
        Ok(())
    }
}

/// Identifies the data of a primary. It changes if the process restarts, and if the server has been a replica: it then has
/// the data of another one.
fn history_of(run_id: &str, info: &InfoDict) -> Outcome<String> {
    reject_replica(info)?;
    let id: String = info.get("master_replid").ok_or("the server's `INFO` has no `master_replid`")?;
    Ok(format!("{run_id}:{id}"))
}

/// Returns the time since when this history has all records.
fn since_of(text: Option<&str>, history: &str) -> Option<Duration> {
    let (of, millis) = text?.split_once(' ')?;
    let millis = millis.parse().ok()?;
    (of == history).then_some(Duration::from_millis(millis))
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Rejects servers that delete records when their memory is full.
fn reject_eviction(info: &InfoDict) -> Outcome<()> {
    let is_limited = info.get::<u64>("maxmemory") != Some(0);
    match info.get::<String>("maxmemory_policy") {
        Some(policy) if is_limited && policy != "noeviction" => {
            Err(format!("Redis may evict records by `{policy}`; set `maxmemory-policy noeviction`").into())
        }
        None if is_limited => Err("Redis may evict records: its `INFO` has no `maxmemory_policy`".into()),
        _ => Ok(()),
    }
}

impl fmt::Debug for RedisReplayStore {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisReplayStore").field("key_prefix", &self.0.prefix).finish_non_exhaustive()
    }
}
