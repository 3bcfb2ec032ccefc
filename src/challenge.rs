//! The status, error code and `WWW-Authenticate` of a rejection (RFC 6750, section 3; RFC 9110, section 11.6.1).

use std::fmt::{self, Formatter};
use std::sync::{Arc, LazyLock};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::challenges::{Challenges, Offer, OfferedSchemes, quoted};
use crate::config_error::{ConfigError, ConfigProblem};
use crate::kind::AuthErrorKind;
use crate::scheme::Scheme;
use crate::url::public_url;

/// The challenge of a layer to clients that use one of its schemes, with rendered headers for every kind of error.
#[derive(Clone)]
pub(crate) struct Challenge {
    settings: Settings,
    offered: Challenges,
    /// The position of the scheme that the client used. The error is in the field of this scheme.
    used: usize,
    /// One value for each scheme, for each kind of error.
    prepared: Vec<HeaderValue>,
    /// Headers that the verifier passes to the layer.
    carried: Option<Box<HeaderMap>>,
}

/// The settings of a challenge. Their texts are valid in a header.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Includes the quotes.
    realm: String,
    scope: Option<String>,
    resource_metadata: Option<String>,
}

/// The challenge of a layer without settings.
///
/// Its headers are leaked once in a process. Cloning them then does not write to a counter shared by all cores.
static DEFAULT: LazyLock<Challenge> = LazyLock::new(|| {
    let mut challenge = Challenge::new(Settings::default(), Challenges::bearer(), 0);
    for value in &mut challenge.prepared {
        let text = value.to_str().expect("a rendered challenge is ASCII").to_owned();
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

    /// Adds headers that the verifier passes to the layer.
    pub(crate) fn carry(&mut self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) {
        let carried = self.carried.get_or_insert_default();
        for (name, value) in headers {
            carried.append(name, value);
        }
    }

    pub(crate) fn carried(&self) -> Option<Box<HeaderMap>> {
        self.carried.clone()
    }

    /// Returns the values of `WWW-Authenticate` for a kind of error.
    pub(crate) fn headers(&self, kind: AuthErrorKind) -> &[HeaderValue] {
        let schemes = self.offered.offers().len();
        &self.prepared[kind as usize * schemes..][..schemes]
    }

    /// Renders the values of `WWW-Authenticate`, with the scopes that the request requires.
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
            HeaderValue::try_from(text).expect("the settings and parameters were checked")
        };
        self.offered.offers().iter().enumerate().map(render).collect()
    }
}

/// The challenges of a layer, by the scheme that the client used.
#[derive(Clone)]
pub(crate) struct LayerChallenges {
    offered: Challenges,
    is_bearer_alone: bool,
    /// Empty if every scheme uses the default.
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

    /// Returns the schemes that a client may use.
    #[inline]
    pub(crate) fn schemes(&self) -> OfferedSchemes<'_> {
        if self.is_bearer_alone {
            OfferedSchemes::Bearer
        } else {
            OfferedSchemes::These(self.offered.offers())
        }
    }

    /// Returns the challenge to a client that used `scheme`, or `None` for the default.
    #[inline]
    pub(crate) fn to(&self, scheme: Scheme<'_>) -> Option<&Arc<Challenge>> {
        self.by_scheme.get(self.offered.position(scheme).unwrap_or(0))
    }

    /// Returns the challenge to a client that used no scheme or several.
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

/// Rejects a setting that is not a list of scopes.
pub(crate) fn checked_scopes(text: &str) -> Result<&str, ConfigError> {
    if is_scope_list(text) {
        Ok(text)
    } else {
        Err(ConfigProblem::InvalidScope { scope: text.to_owned() }.into())
    }
}

/// Returns true for one or more scopes separated by single spaces (RFC 6749, section 3.3).
pub(crate) fn is_scope_list(text: &str) -> bool {
    let is_scope = |scope: &str| {
        !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
    };
    text.split(' ').all(is_scope)
}

/// The status and error code of a rejection. Only statuses 400, 401 and 403 have a challenge.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) code: Option<&'static str>,
}

impl AuthErrorKind {
    /// Returns the status and error code of each kind of error. No other code decides this.
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
            | Self::MissingBinding
            | Self::WrongProofKey
            | Self::MissingCertificate
            | Self::WrongCertificate
            | Self::MissingExpiry
            | Self::NotYetValid
            | Self::Expired
            | Self::Revoked
            | Self::MalformedApiKey
            | Self::InvalidToken
            | Self::UnknownPrincipal => (StatusCode::UNAUTHORIZED, Some("invalid_token")),
            Self::MissingProof
            | Self::MalformedProof
            | Self::InvalidProofSignature
            | Self::WrongProofRequest
            | Self::WrongProofToken
            | Self::WrongProofTime
            | Self::ReplayedProof => (StatusCode::UNAUTHORIZED, Some("invalid_dpop_proof")),
            Self::WrongProofNonce => (StatusCode::UNAUTHORIZED, Some("use_dpop_nonce")),
            Self::InsufficientScope => (StatusCode::FORBIDDEN, Some("insufficient_scope")),
            // The token was not verified, so there is no error code.
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
    fn finds_the_header_of_every_kind() {
        let offered = Challenges::bearer().add_scheme(Scheme::DPOP);
        let challenge = Challenge::new(Settings::default(), offered, 1);
        for (position, kind) in AuthErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, position);
            assert_eq!(challenge.headers(kind), challenge.render(kind, None));
        }
    }

    #[test]
    fn quotes_the_realm() {
        let mut settings = Settings::default();
        settings.set_realm(r#"a "b" \c"#).unwrap();
        let challenge = Challenge::new(settings, Challenges::bearer(), 0);
        assert_eq!(challenge.headers(AuthErrorKind::MissingCredential), [r#"Bearer realm="a \"b\" \\c""#]);
    }

    /// A quoted-string and a `grpc-message` contain the descriptions.
    #[test]
    fn descriptions_need_no_escaping() {
        for kind in AuthErrorKind::ALL {
            let fits = |byte| matches!(byte, b' '..=b'~') && !b"\"\\%".contains(&byte);
            assert!(kind.description().bytes().all(fits), "{kind}");
        }
    }
}
