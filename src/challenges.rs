//! The authentication schemes of a verifier (RFC 9110, section 11.6.1).

use crate::config_error::{ConfigError, ConfigProblem};
use crate::scheme::{Scheme, is_token};

/// The authentication schemes that a [`Verify`](crate::Verify) accepts.
///
/// ```
/// use tower_jwt_auth::verifiers::{Challenges, Scheme};
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// // `Bearer realm="api"` and `DPoP realm="api", algs="ES256 EdDSA"`
/// let challenges = Challenges::bearer().add_scheme(Scheme::DPOP).add_param(Scheme::DPOP, "algs", "ES256 EdDSA")?;
/// # Ok(())
/// # }
/// ```
///
/// A rejection has one `WWW-Authenticate` field for each scheme, in this order ([RFC 9110, section
/// 11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1)). The layer adds its realm and its other settings to
/// each field. It adds the error only to the field of the scheme that the client used.
///
/// The layer reads only these schemes from [`Authorization`](crate::TokenSource::authorization).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Challenges {
    /// Never empty.
    offers: Vec<Offer>,
}

/// A scheme with its parameters in the syntax of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) scheme: Box<str>,
    pub(crate) params: String,
}

/// The schemes that a layer reads from `Authorization`. `Bearer` alone is the usual case and needs no list.
#[derive(Clone, Copy)]
pub(crate) enum OfferedSchemes<'a> {
    Bearer,
    These(&'a [Offer]),
}

/// Parameters that the layer sets itself.
const RESERVED: [&str; 5] = ["realm", "error", "error_description", "scope", "resource_metadata"];

impl Challenges {
    /// Creates the default: only the scheme `Bearer`.
    pub fn bearer() -> Self {
        Self::new(Scheme::BEARER)
    }

    /// Creates challenges with only this scheme.
    pub fn new(scheme: Scheme<'_>) -> Self {
        Self { offers: vec![Offer::new(scheme)] }
    }

    /// Adds a scheme, unless it already is there.
    pub fn add_scheme(mut self, scheme: Scheme<'_>) -> Self {
        self.insert(Offer::new(scheme));
        self
    }

    /// Adds a parameter to the challenge of an offered scheme.
    ///
    /// # Errors
    ///
    /// - The scheme has not been added.
    /// - `name` is not a valid parameter name, or the scheme already has this parameter.
    /// - `value` contains other characters than printable ASCII.
    /// - The layer itself sets this parameter: `realm`, `error`, `error_description`, `scope` or `resource_metadata`.
    pub fn add_param(mut self, scheme: Scheme<'_>, name: &str, value: &str) -> Result<Self, ConfigError> {
        let invalid = |of, name: &str| ConfigProblem::InvalidName { of, name: name.to_owned() }.into();
        let is_reserved = RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved));
        let offer = self.position(scheme).map(|position| &mut self.offers[position]);
        let offer = offer.ok_or_else(|| invalid("a scheme that is offered", scheme.as_str()))?;
        let start = format!(", {}=\"", name.to_ascii_lowercase());
        if !is_token(name.as_bytes()) || is_reserved || offer.params.to_ascii_lowercase().contains(&start) {
            return Err(invalid("a new parameter of a challenge", name));
        }
        let quoted =
            quoted(value).ok_or_else(|| invalid("the value of a parameter of a challenge", value))?;
        offer.params += &format!(", {name}={quoted}");
        Ok(self)
    }

    pub(crate) fn offers(&self) -> &[Offer] {
        &self.offers
    }

    pub(crate) fn position(&self, scheme: Scheme<'_>) -> Option<usize> {
        self.offers.iter().position(|offer| offer.scheme() == scheme)
    }

    /// Adds an offer, unless its scheme already is there.
    pub(crate) fn insert(&mut self, offer: Offer) {
        if self.position(offer.scheme()).is_none() {
            self.offers.push(offer);
        }
    }

    /// Combines the offers of several verifiers in their order. Without offers returns `Bearer`.
    pub(crate) fn all(offers: impl IntoIterator<Item = Offer>) -> Self {
        let mut all = Self { offers: Vec::new() };
        offers.into_iter().for_each(|offer| all.insert(offer));
        if all.offers.is_empty() { Self::bearer() } else { all }
    }
}

impl Offer {
    pub(crate) fn new(scheme: Scheme<'_>) -> Self {
        Self { scheme: scheme.as_str().into(), params: String::new() }
    }

    pub(crate) fn scheme(&self) -> Scheme<'_> {
        Scheme::trusted(&self.scheme)
    }
}

/// Returns a quoted-string (RFC 9110, section 5.6.4), or `None` unless all characters are printable ASCII.
pub(crate) fn quoted(text: &str) -> Option<String> {
    let is_printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_printable.then(|| format!("\"{}\"", text.replace('\\', r"\\").replace('"', r#"\""#)))
}
