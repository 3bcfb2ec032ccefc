//! The settings, from the environment. Each has a default that just works; a variable that is empty counts as not set.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;

use tower_jwt_auth::issue::TokenIssuer;
use tower_jwt_auth::revocation::RedisStore;

use crate::client_address::TrustedProxies;
use crate::clock::Clock;
use crate::database_url::{DatabaseUrl, Kind};
use crate::limits::Limits;
use crate::public_url::PublicUrl;
use crate::tokens;

const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";
const DEFAULT_DATABASE: &str = "sqlite:axum_demo.sqlite3";

/// All that can be set.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// `DEMO_ADDR`, by default `127.0.0.1:8080`: where to listen.
    pub address: SocketAddr,
    /// `DATABASE_URL`, by default `sqlite:axum_demo.sqlite3` in the working directory; or `postgres://...`.
    pub(crate) database: DatabaseUrl,
    /// `REDIS_URL`, by default none: a Redis server, by which several processes share what is revoked.
    pub(crate) redis: Option<RedisStore>,
    /// `JWT_SECRET`, at least 32 bytes, by default random ones: what tokens are signed with.
    pub(crate) issuer: TokenIssuer,
    /// Whether `JWT_SECRET` was not set, so that tokens end with the process.
    pub(crate) keys_are_temporary: bool,
    /// `PUBLIC_URL`, by default none: where people reach the demo by https.
    pub(crate) public_url: Option<PublicUrl>,
    /// `TRUSTED_PROXIES`, by default 0, with `PUBLIC_URL` none: how many proxies are in front whose `X-Forwarded-For` is to be
    /// believed.
    /// With fewer than there are, everybody counts as one client; with more, clients say who they are.
    pub(crate) proxies: TrustedProxies,
    /// Not from the environment: for tests.
    pub clock: Clock,
    /// Not from the environment.
    pub limits: Limits,
}

impl Settings {
    /// Reads the settings from variables, those of the process with `Settings::read(|name| std::env::var_os(name))`.
    ///
    /// # Errors
    ///
    /// A variable does not hold what it should.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, SettingError> {
        let text = |name| match variable(name).filter(|value| !value.is_empty()).map(OsString::into_string) {
            Some(Err(_)) => Err(SettingError::new(name, "must be text in UTF-8")),
            Some(Ok(value)) => Ok(Some(value)),
            None => Ok(None),
        };
        let secret = text("JWT_SECRET")?;
        let public_url = text("PUBLIC_URL")?.map(|url| PublicUrl::new(&url)).transpose()?;
        let proxies = text("TRUSTED_PROXIES")?.map(|number| proxies(&number)).transpose()?;
        if public_url.is_some() && proxies.is_none() {
            // What speaks https there would pass for everybody, and whoever guesses would lock everybody out.
            let problem = "must be set where PUBLIC_URL is, to the number of proxies in front of the demo, as in 1 \
                           (0 if what speaks https there sends no X-Forwarded-For)";
            return Err(SettingError::new("TRUSTED_PROXIES", problem));
        }
        Ok(Self {
            address: address(text("DEMO_ADDR")?.as_deref().unwrap_or(DEFAULT_ADDRESS))?,
            database: DatabaseUrl::new(text("DATABASE_URL")?.as_deref().unwrap_or(DEFAULT_DATABASE))?,
            redis: text("REDIS_URL")?.map(|url| redis(&url)).transpose()?,
            keys_are_temporary: secret.is_none(),
            issuer: issuer(secret)?,
            public_url,
            proxies: proxies.unwrap_or_default(),
            clock: Clock::default(),
            limits: Limits::default(),
        })
    }

    /// What whoever starts the demo should know about these settings, in one line.
    #[must_use]
    pub fn notice(&self) -> Option<&'static str> {
        // With either of them, it is likely one of several.
        let is_shared = self.redis.is_some() || matches!(self.database.kind, Kind::Postgres);
        match (self.keys_are_temporary, is_shared) {
            (false, _) => None,
            (true, false) => Some(
                "JWT_SECRET is not set: tokens are signed with a random secret and end with this process",
            ),
            (true, true) => Some(
                "JWT_SECRET is not set: tokens are signed with a random secret, end with this process, and are \
                 refused by all others: set one secret for all of them",
            ),
        }
    }
}

/// A setting that is no good: which one, and what is needed, in one line.
#[derive(Debug)]
pub struct SettingError {
    variable: &'static str,
    problem: String,
}

impl SettingError {
    pub(crate) fn new(variable: &'static str, problem: impl Into<String>) -> Self {
        Self { variable, problem: problem.into() }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.problem)
    }
}

impl std::error::Error for SettingError {}

fn address(text: &str) -> Result<SocketAddr, SettingError> {
    text.parse().map_err(|_| {
        SettingError::new("DEMO_ADDR", format!("must be an IP address and a port, as in {DEFAULT_ADDRESS}"))
    })
}

/// The error does not show the value: it may hold a password.
fn redis(url: &str) -> Result<RedisStore, SettingError> {
    RedisStore::new(url).map_err(|error| SettingError::new("REDIS_URL", error.to_string()))
}

fn proxies(text: &str) -> Result<TrustedProxies, SettingError> {
    let number = text.parse::<u8>().map_err(|_| {
        SettingError::new("TRUSTED_PROXIES", "must be the number of proxies in front of the demo, as in 1")
    })?;
    Ok(TrustedProxies(number.into()))
}

fn issuer(secret: Option<String>) -> Result<TokenIssuer, SettingError> {
    let secret = match secret {
        Some(secret) => secret.into_bytes(),
        None => random_secret().map_err(|error| {
            SettingError::new(
                "JWT_SECRET",
                format!("must be set, as this machine makes no random one: {error}"),
            )
        })?,
    };
    tokens::issuer(&secret).map_err(|error| SettingError::new("JWT_SECRET", error.to_string()))
}

fn random_secret() -> Result<Vec<u8>, getrandom::Error> {
    let mut secret = vec![0; 64];
    getrandom::fill(&mut secret)?;
    Ok(secret)
}
