//! Connections to Redis: the part that all stores share.

#[cfg(feature = "dpop")]
mod shared;
#[cfg(feature = "redis-tls")]
mod tls;
#[cfg(not(feature = "redis-tls"))]
#[path = "tls_off.rs"]
mod tls;

use std::error::Error;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, InfoDict, cmd};

#[cfg(feature = "dpop")]
pub(crate) use self::shared::SharedConnection;
use crate::config_error::{ConfigError, ConfigProblem};

/// The address of a server, and how to connect to it.
#[derive(Clone)]
pub(crate) struct RedisClient(Client);

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const CONNECTION_LIMIT: Duration = Duration::from_secs(1);

impl RedisClient {
    pub(crate) fn new(url: &str) -> Result<Self, ConfigError> {
        let invalid = |needed| -> ConfigError { ConfigProblem::InvalidRedisUrl { needed }.into() };
        let client = Client::open(url).map_err(|_| invalid(needed(url)))?;
        if let ConnectionAddr::TcpTls { insecure: true, .. } = client.get_connection_info().addr() {
            return Err(invalid("it must not end in `#insecure`; any certificate would be accepted"));
        }
        Ok(Self(client))
    }

    /// Connects to a primary. Also returns its `INFO`. No error has the password.
    pub(crate) async fn connect(&self, answer_limit: Duration) -> Outcome<(MultiplexedConnection, InfoDict)> {
        self.try_connect(answer_limit).await.map_err(without_arguments)
    }

    async fn try_connect(&self, answer_limit: Duration) -> Outcome<(MultiplexedConnection, InfoDict)> {
        tls::prepare(&self.0);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTION_LIMIT))
            .set_response_timeout(Some(answer_limit));
        let mut redis = self.0.get_multiplexed_async_connection_with_config(&config).await?;
        let info: InfoDict = cmd("INFO").query_async(&mut redis).await?;
        reject_replica(&info)?;
        Ok((redis, info))
    }
}

#[cfg(feature = "redis-tls")]
impl RedisClient {
    /// Returns the client, with only these certificate authorities trusted.
    pub(crate) fn with_root_certificates(&self, pem: &[u8]) -> Result<Self, ConfigError> {
        tls::with_root_certificates(&self.0, pem).map(Self)
    }
}

pub(crate) fn reject_replica(info: &InfoDict) -> Outcome<()> {
    match info.get::<String>("role") {
        Some(role) if role != "master" => Err("the server is a replica, which may lag behind".into()),
        _ => Ok(()),
    }
}

/// Returns the ID of the server process, which changes with every restart.
pub(crate) fn run_id(info: &InfoDict) -> Outcome<String> {
    info.get("run_id").ok_or_else(|| "the server's `INFO` has no `run_id`".into())
}

/// Removes the arguments from an error. A server repeats them if it does not know a command.
pub(crate) fn without_arguments(error: Box<dyn Error + Send + Sync>) -> Box<dyn Error + Send + Sync> {
    match error.to_string().split_once(", with args") {
        Some((cause, _)) => cause.into(),
        None => error,
    }
}

/// Returns a better error text than the client's own.
fn needed(url: &str) -> &'static str {
    let is_tls = |scheme| url.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if is_tls("rediss:") || is_tls("valkeys") {
        tls::NEEDED
    } else {
        "it needs the form redis://user:password@host:6379"
    }
}
