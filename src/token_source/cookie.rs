use std::borrow::Cow;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::{Found, Place, TokenSource, checked_name, only_token};
use crate::config_error::ConfigError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cookie(Box<str>);

impl TokenSource {
    /// A cookie whose value is the token. An empty one counts as none, since that is what many sign-outs leave.
    ///
    /// A browser sends the cookie with every request to this service, whatever site it has been made by: what changes
    /// anything needs a defence against cross-site request forgery. Set the cookie `HttpOnly`, `Secure` and
    /// `SameSite=Lax` or `Strict`, and put [tower-http's `csrf`](https://docs.rs/tower-http/0.7/tower_http/csrf) in front:
    ///
    #[cfg_attr(feature = "axum", doc = "```")]
    #[cfg_attr(not(feature = "axum"), doc = "```ignore")]
    /// use axum::{Router, routing::post};
    /// use tower_http::csrf::CsrfLayer;
    /// use tower_jwt_auth::{JwtAuthLayer, TokenSource};
    /// # use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
    ///
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, [7; 32])?);
    /// let app: Router = Router::new()
    ///     .route("/transfer", post(async || "done"))
    ///     .layer(JwtAuthLayer::new(verifier).token_source(TokenSource::cookie("__Host-token")?))
    ///     .layer(CsrfLayer::new()); // added last, so it runs first
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If no cookie can have this name ([RFC 6265, section 4.1.1](https://www.rfc-editor.org/rfc/rfc6265#section-4.1.1)).
    pub fn cookie(name: &str) -> Result<Self, ConfigError> {
        Ok(Self(Place::Cookie(Cookie(checked_name("a cookie's name", name)?))))
    }
}

impl Cookie {
    pub(super) fn find<'a>(&self, headers: &'a HeaderMap) -> Found<'a> {
        let pairs = headers.get_all(COOKIE).iter().flat_map(pairs);
        only_token(pairs.filter_map(|pair| self.value(pair)).filter(|value| !value.is_empty()))
    }

    /// The header without this cookie; `None` if nothing is left of it.
    pub(super) fn without(&self, value: &HeaderValue) -> Option<HeaderValue> {
        let rest: Vec<_> = pairs(value).filter(|pair| self.value(pair).is_none()).collect();
        let mut value = HeaderValue::from_bytes(&rest.join(&b"; "[..])).expect("a part of a header is one");
        value.set_sensitive(true);
        (!rest.is_empty()).then_some(value)
    }

    /// The value in a pair of name and value, if the name is this cookie's.
    fn value<'a>(&self, pair: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let cookie = cookie::Cookie::parse(String::from_utf8_lossy(pair)).ok()?;
        (cookie.name() == &*self.0).then(|| match cookie.value_raw() {
            Some(value) => Cow::Borrowed(value.as_bytes()),
            None => Cow::Owned(cookie.value().into()),
        })
    }
}

fn pairs(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}
