use std::fmt::{self, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{InfoDict, cmd, pipe};
use siphasher::sip::SipHasher13;
use tokio::time::{Instant, timeout};

use super::store::{RevocationPage, RevocationStore, StoreFuture};
use crate::config_error::ConfigError;
use crate::redis_client::{Outcome, RedisClient, reject_replica, run_id, without_arguments};
use crate::revocation::slower_clock::SlowerClock;
use crate::revocation::{Revocation, seconds};

/// A [`RevocationStore`] in [Redis](https://redis.io) 5 or [Valkey](https://valkey.io).
///
/// ```no_run
/// use tower_jwt_auth::revocation::{RedisStore, Revocations, SharedRevocations};
///
/// async fn revocations() -> Result<Revocations, Box<dyn std::error::Error>> {
///     let revocations = SharedRevocations::new(RedisStore::new("redis://127.0.0.1")?).start()?;
///     revocations.ready().await?;
///     Ok(revocations)
/// }
/// ```
///
/// Connect it to the primary. A replica is rejected, since it may lag behind without knowing it.
///
/// # Data
///
/// - `{tower-jwt-auth}:held` is a sorted set of all entries by expiry. Entries are removed an hour after they expire.
/// - `{tower-jwt-auth}:news` is a stream of about the last hundred thousand entries.
///
/// A process reads the set once, then follows the stream. If it has missed a part of the stream, it reads the set
/// again. Entries are the JSON of [`Revocation`], so other services can read and write them. Anything else is ignored.
///
/// # Configuration of Redis
///
/// - Permit these commands: `INFO`, `TIME`, `MULTI`, `EXEC`, `ZADD`, `ZSCAN`, `ZRANGEBYSCORE`, `ZREM`, `XADD`, `XREAD`,
///   `XRANGE` and `XREVRANGE`.
/// - Enable persistence: `appendonly yes`.
/// - Disable eviction: `maxmemory-policy noeviction`.
///
/// If Redis loses entries, running processes still have them, but processes that start later do not. After an outage
/// each process writes its revocations of the last minute again, because `appendfsync everysec` may lose a second.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    client: RedisClient,
    prefix: String,
    held: String,
    news: String,
    clock: SlowerClock,
    /// Idle connections. Reading and writing have separate ones, since a read waits for news.
    reading: Mutex<Vec<Connection>>,
    writing: Mutex<Vec<Connection>>,
    /// Number of entries per read. Halved after a failure, in case a slow network caused it.
    at_once: AtomicUsize,
}

struct Connection {
    redis: MultiplexedConnection,
    /// Identifies the server process: it changes with every restart.
    run_id: String,
    used: Instant,
    /// True if the last response was timely and complete, so that the next read may wait for news.
    has_all: bool,
}

/// The position of a reader.
enum Position {
    Start,
    /// In the set of this server process. Afterwards the stream is read from `news`.
    Held {
        cursor: String,
        news: Last,
    },
    /// In the stream. If this entry is gone, others may have been missed.
    News(Last),
}

/// The last stream entry that was read.
struct Last {
    id: String,
    /// Hash of its content. After data loss, another entry may have the same ID.
    digest: u64,
}

/// An entry of a stream: its ID, then fields and values in turn.
type Entry = (String, Vec<Vec<u8>>);

/// How long the server waits for news, in milliseconds.
const WAIT: u32 = 500;
/// A response that takes longer no longer proves that the list is up to date.
const LATE: Duration = Duration::from_secs(1);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
const REMOVAL_LIMIT: Duration = Duration::from_millis(500);
/// Maximum and minimum number of entries per read.
const AT_ONCE: usize = 2000;
const MIN_AT_ONCE: usize = 20;
/// Something on the network path may have cut a connection that was idle for longer.
const IDLE: Duration = Duration::from_secs(30);
/// Approximate length of the stream.
const NEWS_KEPT: u32 = 100_000;
/// How long expired entries are kept, in seconds.
const BEYOND_EXPIRY: u64 = 3600;
/// Field of a stream entry that holds the revocation.
const FIELD: &[u8] = b"revocation";

