//! `mint`: tokens for development.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;
use serde_json::{Map, Value};
use tower_jwt_auth::Algorithm;
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};

use crate::duration;
use crate::escape::quoted;
use crate::files;
use crate::outcome::{Failure, Outcome};
use crate::screen::{Mark, Screen};

/// The token to make.
#[derive(Args, Debug)]
pub(crate) struct MintArguments {
    /// Sign with this private key in PEM; without a key, a new one signs this token only
    #[arg(long, value_name = "FILE", conflicts_with = "secret_file")]
    key: Option<PathBuf>,
    /// Sign with the HMAC secret in this file; one line break at the end does not count
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Algorithm, such as ES256; by default the one that fits the key, ES256 for a new key and HS256 for a secret
    #[arg(long, value_name = "NAME")]
    alg: Option<Algorithm>,
    /// `kid` in the header; by default the key's thumbprint
    #[arg(long)]
    kid: Option<String>,
    /// Write the JWK set that verifies the token to this file
    #[arg(long, value_name = "FILE")]
    jwks_out: Option<PathBuf>,
    /// `iss`
    #[arg(long, default_value = "https://issuer.test")]
    issuer: String,
    /// `aud`; repeat it for several
    #[arg(long)]
    audience: Vec<String>,
    #[command(flatten)]
    claims: ClaimArguments,
    /// Set the header's `typ` to `at+jwt`, as access tokens have it (RFC 9068)
    #[arg(long)]
    access_token: bool,
    /// Time until `exp`: 90s, 15m, 8h or 30d
    #[arg(long, default_value = "15m", value_parser = duration::parse)]
    lifetime: Duration,
    /// Make a token that expired an hour ago
    #[arg(long, conflicts_with = "not_yet_valid")]
    expired: bool,
    /// Make a token whose `nbf` is an hour ahead
    #[arg(long)]
    not_yet_valid: bool,
}

/// How far a token is expired or not valid yet: longer than any usual leeway.
const HOUR: Duration = Duration::from_secs(60 * 60);

pub(crate) fn run(
    arguments: &MintArguments,
    out: &mut Screen,
    notes: &mut Screen,
) -> Result<Outcome, Failure> {
    let mut claims = arguments.claims.claims(notes)?;
    for (name, flag) in [("iss", "--issuer"), ("aud", "--audience"), ("exp", "--lifetime")] {
        if claims.contains_key(name) {
            return Err(format!("the claim `{name}` has its own setting: use {flag}").into());
        }
    }
    let now = SystemTime::now();
    let issued_at = match (arguments.expired, arguments.not_yet_valid) {
        (true, _) => now.checked_sub(arguments.lifetime + HOUR).ok_or("the lifetime is too long")?,
        (_, true) => now + HOUR,
        _ => now,
    };
    if arguments.not_yet_valid {
        let nbf = issued_at.duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        if claims.insert("nbf".to_owned(), nbf.into()).is_some() {
            return Err("--not-yet-valid sets `nbf`: remove the claim".into());
        }
    }
    let key = signing_key(arguments)?;
    let MintArguments { issuer, audience, lifetime, .. } = arguments;
    let (algorithm, kid) = (key.algorithm(), key.kid().map(str::to_owned));
    let mut issuer = TokenIssuer::new(key, issuer).lifetime(*lifetime).clock(move || issued_at);
    for audience in audience {
        issuer = issuer.add_audience(audience);
    }
    if arguments.access_token {
        issuer = issuer.access_tokens_only();
    }
    let token = issuer.issue(&claims)?;
    out.line(token.as_str())?;

    let kid = kid.map_or_else(|| "no kid".to_owned(), |kid| format!("kid {}", quoted(&kid)));
    notes.row(Mark::Info, "key", &format!("{algorithm}, {kid}"))?;
    notes.row(Mark::Info, "issuer", &quoted(&arguments.issuer))?;
    let audience = match arguments.audience.is_empty() {
        true => "none; most verifiers need one: --audience".to_owned(),
        false => arguments.audience.iter().map(|one| quoted(one)).collect::<Vec<_>>().join(", "),
    };
    notes.row(Mark::Info, "audience", &audience)?;
    notes.row(Mark::Info, "validity", &validity(arguments))?;
    publish(arguments, &issuer.jwks(), notes)?;
    Ok(Outcome::Good)
}

