//! `mint`: tokens for development.

mod claims;
mod signer;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;
use serde_json::{Map, Value};
use tower_jwt_auth::issue::TokenIssuer;

pub(crate) use self::claims::{ClaimArguments, parse_claim};
use self::signer::{KeyArguments, Signer};
use crate::duration;
use crate::escape::quoted;
use crate::files;
use crate::outcome::{Failure, Outcome};
use crate::screen::{Mark, Screen};
use crate::settings_file::{FileArguments, SettingsFile};

/// The token to make.
#[derive(Args, Debug)]
pub(crate) struct MintArguments {
    #[command(flatten)]
    file: FileArguments,
    #[command(flatten)]
    key: KeyArguments,
    /// Write the JWK set that verifies the token to this file
    #[arg(long, value_name = "FILE")]
    jwks_out: Option<PathBuf>,
    /// `iss`; by default that of the settings, or `https://issuer.test`
    #[arg(long)]
    issuer: Option<String>,
    /// `aud`; repeat it for several; by default the first one of the settings
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
    let file = arguments.file.read()?;
    let file = file.as_ref();
    let issued_at = arguments.issued_at()?;
    let claims = arguments.all_claims(file, issued_at, notes)?;
    let name = match (&arguments.issuer, file) {
        (Some(issuer), _) => issuer.clone(),
        (None, Some(file)) => file.issuer()?,
        (None, None) => "https://issuer.test".to_owned(),
    };
    let mut audience = arguments.audience.clone();
    if audience.is_empty() {
        audience.extend(file.and_then(|file| file.texts("audience").into_iter().next()));
    }
    let Signer { key, is_secret } = arguments.key.signer(file)?;
    if is_secret && arguments.jwks_out.is_some() {
        return Err("a secret is never published: remove --jwks-out".into());
    }
    let kid = key.kid().map_or_else(|| "no kid".to_owned(), |kid| format!("kid {}", quoted(kid)));
    let about_key = format!("{}, {kid}", key.algorithm());
    let mut issuer = TokenIssuer::new(key, &name).lifetime(arguments.lifetime).clock(move || issued_at);
    for audience in &audience {
        issuer = issuer.add_audience(audience);
    }
    if arguments.access_token || file.is_some_and(|file| file.flag("access_tokens_only")) {
        issuer = issuer.access_tokens_only();
    }
    let token = issuer.issue(&claims)?;
    if let Some(path) = &arguments.jwks_out {
        files::write_jwks(path, &issuer.jwks())?;
    }
    out.line(token.as_str())?;

    notes.row(Mark::Info, "key", &about_key)?;
    notes.row(Mark::Info, "issuer", &quoted(&name))?;
    let audience = match audience.is_empty() {
        true => "none; most verifiers need one: --audience".to_owned(),
        false => audience.iter().map(|one| quoted(one)).collect::<Vec<_>>().join(", "),
    };
    notes.row(Mark::Info, "audience", &audience)?;
    notes.row(Mark::Info, "validity", &arguments.validity())?;
    match &arguments.jwks_out {
        Some(path) => notes.row(Mark::Info, "JWK set", &format!("written to `{}`", path.display()))?,
        None if is_secret => {}
        None => {
            notes.row(Mark::Info, "JWK set", "trust it with KeySet::jwks, or write it with --jwks-out:")?;
            notes.code(&issuer.jwks())?;
        }
    }
    Ok(Outcome::Good)
}

impl MintArguments {
    fn issued_at(&self) -> Result<SystemTime, Failure> {
        let now = SystemTime::now();
        let time = match (self.expired, self.not_yet_valid) {
            (true, _) => now.checked_sub(self.lifetime).and_then(|time| time.checked_sub(HOUR)),
            (_, true) => now.checked_add(HOUR),
            _ => Some(now),
        };
        Ok(time.filter(|time| *time > SystemTime::UNIX_EPOCH).ok_or("the lifetime is too long")?)
    }

    /// Returns the claims of the command line, and those that the settings require.
    fn all_claims(
        &self,
        file: Option<&SettingsFile>,
        issued_at: SystemTime,
        notes: &mut Screen,
    ) -> Result<Map<String, Value>, Failure> {
        let mut claims = self.claims.claims(notes)?;
        for (name, flag) in [("iss", "--issuer"), ("aud", "--audience"), ("exp", "--lifetime")] {
            if claims.contains_key(name) {
                return Err(format!("the claim `{name}` has its own setting: use {flag}").into());
            }
        }
        for (name, value) in file.map(SettingsFile::required_claims).unwrap_or_default() {
            claims.entry(name).or_insert(value);
        }
        if self.not_yet_valid {
            let nbf = issued_at.duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
            if claims.insert("nbf".to_owned(), nbf.into()).is_some() {
                return Err("--not-yet-valid sets `nbf`: remove the claim".into());
            }
        }
        Ok(claims)
    }

    fn validity(&self) -> String {
        match self {
            Self { expired: true, .. } => "expired an hour ago".to_owned(),
            Self { not_yet_valid: true, .. } => "not valid for another hour".to_owned(),
            Self { lifetime, .. } => format!("expires in {}", duration::shown(*lifetime)),
        }
    }
}
