use std::error::Error;
use std::fmt::{self, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, InfoDict, cmd, pipe};
use siphasher::sip::SipHasher13;
use tokio::time::{Instant, timeout};

use super::redis_tls;
use super::store::{RevocationPage, RevocationStore, StoreFuture};
use crate::config_error::{ConfigError, ConfigProblem};
use crate::revocation::{Revocation, seconds};

/// Revocations that are shared by [Redis](https://redis.io) 5 or [Valkey](https://valkey.io): by the one server that takes
/// writes. (A replica is refused: it may be behind, and not know it.)
///
/// What is held is a sorted set, by expiry, from which entries are taken an hour after they have expired; what is new is a stream of
/// the last hundred thousand or so. A process reads the set once and then the stream, and the set again if it has
/// missed a part of the stream. Their keys are `{tower-jwt-auth}:held` and `{tower-jwt-auth}:news`. The entries are
/// JSON, as [`Revocation`] has it, so that other services can read and write them; what is none is passed over. A user
/// of Redis needs `INFO`, `TIME`, `MULTI`, `EXEC`, `ZADD`, `ZSCAN`, `ZRANGEBYSCORE`, `ZREM`, `XADD`, `XREAD`, `XRANGE` and `XREVRANGE`.
///
/// Have the server save what it is told (`appendonly yes`), and not forget it to make room (`maxmemory-policy
/// noeviction`): what it has lost is held by the processes that run, but not by those that start. What a process has
/// revoked within the last minute, it writes again after the server was away, since `appendfsync everysec` may lose a
/// second of it.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    client: Client,
    prefix: String,
    held: String,
    news: String,
    /// Connections that nobody uses at the moment. Reading and writing each have their own, since reading waits for news.
    reading: Mutex<Vec<Connection>>,
    writing: Mutex<Vec<Connection>>,
    /// How many entries are read at once: fewer after a failure, which may have been too many for a slow network.
    at_once: AtomicUsize,
}

struct Connection {
    redis: MultiplexedConnection,
    /// Of the server, which has another one after each start.
    run_id: String,
    used: Instant,
    /// Whether its last answer was in time and had all that was new, so that the next one may wait for news.
    has_all: bool,
}

/// How far reading has come.
enum Position {
    Start,
    /// In the set, as this run of the server has it; after which entry the stream is to be read then.
    Held {
        cursor: String,
        news: Last,
    },
    /// In the stream: the last entry that was read, which is still there unless others have been missed.
    News(Last),
}

/// An entry of the stream.
struct Last {
    id: String,
    /// Of what is in it: after a loss, something else may have its id.
    digest: u64,
}

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;
/// An entry of a stream: its id, and its fields and values in turn.
type Entry = (String, Vec<Vec<u8>>);

/// How long the server has news waited for, in milliseconds.
const WAIT: u32 = 500;
/// An answer that took longer says of a time too long ago what was known.
const LATE: Duration = Duration::from_secs(1);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
const CONNECTION_LIMIT: Duration = Duration::from_secs(1);
const REMOVAL_LIMIT: Duration = Duration::from_millis(500);
/// How many entries are read at once, at best and at worst.
const AT_ONCE: usize = 2000;
const LEAST_AT_ONCE: usize = 20;
/// A connection that has not been used for so long may have been cut by something in between.
const IDLE: Duration = Duration::from_secs(30);
/// About how many entries the stream goes back.
const NEWS_KEPT: u32 = 100_000;
/// How long an entry is kept after it has expired, in seconds.
const BEYOND_EXPIRY: u64 = 3600;
/// The field of an entry that holds a revocation.
const FIELD: &[u8] = b"revocation";

impl RedisStore {
    /// The server at this address, `redis://user:password@host:port/database`. All but the host may be left out: the default port
    /// is 6379, the default database 0. `valkey://` and `valkeys://` mean the same. Nothing is connected yet.
    ///
    /// `rediss://` is TLS by rustls, and needs the feature `redis-tls`. The store trusts the certificate authorities of the
    /// operating system, or your own: `root_certificates` sets them. If the process has no default
    /// [provider](https://docs.rs/rustls/latest/rustls/crypto/struct.CryptoProvider.html) of rustls when the store first
    /// connects, it installs the one of aws-lc-rs. To use another one, install it before.
    ///
    /// # Errors
    ///
    /// If it is no such address, if it begins with `rediss://` and the feature `redis-tls` is off, or if it ends in `#insecure`.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        let invalid = |needed| -> ConfigError { ConfigProblem::InvalidRedisUrl { needed }.into() };
        let client = Client::open(url).map_err(|_| invalid(needed(url)))?;
        if let ConnectionAddr::TcpTls { insecure: true, .. } = client.get_connection_info().addr() {
            return Err(invalid("it must not end in `#insecure`: any certificate would pass"));
        }
        Ok(Self::of(client, "tower-jwt-auth"))
    }

    /// Sets what the names of its keys begin with, for applications that share a server but no tokens. The default is
    /// `tower-jwt-auth`.
    #[must_use]
    pub fn key_prefix(self, prefix: &str) -> Self {
        Self::of(self.0.client.clone(), prefix)
    }

    fn of(client: Client, prefix: &str) -> Self {
        // Braces have a cluster keep both keys in one place.
        let key = |name| format!("{{{prefix}}}:{name}");
        Self(Arc::new(Inner {
            client,
            prefix: prefix.to_owned(),
            held: key("held"),
            news: key("news"),
            reading: Mutex::default(),
            writing: Mutex::default(),
            at_once: AtomicUsize::new(AT_ONCE),
        }))
    }
}

