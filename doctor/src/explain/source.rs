//! The verifier that the command line describes, and the keys that it has.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};
use serde_json::Value;
use tower_jwt_auth::dpop::Dpop;
use tower_jwt_auth::jwks::RemoteKeys;
use tower_jwt_auth::settings::AuthSettings;
use tower_jwt_auth::verifiers::AnyOf;
use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, Verify};

use crate::client::ClientArguments;
use crate::duration;
use crate::files;
use crate::mint::parse_claim;
use crate::outcome::Failure;
use crate::provider::{Attempt, Exchange, Recorder, attempt, discovered, first_attempt};
use crate::screen::Screen;
use crate::settings_file::FileArguments;

/// The options that describe a whole verifier.
pub(crate) const SETTINGS: [&str; 2] = ["settings", "env"];

/// The options whose keys state their algorithm.
const WITHOUT_ALG: [&str; 4] = ["settings", "env", "jwks_file", "jwks_url"];

/// The options of the HTTP client. The settings describe theirs, too.
const CLIENT: [&str; 3] = ["ca_file", "proxy", "insecure_plain_http"];

/// What the verifier accepts.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("client").args(CLIENT).multiple(true).conflicts_with_all(SETTINGS))]
pub(crate) struct VerifierArguments {
    #[command(flatten)]
    file: FileArguments,
    /// Read the service's settings from the variables with this prefix, such as AUTH
    #[arg(long, value_name = "PREFIX", conflicts_with = "settings")]
    env: Option<String>,
    /// Expected `iss`; its keys are discovered unless another option names keys
    #[arg(long, value_name = "URL", conflicts_with_all = SETTINGS)]
    pub(crate) issuer: Option<String>,
    /// URL of the issuer's discovery document, if it does not follow from the issuer
    #[arg(long, value_name = "URL", group = "keys", requires = "issuer", conflicts_with_all = SETTINGS)]
    discovery_url: Option<String>,
    /// Expected `aud`; repeat it for several
    #[arg(long, conflicts_with_all = SETTINGS)]
    pub(crate) audience: Vec<String>,
    /// Use the JWK set in this file
    #[arg(long, value_name = "FILE", group = "keys", conflicts_with_all = SETTINGS)]
    pub(crate) jwks_file: Option<PathBuf>,
    /// Fetch the JWK set from this URL
    #[arg(long, value_name = "URL", group = "keys", conflicts_with_all = SETTINGS)]
    pub(crate) jwks_url: Option<String>,
    /// Use the public key in this PEM file, with --alg
    #[arg(long, value_name = "FILE", groups = ["keys", "key"], requires = "alg", conflicts_with_all = SETTINGS)]
    pub(crate) pem_file: Option<PathBuf>,
    /// Use the HMAC secret in this file; one line break at the end does not count
    #[arg(long, value_name = "FILE", groups = ["keys", "key"], conflicts_with_all = SETTINGS)]
    pub(crate) secret_file: Option<PathBuf>,
    /// Algorithm of the PEM file or the secret; HS256 by default for a secret
    #[arg(long, value_name = "NAME", requires = "key", conflicts_with_all = WITHOUT_ALG)]
    alg: Option<Algorithm>,
    /// Require a claim; repeat it to accept several values
    #[arg(long, value_name = "NAME=JSON", conflicts_with_all = SETTINGS)]
    require_claim: Vec<String>,
    /// Require the `typ` `at+jwt` (RFC 9068)
    #[arg(long, conflicts_with_all = SETTINGS)]
    access_tokens_only: bool,
    /// Allowed difference of clocks
    #[arg(long, default_value = "60s", value_parser = duration::parse, conflicts_with_all = SETTINGS)]
    leeway: Duration,
    /// Accept every `aud`
    #[arg(long, conflicts_with = "audience", conflicts_with_all = SETTINGS)]
    insecure_any_audience: bool,
    #[command(flatten)]
    client: ClientArguments,
}

