//! The verifier that the command line describes, and the keys that it has.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tower_jwt_auth::jwks::RemoteKeys;
use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet};

use crate::client::ClientArguments;
use crate::duration;
use crate::files;
use crate::mint::parse_claim;
use crate::outcome::Failure;
use crate::provider::{Attempt, Exchange, Recorder, attempt};
use crate::screen::Screen;

/// What the verifier accepts.
#[derive(Args, Debug)]
pub(crate) struct VerifierArguments {
    /// Expected `iss`; its keys are discovered unless another option names keys
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// Expected `aud`; repeat it for several
    #[arg(long)]
    pub(crate) audience: Vec<String>,
    /// Use the JWK set in this file
    #[arg(long, value_name = "FILE", group = "keys")]
    pub(crate) jwks_file: Option<PathBuf>,
    /// Fetch the JWK set from this URL
    #[arg(long, value_name = "URL", group = "keys")]
    pub(crate) jwks_url: Option<String>,
    /// Use the public key in this PEM file, with --alg
    #[arg(long, value_name = "FILE", group = "keys", requires = "alg")]
    pub(crate) pem_file: Option<PathBuf>,
    /// Use the HMAC secret in this file; one line break at the end does not count
    #[arg(long, value_name = "FILE", group = "keys")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Algorithm of the PEM file or the secret; HS256 by default for a secret
    #[arg(long, value_name = "NAME")]
    alg: Option<Algorithm>,
    /// Require a claim; repeat it to accept several values
    #[arg(long, value_name = "NAME=JSON")]
    require_claim: Vec<String>,
    /// Require the `typ` `at+jwt` (RFC 9068)
    #[arg(long)]
    access_tokens_only: bool,
    /// Allowed difference of clocks
    #[arg(long, default_value = "60s", value_parser = duration::parse)]
    leeway: Duration,
    /// Accept every `aud`
    #[arg(long, conflicts_with = "audience")]
    insecure_any_audience: bool,
    #[command(flatten)]
    client: ClientArguments,
}

/// A verifier, and what is known about its keys.
pub(crate) struct Source {
    pub(crate) verifier: JwtVerifier<Value>,
    pub(crate) keys: KeysOf,
}

/// Where the keys are from.
pub(crate) enum KeysOf {
    /// No option names any.
    Nobody,
    /// A secret or a PEM file.
    Local,
    /// The text of a JWK set.
    Set(Vec<u8>),
    /// A provider, with the result of an attempt to fetch them.
    Provider { issuer: Option<String>, result: Attempt, exchanges: Vec<Exchange> },
}

impl VerifierArguments {
    pub(crate) async fn source(&self, notes: &mut Screen) -> Result<Source, Failure> {
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
        Ok(Source { verifier, keys })
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
            (None, Some(issuer)) => RemoteKeys::discover_with(issuer, client.clone())?,
            (None, None) => return Ok((JwtVerifier::new(KeySet::new([])), KeysOf::Nobody)),
        };
        // A token whose claims are wrong fetches no keys, and then nothing would be known about its key.
        let (keys, result) = attempt(keys).await;
        let issuer = self.issuer.clone().filter(|_| self.jwks_url.is_none());
        let keys_of = KeysOf::Provider { issuer, result, exchanges: client.take() };
        Ok((JwtVerifier::new(keys), keys_of))
    }
}