fn validity(arguments: &MintArguments) -> String {
    match arguments {
        MintArguments { expired: true, .. } => "expired an hour ago".to_owned(),
        MintArguments { not_yet_valid: true, .. } => "not valid for another hour".to_owned(),
        MintArguments { lifetime, .. } => format!("expires in {}", duration::shown(*lifetime)),
    }
}

/// Writes or shows the JWK set to trust, unless a secret signs.
fn publish(arguments: &MintArguments, jwks: &str, notes: &mut Screen) -> Result<(), Failure> {
    if arguments.secret_file.is_some() {
        return match arguments.jwks_out {
            Some(_) => Err("a secret is not published: remove --jwks-out".into()),
            None => Ok(()),
        };
    }
    if let Some(path) = &arguments.jwks_out {
        files::write(path, jwks)?;
        notes.row(Mark::Info, "JWK set", &format!("written to `{}`", path.display()))?;
    } else {
        notes.row(
            Mark::Info,
            "JWK set",
            "trust it with KeySet::jwks, or write it to a file with --jwks-out:",
        )?;
        notes.code(jwks)?;
    }
    Ok(())
}

fn signing_key(arguments: &MintArguments) -> Result<SigningKey, Failure> {
    let MintArguments { key, secret_file, alg, kid, .. } = arguments;
    let signing = match (key, secret_file) {
        (Some(path), _) => from_pem(*alg, &files::read(path)?)?,
        (None, Some(path)) => SigningKey::hmac(alg.unwrap_or(Algorithm::HS256), files::secret(path)?)?,
        (None, None) => match alg.unwrap_or(Algorithm::ES256) {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
                return Err("an HMAC needs a secret that the verifier has, too: set --secret-file".into());
            }
            algorithm => SigningKey::generate(algorithm)?,
        },
    };
    Ok(match kid {
        Some(kid) => signing.with_kid(kid),
        None => signing,
    })
}

/// Reads a private key for this algorithm, or for the first one that fits.
fn from_pem(algorithm: Option<Algorithm>, pem: &[u8]) -> Result<SigningKey, Failure> {
    if let Some(algorithm) = algorithm {
        return Ok(SigningKey::pem(algorithm, pem)?);
    }
    let mut first_error = None;
    for algorithm in Algorithm::ALL.iter().filter(|algorithm| !algorithm.as_str().starts_with("HS")) {
        match SigningKey::pem(*algorithm, pem) {
            Ok(key) => return Ok(key),
            Err(error) => _ = first_error.get_or_insert(error),
        }
    }
    Err(first_error.expect("there are algorithms that are no HMAC").into())
}

/// The claims of the application.
#[derive(Args, Debug)]
pub(crate) struct ClaimArguments {
    /// `sub`
    #[arg(long)]
    subject: Option<String>,
    /// One or more scopes for `scope`; may be repeated
    #[arg(long)]
    scope: Vec<String>,
    /// Another claim; a value that is not JSON is a string
    #[arg(long, value_name = "NAME=JSON")]
    claim: Vec<String>,
}

impl ClaimArguments {
    pub(crate) fn claims(&self, notes: &mut Screen) -> Result<Map<String, Value>, Failure> {
        let mut claims = Map::new();
        let mut add = |name: String, value| match claims.insert(name.clone(), value) {
            None => Ok(()),
            Some(_) => Err(format!("the claim {} is set twice: remove one", quoted(&name))),
        };
        for text in &self.claim {
            let (name, value) = parse_claim(text, notes)?;
            add(name, value)?;
        }
        if let Some(subject) = &self.subject {
            add("sub".to_owned(), subject.as_str().into())?;
        }
        if !self.scope.is_empty() {
            add("scope".to_owned(), self.scope.join(" ").into())?;
        }
        Ok(claims)
    }
}

/// Parses `name=json`. A value that is not JSON is a string, since a shell takes its quotes away.
pub(crate) fn parse_claim(text: &str, notes: &mut Screen) -> Result<(String, Value), Failure> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| format!("{} is not a claim: use --claim NAME=JSON", quoted(text)))?;
    let value = match serde_json::from_str(value) {
        Ok(value) => value,
        Err(_) => {
            notes
                .note(Mark::Info, &format!("the value of {} is not JSON, so it is a string", quoted(name)))?;
            value.into()
        }
    };
    Ok((name.to_owned(), value))
}
