use std::error::Error;
use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, InfoDict, cmd, pipe};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::store::{RevocationPage, RevocationStore, StoreFuture};
use crate::config_error::ConfigError;
use crate::revocation::{Revocation, seconds};

/// Revocations that are shared by [Redis](https://redis.io) 5 or [Valkey](https://valkey.io): one server, or one with replicas
/// behind one address.
///
/// What is held is a sorted set, by expiry, from which entries are taken an hour after they have expired; what is new is a stream of
/// the last hundred thousand or so. A process reads the set once and then the stream, and the set again if it has
/// missed a part of the stream. Their keys are `{tower-jwt-auth}:held` and `{tower-jwt-auth}:news`. The entries are
/// JSON, as [`Revocation`] has it, so that other services can read and write them.
///
/// Have the server save what it is told (`appendonly yes`), and not forget it to make room (`maxmemory-policy
/// noeviction`): what it has lost is held by the processes that run, but not by those that start. What a process has
/// revoked within the last minute, it writes again after the server was away, since `appendfsync everysec` may lose a
/// second of it.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    client: Client,
    held: String,
    news: String,
    /// Two connections, since reading waits for news.
    reading: Mutex<Option<Connection>>,
    writing: Mutex<Option<Connection>>,
}

struct Connection {
    redis: MultiplexedConnection,
    /// Of the server, which has another one after each start.
    run_id: String,
    /// What time it was there, in seconds since 1970, and when.
    server_time: (u64, Instant),
}

/// How far reading has come.
enum Position {
    Start,
    /// In the set, as this run of the server has it; from which id the stream is to be read afterwards.
    Held {
        cursor: String,
        news: String,
    },
    /// In the stream: the last id that was read, whose entry is still there unless others have been missed.
    News(String),
}

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;
/// An entry of a stream: its id, and its fields and values in turn.
type Entry = (String, Vec<String>);

/// How long the server has news waited for, in milliseconds.
const WAIT: u32 = 500;
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
const CONNECTION_LIMIT: Duration = Duration::from_secs(1);
/// How many entries are read at once.
const AT_ONCE: usize = 2000;
/// About how many entries the stream goes back.
const NEWS_KEPT: u32 = 100_000;
/// How long an entry is kept after it has expired, in seconds.
const BEYOND_EXPIRY: u64 = 3600;
/// The field of an entry that holds a revocation.
const FIELD: &str = "revocation";

impl RedisStore {
    /// The server at this address, `redis://user:password@host:port/database`, of which all but the host may be left out. Nothing
    /// is connected yet.
    ///
    /// `rediss://`, which is TLS, needs the feature `tokio-rustls-comp` of the crate `redis`, and a
    /// [provider](https://docs.rs/rustls/latest/rustls/crypto/struct.CryptoProvider.html) of rustls that the application has
    /// installed.
    ///
    /// # Errors
    ///
    /// If it is no such address.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        let client = Client::open(url).map_err(|_| ConfigError::RedisAddress { needed: needed(url) })?;
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
            held: key("held"),
            news: key("news"),
            reading: Mutex::default(),
            writing: Mutex::default(),
        }))
    }
}

impl RevocationStore for RedisStore {
    fn write(&self, revocations: Vec<Revocation>) -> StoreFuture<()> {
        let store = Arc::clone(&self.0);
        Box::pin(async move {
            let mut slot = store.writing.lock().await;
            // A connection that has failed, or was left in the middle of something, is not used again.
            let mut connection = store.take_or_connect(&mut slot).await?;
            store.write(&mut connection, &revocations).await?;
            *slot = Some(connection);
            Ok(())
        })
    }

    fn read(&self, position: Option<String>) -> StoreFuture<RevocationPage> {
        let store = Arc::clone(&self.0);
        Box::pin(async move {
            let mut slot = store.reading.lock().await;
            let mut connection = store.take_or_connect(&mut slot).await?;
            let position = Position::parse(position.as_deref(), &connection.run_id);
            let page = store.read(&mut connection, position).await?;
            *slot = Some(connection);
            Ok(page)
        })
    }
}

