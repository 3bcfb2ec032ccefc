//! Settings from environment variables. Each has a default. An empty variable counts as not set.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::SocketAddr;

use tower_jwt_auth::ConfigError;
use tower_jwt_auth::issue::TokenIssuer;
use tower_jwt_auth::revocation::RedisStore;
use tower_jwt_auth::settings::AuthSettings;

use crate::client_address::TrustedProxies;
use crate::clock::Clock;
use crate::database_url::DatabaseUrl;
use crate::limits::Limits;
use crate::public_url::PublicUrl;
use crate::{random, tokens};

const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";
const DEFAULT_DATABASE: &str = "sqlite:axum_demo.sqlite3";

/// The settings of the demo.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// `DEMO_ADDR`: the address to listen on. The default is `127.0.0.1:8080`.
    pub address: SocketAddr,
    /// `DATABASE_URL`: SQLite or PostgreSQL. The default is `sqlite:axum_demo.sqlite3` in the working directory.
    pub(crate) database: DatabaseUrl,
    /// `REDIS_URL`: the Redis server through which processes share revocations. There is no default.
    pub(crate) redis: Option<RedisStore>,
    /// `JWT_SECRET`: the secret that signs tokens, at least 32 bytes. The default is random.
    pub(crate) issuer: TokenIssuer,
    /// True if `JWT_SECRET` is not set. Tokens then end with the process.
    pub(crate) keys_are_temporary: bool,
    /// `PUBLIC_URL`: the https origin that users see. There is no default.
    pub(crate) public_url: Option<PublicUrl>,
    /// `TRUSTED_PROXIES`: the number of proxies whose `X-Forwarded-For` is trusted. Required with `PUBLIC_URL`, else 0.
    /// Too few: all clients count as one. Too many: clients can choose their own address.
    pub(crate) proxies: TrustedProxies,
    /// `AUTH_*`: other credentials for `GET /protected/`, such as API keys. There are none by default.
    pub(crate) credentials: Option<AuthSettings>,
    /// Set by tests, not from the environment.
    pub clock: Clock,
    /// Set by tests, not from the environment.
    pub limits: Limits,
}

impl Settings {
    /// Reads the settings from variables. Pass `std::env::vars_os()` for those of the process.
    ///
    /// # Errors
    ///
    /// Fails if a variable has an invalid value, or if one that begins with `AUTH_` is unknown.
    pub fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, SettingError> {
        let is_set = |(_, value): &(OsString, OsString)| !value.is_empty();
        let variables: HashMap<_, _> = variables.into_iter().filter(is_set).collect();
        let text = |name| {
            let value = variables.get(OsStr::new(name)).map(|value| value.to_str());
            value.map(|value| value.ok_or_else(|| SettingError::new(name, "must be valid UTF-8"))).transpose()
        };
        let is_other = |name: &OsString| name.as_encoded_bytes().starts_with(b"AUTH_");
        let others: Vec<_> = variables.iter().filter(|(name, _)| is_other(name)).collect();
        let credentials = (!others.is_empty()).then(|| AuthSettings::from_vars("AUTH", others)).transpose();
        let secret = text("JWT_SECRET")?;
        let public_url = text("PUBLIC_URL")?.map(PublicUrl::new).transpose()?;
        let proxies = text("TRUSTED_PROXIES")?.map(proxies).transpose()?;
        if public_url.is_some() && proxies.is_none() {
            // Without it the proxy counts as the only client, and one attacker could lock everyone out.
            let problem = "must be set together with PUBLIC_URL, to the number of proxies in front of the demo, \
                           such as 1 (0 if the TLS proxy sends no X-Forwarded-For)";
            return Err(SettingError::new("TRUSTED_PROXIES", problem));
        }
        Ok(Self {
            address: address(text("DEMO_ADDR")?.unwrap_or(DEFAULT_ADDRESS))?,
            database: DatabaseUrl::new(text("DATABASE_URL")?.unwrap_or(DEFAULT_DATABASE))?,
            redis: text("REDIS_URL")?.map(redis).transpose()?,
            keys_are_temporary: secret.is_none(),
            issuer: issuer(secret)?,
            public_url,
            proxies: proxies.unwrap_or_default(),
            credentials: credentials.map_err(|error| SettingError::auth(&error))?,
            clock: Clock::default(),
            limits: Limits::default(),
        })
    }

    /// Returns one-line warnings about these settings.
    #[must_use]
    pub fn notices(&self) -> Vec<&'static str> {
        let is_local = self.address.ip().to_canonical().is_loopback();
        let notices = [
            self.keys_are_temporary.then_some(
                "JWT_SECRET is not set: tokens are signed with a random secret and become invalid when this process \
                 ends; other processes reject them; set a secret, the same for all processes",
            ),
            (self.public_url.is_none() && !is_local).then_some(
                "PUBLIC_URL is not set: without https, others can read passwords and tokens, and the refresh cookie is \
                 not Secure; put a TLS proxy in front of the demo and set PUBLIC_URL to its https:// origin",
            ),
        ];
        notices.into_iter().flatten().collect()
    }
}

/// An invalid setting. `Display` names the variable and the problem in one line.
#[derive(Debug)]
pub struct SettingError {
    variable: &'static str,
    problem: String,
}

impl SettingError {
    pub(crate) fn new(variable: &'static str, problem: impl Into<String>) -> Self {
        Self { variable, problem: problem.into() }
    }

    /// Returns the error about other credentials, which names the variable itself.
    pub(crate) fn auth(error: &ConfigError) -> Self {
        Self::new("AUTH_*", error.to_string())
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
        SettingError::new("DEMO_ADDR", format!("must be an IP address and a port, such as {DEFAULT_ADDRESS}"))
    })
}

/// The error omits the value: it may contain a password.
fn redis(url: &str) -> Result<RedisStore, SettingError> {
    RedisStore::new(url).map_err(|error| SettingError::new("REDIS_URL", error.to_string()))
}

fn proxies(text: &str) -> Result<TrustedProxies, SettingError> {
    let number = text.parse::<u8>().map_err(|_| {
        SettingError::new("TRUSTED_PROXIES", "must be the number of proxies in front of the demo, such as 1")
    })?;
    Ok(TrustedProxies(number.into()))
}

fn issuer(secret: Option<&str>) -> Result<TokenIssuer, SettingError> {
    let invalid = |problem| SettingError::new("JWT_SECRET", problem);
    let secret = match secret {
        Some(secret) => secret.to_owned(),
        None => random::text::<48>().map_err(|_| invalid("cannot generate a secret; set one".to_owned()))?,
    };
    let issuer = tokens::issuer(secret.as_bytes()).map_err(|error| invalid(error.to_string()))?;
    // Random secrets have more, even in hexadecimal.
    if secret.bytes().collect::<HashSet<_>>().len() < 8 {
        return Err(invalid(
            "is easy to guess: set it to the output of `openssl rand -base64 48`".to_owned(),
        ));
    }
    Ok(issuer)
}