impl RedisStore {
    /// Creates a store for the Redis server at this URL.
    ///
    /// The form is `redis://user:password@host:port/database`. Only the host is required. The default port is 6379, and
    /// the default database is 0. `valkey://` and `valkeys://` are accepted too. The store connects later, when it is
    /// used.
    ///
    /// `rediss://` uses TLS by rustls and needs the feature `redis-tls`. The store trusts the certificate authorities
    /// of the operating system, or the ones that you pass to `root_certificates`. It needs a default
    /// [`CryptoProvider`](https://docs.rs/rustls/latest/rustls/crypto/struct.CryptoProvider.html) of rustls in the
    /// process. If there is none when it first connects, it installs the one of aws-lc-rs. To use another one, install
    /// it earlier.
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
    /// Use different prefixes for applications that share a server but not their tokens.
    #[must_use]
    pub fn key_prefix(self, prefix: &str) -> Self {
        Self::of(self.0.client.clone(), prefix)
    }

    fn of(client: RedisClient, prefix: &str) -> Self {
        // The braces keep both keys on the same node of a cluster.
        let key = |name| format!("{{{prefix}}}:{name}");
        Self(Arc::new(Inner {
            client,
            prefix: prefix.to_owned(),
            held: key("held"),
            news: key("news"),
            clock: SlowerClock::start(),
            reading: Mutex::default(),
            writing: Mutex::default(),
            at_once: AtomicUsize::new(AT_ONCE),
        }))
    }
}

#[cfg(feature = "redis-tls")]
impl RedisStore {
    /// Trusts only these certificate authorities: one or more certificates in PEM.
    ///
    /// By default the store trusts those of the operating system, or those in `SSL_CERT_FILE` or `SSL_CERT_DIR`.
    ///
    /// ```no_run
    /// use tower_jwt_auth::revocation::RedisStore;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = RedisStore::new("rediss://redis.internal.example:6380")?.root_certificates(std::fs::read("ca.pem")?)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - The text has no certificate, or a damaged one.
    /// - The store has no `rediss://` URL.
    pub fn root_certificates(self, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let client = self.0.client.with_root_certificates(pem.as_ref())?;
        Ok(Self::of(client, &self.0.prefix))
    }
}

impl RevocationStore for RedisStore {
    fn write(&self, revocations: Vec<Revocation>) -> StoreFuture<()> {
        let store = Arc::clone(&self.0);
        Box::pin(async move {
            // Not put back after a failure or cancellation: its state would be unknown.
            let mut connection = store.take_or_connect(&store.writing).await?;
            store.write(&mut connection, &revocations).await.map_err(without_arguments)?;
            // Removal may fail: a later write removes the expired entries.
            let removal = store.remove_expired(&mut connection, revocations.len());
            if timeout(REMOVAL_LIMIT, removal).await.is_ok_and(|removed| removed.is_ok()) {
                put_back(&store.writing, connection);
            }
            Ok(())
        })
    }

    fn read(&self, position: Option<String>) -> StoreFuture<RevocationPage> {
        let store = Arc::clone(&self.0);
        Box::pin(async move {
            let mut connection = store.take_or_connect(&store.reading).await?;
            let position = Position::parse(position.as_deref(), &connection.run_id);
            let at_once = store.at_once.load(Ordering::Relaxed);
            // Halved before the read, so that a cancelled read counts as a failure.
            store.at_once.store((at_once / 2).max(MIN_AT_ONCE), Ordering::Relaxed);
            let began = Instant::now();
            let page = store.read(&mut connection, position, at_once).await?;
            connection.has_all = !page.has_more && began.elapsed() < LATE;
            store.at_once.store((at_once * 2).min(AT_ONCE), Ordering::Relaxed);
            put_back(&store.reading, connection);
            Ok(page)
        })
    }
}