/// The verifiers of the issuers, and what is known about their keys.
pub(crate) struct Source {
    /// The whole verifier of the settings. Without settings there is exactly one verifier.
    pub(crate) service: Option<AnyOf<Value>>,
    pub(crate) verifiers: Vec<JwtVerifier<Value>>,
    pub(crate) keys: KeysOf,
}

/// Where the keys are from.
pub(crate) enum KeysOf {
    /// No option names any.
    Nobody,
    /// A secret or a PEM file.
    Local,
    /// The settings of a service, with the results of attempts to fetch keys, and the issuers.
    Settings { attempts: Vec<Attempt>, issuers: Vec<String> },
    /// The text of a JWK set.
    Set(Vec<u8>),
    /// A provider, with the result of an attempt to fetch them.
    Provider { issuer: Option<String>, result: Attempt, exchanges: Vec<Exchange> },
}

impl VerifierArguments {
    /// `dpop` has the settings for the proof on the command line.
    pub(crate) async fn source(&self, dpop: Option<&Dpop>, notes: &mut Screen) -> Result<Source, Failure> {
        if let Some(settings) = self.settings()? {
            let mut attempts = Vec::new();
            for keys in settings.remote_keys()? {
                attempts.push(first_attempt(&keys).await);
            }
            let verifiers = settings.jwt_verifiers()?;
            let service = Some(settings.verifier()?);
            let issuers = verifiers.iter().flat_map(Verify::issuers).collect();
            return Ok(Source { service, verifiers, keys: KeysOf::Settings { attempts, issuers } });
        }
        let (verifier, keys) = self.keys().await?;
        let mut verifier = verifier.leeway(self.leeway).without_cache();
        if let Some(issuer) = &self.issuer {
            verifier = verifier.issuer(issuer);
        }
        for audience in &self.audience {
            verifier = verifier.add_audience(audience);
        }
        for claim in &self.require_claim {
            let (name, value) = parse_claim(claim, notes)?;
            verifier = verifier.require_claim(name, value);
        }
        if self.access_tokens_only {
            verifier = verifier.access_tokens_only();
        }
        if self.insecure_any_audience {
            verifier = verifier.insecure_any_audience();
        }
        if let Some(dpop) = dpop {
            verifier = verifier.dpop(dpop.clone());
        }
        Ok(Source { service: None, verifiers: vec![verifier], keys })
    }

    fn settings(&self) -> Result<Option<AuthSettings>, Failure> {
        match &self.env {
            Some(prefix) => Ok(Some(AuthSettings::from_env(prefix)?)),
            None => Ok(self.file.read()?.map(|file| file.settings)),
        }
    }

    async fn keys(&self) -> Result<(JwtVerifier<Value>, KeysOf), Failure> {
        if let Some(path) = &self.jwks_file {
            let text = files::read(path)?;
            return Ok((JwtVerifier::new(KeySet::jwks(&text)?), KeysOf::Set(text)));
        }
        if let Some(path) = &self.secret_file {
            let secret = files::secret(path)?;
            let keys = KeySet::hmac(self.alg.unwrap_or(Algorithm::HS256), secret)?;
            return Ok((JwtVerifier::new(keys), KeysOf::Local));
        }
        if let (Some(path), Some(algorithm)) = (&self.pem_file, self.alg) {
            return Ok((JwtVerifier::new(KeySet::pem(algorithm, files::read(path)?)?), KeysOf::Local));
        }
        let client = Recorder::new(self.client.client()?);
        let keys = match (&self.jwks_url, &self.issuer) {
            (Some(url), _) => RemoteKeys::jwks_with(url, client.clone())?,
            (None, Some(issuer)) => discovered(issuer, self.discovery_url.as_deref(), client.clone())?,
            (None, None) => return Ok((JwtVerifier::new(KeySet::new([])), KeysOf::Nobody)),
        };
        // A token whose claims are wrong fetches no keys, and then nothing would be known about its key.
        let (keys, result) = attempt(keys).await;
        let issuer = self.issuer.clone().filter(|_| self.jwks_url.is_none());
        let keys_of = KeysOf::Provider { issuer, result, exchanges: client.take() };
        Ok((JwtVerifier::new(keys), keys_of))
    }
}
