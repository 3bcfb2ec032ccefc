//! What a refusal says: status, error code and `WWW-Authenticate` (RFC 6750, section 3; RFC 9110, section 11.6.1).

use std::fmt::{self, Formatter, Write};
use std::sync::LazyLock;

use http::{HeaderValue, StatusCode};

use crate::config_error::ConfigError;
use crate::kind::AuthErrorKind;

/// The settings of a layer's challenges, with the header of every kind of refusal made ready.
pub(crate) struct Challenge {
    realm: String,
    prepared: Vec<HeaderValue>,
}

/// What a layer uses that was given no settings.
static DEFAULT: LazyLock<Challenge> =
    LazyLock::new(|| Challenge::new("api").expect("the default realm is plain ASCII"));

impl Challenge {
    pub(crate) fn new(realm: &str) -> Result<Self, ConfigError> {
        let printable = |byte: u8| matches!(byte, b' '..=b'~');
        if !realm.bytes().all(printable) {
            return Err(ConfigError::InvalidRealm { realm: realm.to_owned() });
        }
        let mut challenge = Self { realm: quoted(realm), prepared: Vec::new() };
        challenge.prepared = AuthErrorKind::ALL.map(|kind| challenge.render(kind, None)).into();
        Ok(challenge)
    }

    pub(crate) fn or_default(challenge: Option<&Self>) -> &Self {
        challenge.unwrap_or(&DEFAULT)
    }

    /// The value of `WWW-Authenticate` for a refusal.
    pub(crate) fn header(&self, kind: AuthErrorKind, scope: Option<&str>) -> HeaderValue {
        match scope {
            None => self.prepared[kind as usize].clone(),
            Some(scope) => self.render(kind, Some(scope)),
        }
    }

    fn render(&self, kind: AuthErrorKind, scope: Option<&str>) -> HeaderValue {
        let mut text = format!("Bearer realm={}", self.realm);
        if let Some(code) = kind.answer().code {
            write!(text, ", error=\"{code}\", error_description=\"{kind}\"")
                .expect("a string takes all that is written");
        }
        if let Some(scope) = scope {
            write!(text, ", scope=\"{scope}\"").expect("a string takes all that is written");
        }
        HeaderValue::try_from(text).expect("realm and scope were checked when they were set")
    }
}

/// Status and error code of a refusal; only a 400, 401 or 403 challenges the client.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) code: Option<&'static str>,
}

impl AuthErrorKind {
    /// The one place that decides how each kind of refusal is answered.
    pub(crate) const fn answer(self) -> Answer {
        let (status, code) = match self {
            Self::MissingCredential => (StatusCode::UNAUTHORIZED, None),
            Self::MalformedCredential | Self::MultipleCredentials => {
                (StatusCode::BAD_REQUEST, Some("invalid_request"))
            }
            Self::TokenTooLarge
            | Self::MalformedToken
            | Self::UnsupportedToken
            | Self::WrongType
            | Self::UnsupportedAlgorithm
            | Self::UnknownKey
            | Self::InvalidSignature
            | Self::InvalidClaims
            | Self::WrongIssuer
            | Self::WrongAudience
            | Self::RequiredClaim
            | Self::SenderConstrained
            | Self::MissingExpiry
            | Self::NotYetValid
            | Self::Expired
            | Self::UnknownPrincipal => (StatusCode::UNAUTHORIZED, Some("invalid_token")),
            Self::InsufficientScope => (StatusCode::FORBIDDEN, Some("insufficient_scope")),
            // The token was not judged, so nothing is said about it.
            Self::KeysUnavailable | Self::PrincipalUnavailable => (StatusCode::SERVICE_UNAVAILABLE, None),
            Self::MissingLayer => (StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        Answer { status, code }
    }
}

/// A quoted-string of RFC 9110, section 5.6.4.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', r#"\""#))
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge").field("realm", &self.realm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_finds_its_own_header() {
        let challenge = Challenge::new("api").unwrap();
        for (position, kind) in AuthErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, position);
            assert_eq!(challenge.header(kind, None), challenge.render(kind, None));
        }
    }

    #[test]
    fn a_realm_is_quoted() {
        let challenge = Challenge::new(r#"a "b" \c"#).unwrap();
        assert_eq!(challenge.header(AuthErrorKind::MissingCredential, None), r#"Bearer realm="a \"b\" \\c""#);
    }

    #[test]
    fn descriptions_are_valid_quoted_strings() {
        for kind in AuthErrorKind::ALL {
            assert!(!kind.description().contains(['"', '\\']), "{kind}");
        }
    }
}