fn put_back(connections: &Mutex<Vec<Connection>>, mut connection: Connection) {
    connection.used = Instant::now();
    connections.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
}

impl Inner {
    async fn take_or_connect(&self, connections: &Mutex<Vec<Connection>>) -> Outcome<Connection> {
        let taken = {
            let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
            connections.retain(|connection| connection.used.elapsed() < IDLE);
            connections.pop()
        };
        match taken {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        }
    }

    async fn connect(&self) -> Outcome<Connection> {
        let (redis, info) = self.client.connect(ANSWER_LIMIT).await?;
        let run_id = run_id(&info)?;
        Ok(Connection { redis, run_id, used: Instant::now(), has_all: false })
    }

    async fn write(&self, connection: &mut Connection, revocations: &[Revocation]) -> Outcome<()> {
        if revocations.is_empty() {
            return Ok(());
        }
        let texts = revocations.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        let mut both = pipe();
        both.atomic().cmd("ZADD").arg(&self.held);
        for (revocation, text) in revocations.iter().zip(&texts) {
            both.arg(revocation.expiry_second()).arg(text);
        }
        for text in &texts {
            both.cmd("XADD").arg(&self.news).arg("MAXLEN").arg("~").arg(NEWS_KEPT).arg("*");
            both.arg(FIELD).arg(text).ignore();
        }
        let _: (u64,) = both.query_async(&mut connection.redis).await?;
        Ok(())
    }

    /// Removes more expired entries than were added, so that the set does not grow forever, but not enough to block the
    /// server. Uses the earlier of both clocks, so that a wrong one does not remove entries too soon.
    async fn remove_expired(&self, connection: &mut Connection, added: usize) -> Outcome<()> {
        let (there, _): (u64, u64) = cmd("TIME").query_async(&mut connection.redis).await?;
        let now = there.min(seconds(self.clock.now()).into());
        let expired: Vec<Vec<u8>> = cmd("ZRANGEBYSCORE")
            .arg(&[&self.held, "-inf", &format!("({}", now.saturating_sub(BEYOND_EXPIRY)), "LIMIT", "0"])
            .arg(2 * added + 10)
            .query_async(&mut connection.redis)
            .await?;
        if !expired.is_empty() {
            let _: u64 = cmd("ZREM").arg(&self.held).arg(expired).query_async(&mut connection.redis).await?;
        }
        Ok(())
    }

    async fn read(
        &self,
        connection: &mut Connection,
        position: Position,
        at_once: usize,
    ) -> Outcome<RevocationPage> {
        let (cursor, news) = match position {
            Position::Held { cursor, news } => (cursor, news),
            Position::News(last) => match self.read_news(connection, last, at_once).await? {
                Some(page) => return Ok(page),
                None => ("0".to_owned(), self.last_news(connection).await?),
            },
            Position::Start => ("0".to_owned(), self.last_news(connection).await?),
        };
        self.read_held(connection, &cursor, news, at_once).await
    }

    /// Returns the stream's last entry. Adds one if the stream is empty, so that a gap can be detected.
    async fn last_news(&self, connection: &mut Connection) -> Outcome<Last> {
        for _ in 0..2 {
            let last: Vec<Entry> = cmd("XREVRANGE")
                .arg(&[&self.news, "+", "-", "COUNT", "1"])
                .query_async(&mut connection.redis)
                .await?;
            if let Some(last) = last.first() {
                return Ok(Last::of(last));
            }
            let begin = format!("{:016x}", fastrand::u64(..));
            let _: String = cmd("XADD")
                .arg(&[&self.news, "*", "begins", &begin])
                .query_async(&mut connection.redis)
                .await?;
        }
        Err("the stream is empty right after an entry was added".into())
    }