#[cfg(feature = "redis-tls")]
impl RedisStore {
    /// Trusts only these certificate authorities: one or more certificates in PEM. By default the store trusts those of the
    /// operating system, or those that `SSL_CERT_FILE` or `SSL_CERT_DIR` name.
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
    /// If the text has no certificate, or a damaged one, or if the URL of the store is not a `rediss://` URL.
    pub fn root_certificates(self, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let client = redis_tls::with_root_certificates(&self.0.client, pem.as_ref())?;
        Ok(Self::of(client, &self.0.prefix))
    }
}

impl RevocationStore for RedisStore {
    fn write(&self, revocations: Vec<Revocation>) -> StoreFuture<()> {
        let store = Arc::clone(&self.0);
        Box::pin(async move {
            // A connection that has failed, or was left in the middle of something, is not used again.
            let mut connection = store.take_or_connect(&store.writing).await?;
            store.write(&mut connection, &revocations).await.map_err(without_arguments)?;
            // What has expired is of no importance: if this fails, a later write takes it away.
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
            // Also if the answer is not waited for.
            store.at_once.store((at_once / 2).max(LEAST_AT_ONCE), Ordering::Relaxed);
            let began = Instant::now();
            let page = store.read(&mut connection, position, at_once).await?;
            connection.has_all = !page.has_more && began.elapsed() < LATE;
            store.at_once.store((at_once * 2).min(AT_ONCE), Ordering::Relaxed);
            put_back(&store.reading, connection);
            Ok(page)
        })
    }
}

fn refuse_replica(info: &InfoDict) -> Outcome<()> {
    match info.get::<String>("role") {
        Some(role) if role != "master" => Err("the server is a replica, which may be behind".into()),
        _ => Ok(()),
    }
}

/// A server that does not know a command repeats what it was told in it, claims among it.
fn without_arguments(error: Box<dyn Error + Send + Sync>) -> Box<dyn Error + Send + Sync> {
    match error.to_string().split_once(", with args") {
        Some((cause, _)) => cause.into(),
        None => error,
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
        redis_tls::prepare(&self.client);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTION_LIMIT))
            .set_response_timeout(Some(ANSWER_LIMIT));
        let mut redis = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let info: InfoDict = cmd("INFO").query_async(&mut redis).await?;
        refuse_replica(&info)?;
        let run_id = info.get("run_id").ok_or("the server does not say which run of it this is")?;
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

    /// More than were added, so that the set does not grow for good; and not so many that the server is held up. By the
    /// earlier of two clocks: one that is wrong must not take away what is needed.
    async fn remove_expired(&self, connection: &mut Connection, added: usize) -> Outcome<()> {
        let (there, _): (u64, u64) = cmd("TIME").query_async(&mut connection.redis).await?;
        let now = there.min(seconds(SystemTime::now()).into());
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

    /// The stream's last entry. If it has none, it is given one, by which a gap can be told.
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
        Err("the stream does not keep what is added to it".into())
    }

    /// A part of the set. What is in it from the first part to the last is in one of them.
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
        // Every other one is a score.
        let revocations = members.iter().step_by(2).filter_map(|member| parse(member)).collect();
        let position = if cursor == "0" { Position::News(news) } else { Position::Held { cursor, news } };
        Ok(RevocationPage::with_more(revocations, position.to_text(&connection.run_id)))
    }

    /// What the stream has after an entry, waiting for it a while; `None` if that entry is gone, and perhaps others with it.
    async fn read_news(
        &self,
        connection: &mut Connection,
        last: Last,
        at_once: usize,
    ) -> Outcome<Option<RevocationPage>> {
        let mut all = pipe();
        all.cmd("XREAD").arg("COUNT").arg(at_once);
        // At the beginning and back in touch, the list is to count as soon as can be: if there is nothing new, that is to
        // be said at once.
        if connection.has_all {
            all.arg("BLOCK").arg(WAIT);
        }
        all.arg(&["STREAMS", &self.news, &last.id]);
        // After it: what is there then has been there all the time.
        all.cmd("XRANGE").arg(&[&self.news, &last.id, &last.id]);
        // It may have been made a replica meanwhile.
        all.cmd("INFO").arg("replication");
        type Streams = Option<Vec<(String, Vec<Entry>)>>;
        let (news, known, info): (Streams, Vec<Entry>, InfoDict) =
            all.query_async(&mut connection.redis).await?;
        refuse_replica(&info)?;
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
            // After a restart, a cursor means another place.
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

/// What somebody else has written may be something else.
fn parse(text: &[u8]) -> Option<Revocation> {
    serde_json::from_slice(text).ok()
}

/// The client's own errors say less.
fn needed(url: &str) -> &'static str {
    let is_tls = |scheme| url.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if is_tls("rediss:") || is_tls("valkeys") {
        redis_tls::NEEDED
    } else {
        "it needs to be as in redis://user:password@host:6379"
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("key_prefix", &self.0.prefix).finish_non_exhaustive()
    }
}