impl Inner {
    async fn take_or_connect(&self, slot: &mut Option<Connection>) -> Outcome<Connection> {
        if let Some(connection) = slot.take() {
            return Ok(connection);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTION_LIMIT))
            .set_response_timeout(Some(ANSWER_LIMIT));
        let mut redis = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let (info, (now, _)): (InfoDict, (u64, u64)) =
            pipe().cmd("INFO").arg("server").cmd("TIME").query_async(&mut redis).await?;
        let run_id = info.get("run_id").unwrap_or_default();
        Ok(Connection { redis, run_id, server_time: (now, Instant::now()) })
    }

    async fn write(&self, connection: &mut Connection, revocations: &[Revocation]) -> Outcome<()> {
        if revocations.is_empty() {
            return Ok(());
        }
        let over = connection.now().saturating_sub(BEYOND_EXPIRY);
        let mut both = pipe();
        both.atomic().cmd("ZADD").arg(&self.held);
        for revocation in revocations {
            both.arg(seconds(revocation.expires_at())).arg(serde_json::to_string(revocation)?);
        }
        for revocation in revocations {
            both.cmd("XADD").arg(&self.news).arg("MAXLEN").arg("~").arg(NEWS_KEPT).arg("*");
            both.arg(FIELD).arg(serde_json::to_string(revocation)?).ignore();
        }
        let _: (u64,) = both.query_async(&mut connection.redis).await?;

        // More than were added, so that the set does not grow for good; and not so many that the server is held up.
        let expired: Vec<String> = cmd("ZRANGEBYSCORE")
            .arg(&[&self.held, "-inf", &format!("({over}"), "LIMIT", "0"])
            .arg(2 * revocations.len() + 10)
            .query_async(&mut connection.redis)
            .await?;
        if !expired.is_empty() {
            let _: u64 = cmd("ZREM").arg(&self.held).arg(expired).query_async(&mut connection.redis).await?;
        }
        Ok(())
    }

    async fn read(&self, connection: &mut Connection, position: Position) -> Outcome<RevocationPage> {
        match position {
            Position::Start => {
                let news = self.last_news(connection).await?;
                self.read_held(connection, "0", news).await
            }
            Position::Held { cursor, news } => self.read_held(connection, &cursor, news).await,
            Position::News(last) => match self.read_news(connection, last).await? {
                Some(page) => Ok(page),
                None => {
                    let news = self.last_news(connection).await?;
                    self.read_held(connection, "0", news).await
                }
            },
        }
    }

    /// The id of the stream's last entry. If it has none, it is given one, by which a gap can be told.
    async fn last_news(&self, connection: &mut Connection) -> Outcome<String> {
        let last: Vec<Entry> = cmd("XREVRANGE")
            .arg(&[&self.news, "+", "-", "COUNT", "1"])
            .query_async(&mut connection.redis)
            .await?;
        if let Some((id, _)) = last.into_iter().next() {
            return Ok(id);
        }
        Ok(cmd("XADD").arg(&[&self.news, "*", "begins", "1"]).query_async(&mut connection.redis).await?)
    }

    /// A part of the set. What is in it from the first part to the last is in one of them.
    async fn read_held(
        &self,
        connection: &mut Connection,
        cursor: &str,
        news: String,
    ) -> Outcome<RevocationPage> {
        let (cursor, members): (String, Vec<String>) = cmd("ZSCAN")
            .arg(&[&self.held, cursor, "COUNT"])
            .arg(AT_ONCE)
            .query_async(&mut connection.redis)
            .await?;
        // Every other one is a score.
        let revocations = members.iter().step_by(2).filter_map(|member| parse(member)).collect();
        let position = if cursor == "0" { Position::News(news) } else { Position::Held { cursor, news } };
        Ok(RevocationPage::more(revocations, position.to_text(&connection.run_id)))
    }

    /// What the stream has after an entry, waiting for it a while; `None` if that entry is gone, and perhaps others with it.
    async fn read_news(&self, connection: &mut Connection, last: String) -> Outcome<Option<RevocationPage>> {
        let mut both = pipe();
        both.cmd("XRANGE").arg(&[&self.news, &last, &last]);
        both.cmd("XREAD").arg("COUNT").arg(AT_ONCE).arg("BLOCK").arg(WAIT);
        both.arg(&["STREAMS", &self.news, &last]);
        type Streams = Option<Vec<(String, Vec<Entry>)>>;
        let (known, news): (Vec<Entry>, Streams) = both.query_async(&mut connection.redis).await?;
        if known.is_empty() {
            return Ok(None);
        }
        let news: Vec<_> = news.into_iter().flatten().flat_map(|(_, entries)| entries).collect();
        let is_last = news.len() < AT_ONCE;
        let last = news.last().map_or(last, |(id, _)| id.clone());
        let fields = news.iter().flat_map(|(_, fields)| fields.chunks_exact(2));
        let revocations =
            fields.filter(|field| field[0] == FIELD).filter_map(|field| parse(&field[1])).collect();
        let position = Position::News(last).to_text(&connection.run_id);
        Ok(Some(RevocationPage { revocations, position, is_last }))
    }
}

impl Connection {
    /// The server's time, in seconds since 1970: no process with a wrong clock takes away what the others need.
    fn now(&self) -> u64 {
        self.server_time.0 + self.server_time.1.elapsed().as_secs()
    }
}

impl Position {
    fn parse(text: Option<&str>, run_id: &str) -> Self {
        let words: Vec<_> = text.unwrap_or_default().split(' ').collect();
        match *words {
            ["news", id] if is_id(id) => Self::News(id.to_owned()),
            // After a restart, a cursor means another place.
            ["held", run, cursor, id] if run == run_id && is_number(cursor) && is_id(id) => {
                Self::Held { cursor: cursor.to_owned(), news: id.to_owned() }
            }
            _ => Self::Start,
        }
    }

    fn to_text(&self, run_id: &str) -> String {
        match self {
            Self::Start => String::new(),
            Self::Held { cursor, news } => format!("held {run_id} {cursor} {news}"),
            Self::News(id) => format!("news {id}"),
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
fn parse(text: &str) -> Option<Revocation> {
    serde_json::from_str(text).ok()
}

/// The client's own errors say less.
fn needed(url: &str) -> &'static str {
    if url.starts_with("rediss:") {
        "it needs to be as in rediss://host:6379, and the crate `redis` its feature `tokio-rustls-comp`"
    } else {
        "it needs to be as in redis://user:password@host:6379"
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("held", &self.0.held).finish_non_exhaustive()
    }
}
