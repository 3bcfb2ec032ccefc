//! What a refusal says: status, error code and `WWW-Authenticate` (RFC 6750, section 3; RFC 9110, section 11.6.1).

use std::fmt::{self, Formatter};
use std::sync::{Arc, LazyLock};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::challenges::{Challenges, Offer, OfferedSchemes, quoted};
use crate::config_error::{ConfigError, ConfigProblem};
use crate::kind::AuthErrorKind;
use crate::scheme::Scheme;
use crate::url::public_url;

/// The challenge of a layer to clients that use one of its schemes, with the headers of every kind of refusal rendered.
#[derive(Clone)]
pub(crate) struct Challenge {
    settings: Settings,
    offered: Challenges,
    /// The position of the scheme that the client used. Its field has the error.
    used: usize,
    /// For each kind of refusal, one value for each scheme.
    prepared: Vec<HeaderValue>,
    /// Headers that a verifier sends to the layer.
    carried: Option<Box<HeaderMap>>,
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
///
/// Its headers are leaked, once in a process: copies of them then write to no counter that all cores share.
static DEFAULT: LazyLock<Challenge> = LazyLock::new(|| {
    let mut challenge = Challenge::new(Settings::default(), Challenges::bearer(), 0);
    for value in &mut challenge.prepared {
        let text = value.to_str().expect("it is made of ASCII").to_owned();
        *value = HeaderValue::from_static(text.leak());
    }
    challenge
});

impl Challenge {
    fn new(settings: Settings, offered: Challenges, used: usize) -> Self {
        let mut challenge = Self { settings, offered, used, prepared: Vec::new(), carried: None };
        let values = AuthErrorKind::ALL.into_iter().flat_map(|kind| challenge.render(kind, None));
        challenge.prepared = values.collect();
        challenge
    }

    pub(crate) fn or_default(challenge: Option<&Self>) -> &Self {
        challenge.unwrap_or(&DEFAULT)
    }

    /// The same with one more header that is carried to the layer.
    pub(crate) fn carrying(&self, name: HeaderName, value: HeaderValue) -> Self {
        let mut carrying = self.clone();
        carrying.carried.get_or_insert_default().append(name, value);
        carrying
    }

    pub(crate) fn carried(&self) -> Option<Box<HeaderMap>> {
        self.carried.clone()
    }

    /// The values of `WWW-Authenticate` for a refusal.
    pub(crate) fn headers(&self, kind: AuthErrorKind) -> &[HeaderValue] {
        let schemes = self.offered.offers().len();
        &self.prepared[kind as usize * schemes..][..schemes]
    }

    /// The same for a refusal that asks for scopes of its own.
    pub(crate) fn render(&self, kind: AuthErrorKind, needed_scope: Option<&str>) -> Vec<HeaderValue> {
        let Settings { realm, scope, resource_metadata } = &self.settings;
        let Answer { status, code } = kind.answer();
        let default_scope = scope.as_deref().filter(|_| status == StatusCode::UNAUTHORIZED);

        let render = |(position, offer): (usize, &Offer)| {
            let is_used = position == self.used;
            let mut text = format!("{} realm={realm}", offer.scheme);
            if let Some(code) = code.filter(|_| is_used) {
                text += &format!(", error=\"{code}\", error_description=\"{kind}\"");
            }
            if let Some(scope) = needed_scope.filter(|_| is_used).or(default_scope) {
                text += &format!(", scope=\"{scope}\"");
            }
            if let Some(address) = resource_metadata {
                text += &format!(", resource_metadata=\"{address}\"");
            }
            text += &offer.params;
            HeaderValue::try_from(text).expect("what is in it was checked when it was set")
        };
        self.offered.offers().iter().enumerate().map(render).collect()
    }
}

/// The challenges of a layer, by the scheme that the client used.
#[derive(Clone)]
pub(crate) struct LayerChallenges {
    offered: Challenges,
    is_bearer_alone: bool,
    /// Empty if all are the default.
    by_scheme: Vec<Arc<Challenge>>,
}

impl LayerChallenges {
    pub(crate) fn new(settings: Option<&Settings>, offered: Challenges) -> Self {
        let is_bearer_alone = offered == Challenges::bearer();
        if settings.is_none() && is_bearer_alone {
            return Self { offered, is_bearer_alone, by_scheme: Vec::new() };
        }
        let settings = settings.cloned().unwrap_or_default();
        let challenge = |used| Arc::new(Challenge::new(settings.clone(), offered.clone(), used));
        let by_scheme = (0..offered.offers().len()).map(challenge).collect();
        Self { offered, is_bearer_alone, by_scheme }
    }

    /// The schemes that a client may use.
    #[inline]
    pub(crate) fn schemes(&self) -> OfferedSchemes<'_> {
        if self.is_bearer_alone {
            OfferedSchemes::Bearer
        } else {
            OfferedSchemes::These(self.offered.offers())
        }
    }

    /// The challenge to a client that used `scheme`; `None` for the default.
    #[inline]
    pub(crate) fn to(&self, scheme: Scheme<'_>) -> Option<&Arc<Challenge>> {
        self.by_scheme.get(self.offered.position(scheme).unwrap_or(0))
    }

    /// The challenge to a client that used no scheme, or more than one.
    pub(crate) fn to_any(&self) -> Option<&Arc<Challenge>> {
        self.by_scheme.first()
    }
}

impl Settings {
    pub(crate) fn set_realm(&mut self, realm: &str) -> Result<(), ConfigError> {
        let invalid = || ConfigProblem::InvalidRealm { realm: realm.to_owned() }.into();
        self.realm = quoted(realm).ok_or_else(invalid)?;
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
        Self { realm: "\"api\"".to_owned(), scope: None, resource_metadata: None }
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
            | Self::WrongTokenType
            | Self::UnsupportedAlgorithm
            | Self::UnknownKey
            | Self::InvalidSignature
            | Self::InvalidClaims
            | Self::WrongIssuer
            | Self::WrongAudience
            | Self::WrongClaim
            | Self::SenderConstrained
            | Self::MissingExpiry
            | Self::NotYetValid
            | Self::Expired
            | Self::Revoked
            | Self::InvalidToken
            | Self::UnknownPrincipal => (StatusCode::UNAUTHORIZED, Some("invalid_token")),
            Self::InsufficientScope => (StatusCode::FORBIDDEN, Some("insufficient_scope")),
            // The token was not judged, so nothing is said about it.
            Self::KeysUnavailable
            | Self::RevocationsUnavailable
            | Self::PrincipalUnavailable
            | Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, None),
            Self::MissingLayer => (StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        Answer { status, code }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge").field("realm", &self.realm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_finds_its_own_header() {
        let offered = Challenges::bearer().add_scheme(Scheme::DPOP);
        let challenge = Challenge::new(Settings::default(), offered, 1);
        for (position, kind) in AuthErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, position);
            assert_eq!(challenge.headers(kind), challenge.render(kind, None));
        }
    }

    #[test]
    fn a_realm_is_quoted() {
        let mut settings = Settings::default();
        settings.set_realm(r#"a "b" \c"#).unwrap();
        let challenge = Challenge::new(settings, Challenges::bearer(), 0);
        assert_eq!(challenge.headers(AuthErrorKind::MissingCredential), [r#"Bearer realm="a \"b\" \\c""#]);
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