    /// Reads a part of the set. Entries that are in the set during the whole scan are returned at least once.
    async fn read_held(
        &self,
        connection: &mut Connection,
        cursor: &str,
        news: Last,
        at_once: usize,
    ) -> Outcome<RevocationPage> {
        let (cursor, members): (String, Vec<Vec<u8>>) = cmd("ZSCAN")
            .arg(&[&self.held, cursor, "COUNT"])
            .arg(at_once)
            .query_async(&mut connection.redis)
            .await?;
        // Members alternate with scores.
        let revocations = members.iter().step_by(2).filter_map(|member| parse(member)).collect();
        let position = if cursor == "0" { Position::News(news) } else { Position::Held { cursor, news } };
        Ok(RevocationPage::with_more(revocations, position.to_text(&connection.run_id)))
    }

    /// Reads the stream after an entry and waits for news for a while. `None` if that entry is gone: others may be gone
    /// too.
    async fn read_news(
        &self,
        connection: &mut Connection,
        last: Last,
        at_once: usize,
    ) -> Outcome<Option<RevocationPage>> {
        let mut all = pipe();
        all.cmd("XREAD").arg("COUNT").arg(at_once);
        // After a start or an outage the list must be current soon, so the server must respond at once.
        if connection.has_all {
            all.arg("BLOCK").arg(WAIT);
        }
        all.arg(&["STREAMS", &self.news, &last.id]);
        // Read after the news: if the entry is still there, it was there all the time, so nothing is missing.
        all.cmd("XRANGE").arg(&[&self.news, &last.id, &last.id]);
        // The server may have become a replica.
        all.cmd("INFO").arg("replication");
        type Streams = Option<Vec<(String, Vec<Entry>)>>;
        let (news, known, info): (Streams, Vec<Entry>, InfoDict) =
            all.query_async(&mut connection.redis).await?;
        reject_replica(&info)?;
        if known.first().is_none_or(|known| Last::of(known).digest != last.digest) {
            return Ok(None);
        }
        let news: Vec<_> = news.into_iter().flatten().flat_map(|(_, entries)| entries).collect();
        let has_more = news.len() >= at_once;
        let last = news.last().map_or(last, Last::of);
        let fields = news.iter().flat_map(|(_, fields)| fields.chunks_exact(2));
        let revocations =
            fields.filter(|field| field[0] == FIELD).filter_map(|field| parse(&field[1])).collect();
        let next_position = Position::News(last).to_text(&connection.run_id);
        Ok(Some(RevocationPage { revocations, next_position, has_more }))
    }
}

impl Last {
    fn of((id, fields): &Entry) -> Self {
        let mut digest = SipHasher13::new();
        fields.hash(&mut digest);
        Self { id: id.clone(), digest: digest.finish() }
    }

    fn parse(id: &str, digest: &str) -> Option<Self> {
        let digest = digest.parse().ok()?;
        is_id(id).then(|| Self { id: id.to_owned(), digest })
    }
}

impl Position {
    fn parse(text: Option<&str>, run_id: &str) -> Self {
        let words: Vec<_> = text.unwrap_or_default().split(' ').collect();
        let position = match *words {
            ["news", id, digest] => Last::parse(id, digest).map(Self::News),
            // After a restart, cursors have another meaning.
            ["held", run, cursor, id, digest] if run == run_id && is_number(cursor) => {
                Last::parse(id, digest).map(|news| Self::Held { cursor: cursor.to_owned(), news })
            }
            _ => None,
        };
        position.unwrap_or(Self::Start)
    }

    fn to_text(&self, run_id: &str) -> String {
        match self {
            Self::Start => String::new(),
            Self::Held { cursor, news: Last { id, digest } } => {
                format!("held {run_id} {cursor} {id} {digest}")
            }
            Self::News(Last { id, digest }) => format!("news {id} {digest}"),
        }
    }
}

fn is_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(time, number)| is_number(time) && is_number(number))
}

fn is_number(text: &str) -> bool {
    text.parse::<u64>().is_ok()
}

/// Returns `None` for entries that something else has written.
fn parse(text: &[u8]) -> Option<Revocation> {
    serde_json::from_slice(text).ok()
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("key_prefix", &self.0.prefix).finish_non_exhaustive()
    }
}
