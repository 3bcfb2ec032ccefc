//! Verdicts of the settings without a report: API keys, opaque tokens, and JWTs that no issuer takes.

use std::error::Error;

use serde_json::{Value, json};
use tower_jwt_auth::explain::Explanation;
use tower_jwt_auth::{AuthError, AuthErrorKind};

use super::hints;
use super::input::Input;
use crate::escape::shortened;
use crate::outcome::{Failure, Outcome};
use crate::screen::{Mark, Screen, chain};

/// The verdict of the settings, as a service gives it.
pub(crate) struct Verdict<'v> {
    pub(crate) error: Option<&'v AuthError>,
    /// The report of one verifier of JWTs, which a service may not ask about this credential.
    pub(crate) as_jwt: Option<&'v Explanation<Value>>,
}

impl Verdict<'_> {
    /// Returns true if the report is about this verdict.
    ///
    /// Otherwise the service gives the credential to another verifier, by its form or its prefix, or to none.
    pub(crate) fn is_explained(&self, token: &str) -> bool {
        let kind = |error: Option<&AuthError>| error.map(AuthError::kind);
        let is_same = |report: &Explanation<Value>| kind(report.error()) == kind(self.error);
        has_jwt_form(token) && self.as_jwt.is_some_and(is_same)
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self.error {
            None => Outcome::Good,
            Some(error) if error.status().is_server_error() => Outcome::Unreachable,
            Some(_) => Outcome::Bad,
        }
    }

    /// Prints the verdict for people.
    pub(crate) fn print(&self, input: &Input, out: &mut Screen) -> Result<(), Failure> {
        for note in &input.notes {
            out.note(Mark::Warn, note)?;
        }
        let Some(error) = self.error else {
            let (mark, text) = input.accepted();
            out.verdict(mark, text)?;
            return Ok(());
        };
        let kind = error.kind();
        let text = format!("rejected with {} {}: {kind}", error.status().as_u16(), kind.name());
        out.verdict(Mark::Fail, &text)?;
        if let Some(cause) = cause(error) {
            out.row(Mark::Info, "cause", &cause)?;
        }
        let (cure, settings) = advice(kind);
        out.row(Mark::Info, "cure", cure)?;
        if !settings.is_empty() {
            out.row(Mark::Info, "settings", &settings.join(", "))?;
        }
        if let Some(hint) = self.hint(&input.token) {
            out.note(Mark::Warn, &hint)?;
        }
        Ok(())
    }

    /// Prints the verdict for programs, with the members that a report about a JWT has.
    pub(crate) fn print_json(&self, input: &Input, out: &mut Screen) -> Result<(), Failure> {
        let advice = self.error.map(|error| advice(error.kind()));
        let error = self.error.map(|error| {
            json!({
                "kind": error.kind().name(), "status": error.status().as_u16(), "description": error.to_string(),
                "source": cause(error),
            })
        });
        let json = json!({
            "accepted": self.error.is_none(), "error": error, "cause": self.error.and_then(cause),
            "cure": advice.map(|(cure, _)| cure), "settings": advice.map_or(&[][..], |(_, settings)| settings),
            "hints": Vec::from_iter(self.hint(&input.token)), "notes": input.notes,
            "cleaned_up": input.is_cleaned, "steps": [],
        });
        out.json(&json)?;
        Ok(())
    }

    /// Says what else the credential may be, if nothing takes it.
    fn hint(&self, token: &str) -> Option<String> {
        let is_routed = |error: &&AuthError| match error.kind() {
            AuthErrorKind::InvalidToken => true,
            // One of several issuers was sought for a JWT.
            AuthErrorKind::WrongIssuer => has_jwt_form(token),
            _ => false,
        };
        self.error.filter(is_routed)?;
        hints::api_key(token).or_else(|| {
            let report = self.as_jwt?;
            Some(format!("As a JWT: {}\n{}", report.cause()?, report.cure()?))
        })
    }
}

/// Returns true for two dots, which `AnyOf::jwt` looks for.
fn has_jwt_form(token: &str) -> bool {
    token.matches('.').count() == 2
}

fn cause(error: &AuthError) -> Option<String> {
    error.source().map(|source| shortened(&chain(source)))
}

/// Returns the cure, and the names of the settings.
fn advice(kind: AuthErrorKind) -> (&'static str, &'static [&'static str]) {
    match kind {
        AuthErrorKind::MalformedApiKey => {
            ("copy the whole key: its checksum finds each mistyped character", &["AUTH_API_KEYS_PREFIX"])
        }
        AuthErrorKind::InvalidToken => (
            "get a new token, or add the record of the API key to the file of keys",
            &["AUTH_API_KEYS_FILE", "AUTH_INTROSPECTION_ISSUER"],
        ),
        AuthErrorKind::Expired => ("get a new token, or make a new key with `jwt-doctor api-key`", &[]),
        AuthErrorKind::Revoked => ("sign in again, or make a new key with `jwt-doctor api-key`", &[]),
        AuthErrorKind::WrongIssuer => (
            "send a token of the expected issuer, or set the one of the cause",
            &["AUTH_ISSUER", "AUTH_INTROSPECTION_ISSUER"],
        ),
        AuthErrorKind::WrongAudience => (
            "request a token for this API, or set the audience that the provider uses",
            &["AUTH_INTROSPECTION_AUDIENCE"],
        ),
        AuthErrorKind::WrongClaim => {
            ("request a token with the required claim", &["AUTH_INTROSPECTION_REQUIRED_CLAIMS"])
        }
        AuthErrorKind::WrongTokenType => {
            ("send the access token, no ID or refresh token", &["AUTH_INTROSPECTION_ACCESS_TOKENS_ONLY"])
        }
        AuthErrorKind::Unavailable => (
            "check that this machine reaches the provider, and the ID and the secret of this service",
            &["AUTH_INTROSPECTION_ENDPOINT_URL", "AUTH_INTROSPECTION_CLIENT_SECRET_FILE"],
        ),
        _ => ("change what the cause names, at the provider or in the settings", &[]),
    }
}
