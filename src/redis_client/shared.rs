//! One connection that many requests use at the same time.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, InfoDict, Pipeline, RedisResult};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::{Outcome, RedisClient, run_id, without_arguments};

/// A connection that is replaced after a failure.
///
/// Only one attempt to connect runs at a time, in a task that no request can cancel. After a failed attempt there is a
/// pause, in which requests fail at once.
#[derive(Clone)]
pub(crate) struct SharedConnection(Arc<Shared>);

struct Shared {
    client: RedisClient,
    /// Rejects servers by their `INFO`.
    check: fn(&InfoDict) -> Outcome<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    /// The latest attempt to connect. It runs as long as its sender exists.
    attempt: Option<watch::Receiver<Attempt>>,
    outage: Option<Outage>,
}

/// The result of an attempt, once it has ended.
type Attempt = Option<Result<Arc<Connection>, Arc<str>>>;

/// Failures in a row.
struct Outage {
    failures: u32,
    last_error: Arc<str>,
    retry_at: Instant,
}

/// A response to commands.
pub(crate) struct Response<T> {
    pub(crate) value: T,
    /// Identifies the server process: it changes with every restart.
    pub(crate) run_id: Arc<str>,
    /// True if the commands may have been executed twice.
    pub(crate) is_repeated: bool,
}

/// A connection to one server process.
struct Connection {
    redis: MultiplexedConnection,
    run_id: Arc<str>,
    health: Mutex<Health>,
}

struct Health {
    /// The time of the first command since the last response.
    asked_at: Option<Instant>,
    answered_at: Instant,
}

/// A connection without responses for this long is replaced.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
/// Something on the network path may have cut a connection that was idle for longer.
const IDLE: Duration = Duration::from_secs(30);
/// How long a request waits for an attempt after a failure. Connecting to a server that works takes less.
const MOMENT: Duration = Duration::from_millis(50);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl SharedConnection {
    pub(crate) fn new(client: RedisClient, check: fn(&InfoDict) -> Outcome<()>) -> Self {
        Self(Arc::new(Shared { client, check, state: Mutex::default() }))
    }

    pub(crate) fn client(&self) -> &RedisClient {
        &self.0.client
    }

    /// Executes commands. If the connection is closed, executes them again over another one.
    pub(crate) async fn query<T: FromRedisValue>(&self, commands: &Pipeline) -> Outcome<Response<T>> {
        let connection = self.get().await?;
        let (connection, result, is_repeated) = match connection.query(commands).await {
            // The server closes idle connections.
            Err(error) if error.is_connection_dropped() => {
                self.state().discard(&connection);
                let another = self.get().await?;
                let result = another.query(commands).await;
                (another, result, true)
            }
            result => (connection, result, false),
        };
        match result {
            Ok(value) => Ok(Response { value, run_id: connection.run_id.clone(), is_repeated }),
            Err(error) => {
                let error = without_arguments(error.into());
                let mut state = self.state();
                if state.discard(&connection) {
                    state.failed(error.to_string().into());
                }
                Err(error)
            }
        }
    }

    /// Returns the connection, or waits until there is one. During an outage it waits only a moment.
    async fn get(&self) -> Outcome<Arc<Connection>> {
        let (mut attempt, last_error) = {
            let mut state = self.state();
            if let Some(connection) = state.usable() {
                return Ok(connection);
            }
            let attempt = match (state.running_attempt(), &state.outage) {
                (Some(attempt), _) => attempt,
                (None, Some(outage)) if Instant::now() < outage.retry_at => return Err(outage.error()),
                (None, _) => state.attempt.insert(self.begin_attempt()).clone(),
            };
            (attempt, state.outage.as_ref().map(Outage::error))
        };
        let ended = async { attempt.wait_for(Option::is_some).await.map(|result| result.clone()) };
        let ended = match last_error {
            None => ended.await,
            Some(last_error) => timeout(MOMENT, ended).await.map_err(|_| last_error)?,
        };
        match ended {
            Ok(Some(Ok(connection))) => Ok(connection),
            Ok(Some(Err(error))) => Err((*error).into()),
            _ => Err("the runtime ended while connecting to Redis".into()),
        }
    }

    fn begin_attempt(&self) -> watch::Receiver<Attempt> {
        let (sender, receiver) = watch::channel(None);
        let shared = self.clone();
        tokio::spawn(async move {
            let result = shared.connect().await.map(Arc::new).map_err(|error| error.to_string().into());
            let mut state = shared.state();
            match &result {
                Ok(connection) => {
                    state.connection = Some(Arc::clone(connection));
                    state.outage = None;
                }
                Err(error) => state.failed(Arc::clone(error)),
            }
            drop(state);
            // The receivers may be gone.
            let _ = sender.send(Some(result));
        });
        receiver
    }

    async fn connect(&self) -> Outcome<Connection> {
        let (redis, info) = self.0.client.connect(ANSWER_LIMIT).await?;
        (self.0.check)(&info)?;
        let health = Mutex::new(Health { asked_at: None, answered_at: Instant::now() });
        Ok(Connection { redis, run_id: run_id(&info)?.into(), health })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn usable(&mut self) -> Option<Arc<Connection>> {
        self.connection.take_if(|connection| !connection.is_usable());
        self.connection.clone()
    }

    fn running_attempt(&self) -> Option<watch::Receiver<Attempt>> {
        // The error says that the sender is gone.
        self.attempt.clone().filter(|attempt| attempt.has_changed().is_ok())
    }

    /// Returns false if another connection has replaced this one.
    fn discard(&mut self, connection: &Arc<Connection>) -> bool {
        self.connection.take_if(|current| Arc::ptr_eq(current, connection)).is_some()
    }

    fn failed(&mut self, last_error: Arc<str>) {
        let failures = self.outage.as_ref().map_or(0, |outage| outage.failures);
        let doubled = SHORTEST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
        // Processes that failed together try again at different times.
        let pause = doubled.mul_f64(0.5 + 0.5 * fastrand::f64());
        let retry_at = Instant::now() + pause;
        self.outage = Some(Outage { failures: failures.saturating_add(1), last_error, retry_at });
    }
}

impl Outage {
    fn error(&self) -> Box<dyn Error + Send + Sync> {
        (*self.last_error).into()
    }
}

impl Connection {
    async fn query<T: FromRedisValue>(&self, commands: &Pipeline) -> RedisResult<T> {
        self.health().asked_at.get_or_insert_with(Instant::now);
        let result = commands.query_async(&mut self.redis.clone()).await;
        if !result.as_ref().is_err_and(redis::RedisError::is_io_error) {
            *self.health() = Health { asked_at: None, answered_at: Instant::now() };
        }
        result
    }

    fn is_usable(&self) -> bool {
        let health = self.health();
        match health.asked_at {
            Some(asked_at) => asked_at.elapsed() < ANSWER_LIMIT,
            None => health.answered_at.elapsed() < IDLE,
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
