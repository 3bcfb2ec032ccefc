//! What a refusal says: status, error code and `WWW-Authenticate` (RFC 6750, section 3; RFC 9110, section 11.6.1).

use std::fmt::{self, Formatter};
use std::sync::LazyLock;

use http::{HeaderValue, StatusCode};

use crate::address::public_url;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::kind::AuthErrorKind;

/// What a layer tells the clients that it refuses, with the header of every kind of refusal made ready.
pub(crate) struct Challenge {
    settings: Settings,
    prepared: Vec<HeaderValue>,
}

/// What can be set of a challenge; all of it can stand in a header as it is.
#[derive(Clone)]
pub(crate) struct Settings {
    /// With its quotes.
    realm: String,
    scope: Option<String>,
    resource_metadata: Option<String>,
}

/// What a layer uses that was given no settings.
static DEFAULT: LazyLock<Challenge> = LazyLock::new(|| Challenge::new(Settings::default()));

impl Challenge {
    pub(crate) fn new(settings: Settings) -> Self {
        let mut challenge = Self { settings, prepared: Vec::new() };
        challenge.prepared = AuthErrorKind::ALL.map(|kind| challenge.render(kind, None)).into();
        challenge
    }

    pub(crate) fn or_default(challenge: Option<&Self>) -> &Self {
        challenge.unwrap_or(&DEFAULT)
    }

    pub(crate) fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// The value of `WWW-Authenticate` for a refusal.
    pub(crate) fn header(&self, kind: AuthErrorKind) -> HeaderValue {
        self.prepared[kind as usize].clone()
    }

    /// The same for a refusal that asks for scopes of its own.
    pub(crate) fn render(&self, kind: AuthErrorKind, needed_scope: Option<&str>) -> HeaderValue {
        let Settings { realm, scope, resource_metadata } = &self.settings;
        let Answer { status, code } = kind.answer();
        let scope = needed_scope.or(scope.as_deref().filter(|_| status == StatusCode::UNAUTHORIZED));

        let mut text = format!("Bearer realm={realm}");
        if let Some(code) = code {
            text += &format!(", error=\"{code}\", error_description=\"{kind}\"");
        }
        if let Some(scope) = scope {
            text += &format!(", scope=\"{scope}\"");
        }
        if let Some(address) = resource_metadata {
            text += &format!(", resource_metadata=\"{address}\"");
        }
        HeaderValue::try_from(text).expect("what is in it was checked when it was set")
    }
}

impl Settings {
    pub(crate) fn set_realm(&mut self, realm: &str) -> Result<(), ConfigError> {
        if !realm.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(ConfigProblem::InvalidRealm { realm: realm.to_owned() }.into());
        }
        self.realm = quoted(realm);
        Ok(())
    }

    pub(crate) fn set_scope(&mut self, scope: &str) -> Result<(), ConfigError> {
        self.scope = Some(checked_scopes(scope)?.to_owned());
        Ok(())
    }

    pub(crate) fn set_resource_metadata(&mut self, address: &str) -> Result<(), ConfigError> {
        self.resource_metadata = Some(public_url(address)?.to_string());
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { realm: quoted("api"), scope: None, resource_metadata: None }
    }
}

/// A text out of the settings that is one or more scopes.
pub(crate) fn checked_scopes(text: &str) -> Result<&str, ConfigError> {
    if is_scope_list(text) {
        Ok(text)
    } else {
        Err(ConfigProblem::InvalidScope { scope: text.to_owned() }.into())
    }
}

/// Whether a text is one or more scopes with a space between them (RFC 6749, section 3.3).
pub(crate) fn is_scope_list(text: &str) -> bool {
    let is_scope = |scope: &str| {
        !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
    };
    text.split(' ').all(is_scope)
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
            | Self::Revoked
            | Self::UnknownPrincipal => (StatusCode::UNAUTHORIZED, Some("invalid_token")),
            Self::InsufficientScope => (StatusCode::FORBIDDEN, Some("insufficient_scope")),
            // The token was not judged, so nothing is said about it.
            Self::KeysUnavailable | Self::RevocationsUnavailable | Self::PrincipalUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, None)
            }
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
        f.debug_struct("Challenge").field("realm", &self.settings.realm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_finds_its_own_header() {
        let challenge = Challenge::new(Settings::default());
        for (position, kind) in AuthErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, position);
            assert_eq!(challenge.header(kind), challenge.render(kind, None));
        }
    }

    #[test]
    fn a_realm_is_quoted() {
        let mut settings = Settings::default();
        settings.set_realm(r#"a "b" \c"#).unwrap();
        let challenge = Challenge::new(settings);
        assert_eq!(challenge.header(AuthErrorKind::MissingCredential), r#"Bearer realm="a \"b\" \\c""#);
    }

    /// In a quoted-string, and as a `grpc-message`.
    #[test]
    fn descriptions_can_be_sent_as_they_are() {
        for kind in AuthErrorKind::ALL {
            let fits = |byte| matches!(byte, b' '..=b'~') && !b"\"\\%".contains(&byte);
            assert!(kind.description().bytes().all(fits), "{kind}");
        }
    }
}
