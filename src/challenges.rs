//! The schemes that a verifier offers (RFC 9110, section 11.6.1).

use crate::config_error::{ConfigError, ConfigProblem};
use crate::scheme::{Scheme, is_token};

/// The authentication schemes that a [`Verify`](crate::Verify) accepts, as a layer offers them in `WWW-Authenticate`.
///
/// A refusal has one field for each scheme ([RFC 9110, section
/// 11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1)), in this order. The layer adds its realm and its other
/// settings to each of them, and the error to that of the scheme which the client used. The layer also reads these schemes,
/// and no others, from [`Authorization`](crate::TokenSource::authorization).
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
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Challenges {
    /// Never empty.
    offers: Vec<Offer>,
}

/// One scheme, with its parameters as they stand in the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) scheme: Box<str>,
    pub(crate) params: String,
}

/// The schemes that a layer reads from `Authorization`. Nearly always it is the one that needs no list.
#[derive(Clone, Copy)]
pub(crate) enum OfferedSchemes<'a> {
    Bearer,
    These(&'a [Offer]),
}

/// The layer sets these itself.
const RESERVED: [&str; 5] = ["realm", "error", "error_description", "scope", "resource_metadata"];

impl Challenges {
    /// The scheme `Bearer` alone, which is the default.
    pub fn bearer() -> Self {
        Self::new(Scheme::BEARER)
    }

    /// This scheme alone.
    pub fn new(scheme: Scheme<'_>) -> Self {
        Self { offers: vec![Offer::new(scheme)] }
    }

    /// Adds a scheme, unless it is there.
    pub fn add_scheme(mut self, scheme: Scheme<'_>) -> Self {
        self.insert(Offer::new(scheme));
        self
    }

    /// Adds a parameter to the challenge of an offered scheme.
    ///
    /// # Errors
    ///
    /// If the scheme is not offered, `name` is no name of a parameter or the scheme has one of this name, `value` has anything
    /// but printable ASCII, or the layer sets this parameter itself: `realm`, `error`, `error_description`, `scope` and
    /// `resource_metadata`.
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

    /// Adds an offer, unless its scheme is there.
    pub(crate) fn insert(&mut self, offer: Offer) {
        if self.position(offer.scheme()).is_none() {
            self.offers.push(offer);
        }
    }

    /// All of several verifiers, in the order in which they come; `Bearer` if there are none.
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

/// A quoted-string of RFC 9110, section 5.6.4; `None` if something in it is not printable ASCII.
pub(crate) fn quoted(text: &str) -> Option<String> {
    let is_printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_printable.then(|| format!("\"{}\"", text.replace('\\', r"\\").replace('"', r#"\""#)))
}
