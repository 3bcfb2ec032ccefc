//! Token sources: the places of a request that may contain the token.

mod condition;
mod cookie;
mod custom;
mod query;
mod syntax;
mod websocket;

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::{Request, Uri, header};

use self::condition::Condition;
use self::custom::Custom;
#[cfg(feature = "introspection")]
pub(crate) use self::syntax::is_b64token as is_bearer_token;
use self::syntax::{checked_name, credential, is_b64token, split_word};
use crate::challenges::{Offer, OfferedSchemes};
use crate::config_error::ConfigError;
use crate::head::Head;
use crate::kind::AuthErrorKind;
use crate::scheme::Scheme;

/// A place where a request may carry its token.
///
/// ```
/// use http::HeaderName;
/// use tower_jwt_auth::verifiers::Scheme;
/// use tower_jwt_auth::TokenSource;
///
/// let behind_a_proxy = TokenSource::header(HeaderName::from_static("x-access-token"));
/// let own_scheme = TokenSource::header_with_scheme(http::header::AUTHORIZATION, Scheme::from_static("Token"));
/// ```
///
/// By default a layer reads only `Authorization: Bearer`. You can give it
/// [other sources](crate::JwtAuthLayer::token_source). With several sources it reads all of them, and rejects a request
/// with two credentials with 400, unless you set
/// [`prefer_first_token_source`](crate::JwtAuthLayer::prefer_first_token_source). A credential of another scheme does
/// not count.
///
/// | source | form of the token | risk |
/// |---|---|---|
/// | [`authorization`](Self::authorization) | `b64token` | none |
/// | [`header_with_scheme`](Self::header_with_scheme) | `b64token` | none |
/// | [`header`](Self::header) | any text, not empty | none |
/// | [`cookie`](Self::cookie) | any text; empty counts as no credential | CSRF |
/// | [`websocket_protocol`](Self::websocket_protocol) | `b64token` | a proxy may log it |
/// | [`query`](Self::query) | `b64token` | URLs are logged; use it as a last resort |
/// | [`custom`](Self::custom) | any text, not empty | depends on the place |
///
/// - Browsers send headers only from a script.
/// - Browsers also send cookies with requests from other sites, so a cookie needs a defense against CSRF.
/// - URLs end up in logs, histories and `Referer` headers.
///
/// # Form of the token
///
/// A `b64token` is a bearer token ([RFC 6750, section 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)):
/// letters, digits and `-._~+/`, then any number of `=`. A token of any other scheme has the same form
/// ([RFC 9110, section 11.2](https://www.rfc-editor.org/rfc/rfc9110#section-11.2)). The sources for bearer tokens
/// require it: the header, the query parameter ([section 2.3](https://www.rfc-editor.org/rfc/rfc6750#section-2.3)) and
/// the WebSocket subprotocol. Anything else gets 400 instead of 401.
///
/// RFC 6750 does not cover cookies and other headers. Their values go to the verifier unchanged, so an API key such as
/// `id:secret` works there.
///
/// # Response headers
///
/// Shared caches know that `Authorization` is a credential
/// ([RFC 9111, section 3.5](https://www.rfc-editor.org/rfc/rfc9111#section-3.5)), but not that other places may contain
/// one. So the layer adds to the response for a token from another place:
///
/// - `Cache-Control: private`, unless the service sets `Cache-Control`.
/// - `Vary` with the headers that may contain a token. A request that passes without a token gets only this one.
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenSource {
    place: Place,
    /// The place is read only if all conditions hold.
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Authorization,
    Header { name: HeaderName, scheme: Option<Box<str>> },
    Cookie(Box<str>),
    Query(Box<str>),
    WebSocketProtocol(Box<str>),
    Custom(Custom),
}

/// The token in a place, if there is one. It may be empty.
type Found<'a> = Result<Option<Cow<'a, [u8]>>, AuthErrorKind>;

impl TokenSource {
    fn at(place: Place) -> Self {
        Self { place, conditions: Vec::new() }
    }

    /// Reads the header `Authorization`.
    ///
    /// It accepts the schemes that the verifier [offers](crate::Verify::challenges), in any case. A
    /// [`JwtVerifier`](crate::JwtVerifier) offers `Bearer`
    /// ([RFC 6750, section 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    pub fn authorization() -> Self {
        Self::at(Place::Authorization)
    }

    /// Reads a header whose whole value is the token or API key, without a scheme.
    ///
    /// The token may have any form, but an empty one is rejected.
    pub fn header(name: HeaderName) -> Self {
        Self::at(Place::Header { name, scheme: None })
    }

    /// Reads a header that contains a scheme and the token, like `Authorization`.
    ///
    /// The scheme may be in any case.
    ///
    /// The challenge still names the schemes that the [verifier offers](crate::Verify::challenges), `Bearer` by
    /// default. If the verifier offers the scheme, [`authorization`](Self::authorization) reads it already.
    pub fn header_with_scheme(name: HeaderName, scheme: Scheme<'_>) -> Self {
        Self::at(Place::Header { name, scheme: Some(scheme.as_str().into()) })
    }

    /// Reads a cookie. An empty one counts as none.
    ///
    #[cfg_attr(feature = "axum", doc = "```")]
    #[cfg_attr(not(feature = "axum"), doc = "```ignore")]
    /// use axum::{Router, routing::post};
    /// use tower_http::csrf::CsrfLayer;
    /// use tower_jwt_auth::{JwtAuthLayer, TokenSource};
    /// # use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
    ///
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
    /// let app: Router = Router::new()
    ///     .route("/transfer", post(async || "done"))
    ///     .layer(JwtAuthLayer::new(verifier).token_source(TokenSource::cookie("__Host-token")?))
    ///     .layer(CsrfLayer::new()); // added last, so it runs first
    /// # Ok(())
    /// # }
    /// ```
    /// Many logouts leave an empty cookie, so it counts as no credential. Browsers store cookies of up to 4,096
    /// bytes, and most [ML-DSA tokens](crate::Algorithm#size-of-ml-dsa-tokens) are longer. See
    /// [RFC 6265, section 4.2](https://www.rfc-editor.org/rfc/rfc6265#section-4.2).
    ///
    /// # Security
    ///
    /// A browser sends the cookie with every request to this service, even if another site made it. Requests that
    /// change anything need a defense against cross-site request forgery (CSRF):
    ///
    /// - Set the cookie with `HttpOnly`, `Secure`, and `SameSite=Lax` or `Strict`.
    /// - Put [tower-http's `csrf`](https://docs.rs/tower-http/0.7/tower_http/csrf) in front. It passes every `GET`, so
    ///   a handler that opens a WebSocket must compare `Origin` itself.
    ///
    /// # Errors
    ///
    /// Returns an error if the name is not valid for a cookie
    /// ([RFC 6265, section 4.1.1](https://www.rfc-editor.org/rfc/rfc6265#section-4.1.1)).
    pub fn cookie(name: &str) -> Result<Self, ConfigError> {
        Ok(Self::at(Place::Cookie(checked_name("a cookie's name", name)?)))
    }

    /// Reads a query parameter. An empty one is rejected.
    ///
    /// [RFC 6750, section 2.3](https://www.rfc-editor.org/rfc/rfc6750#section-2.3) calls it `access_token` and advises
    /// against it. For a key without the form of a bearer token, use [`custom`](Self::custom).
    ///
    /// # Security
    ///
    /// The URL with the token ends up in the logs of all proxies, in the browser's history, and perhaps in `Referer`:
    ///
    /// - Issue separate tokens for this, with a short lifetime and one purpose.
    /// - Send `Cache-Control: no-store` with the response. By default the layer sends `private`.
    /// - Call [`strip_credential`](crate::JwtAuthLayer::strip_credential), so that the inner service logs the URL
    ///   without the token. Copies of the URL keep it: axum's `OriginalUri`, and proxy headers such as
    ///   `X-Forwarded-Uri`.
    /// - Use [`only_if`](Self::only_if) to read it only for requests that need it, such as those of `EventSource`.
    pub fn query(name: &str) -> Self {
        Self::at(Place::Query(name.into()))
    }

    /// Reads the subprotocols of a WebSocket handshake.
    ///
    /// Browsers cannot send other headers with it.
    ///
    /// See [RFC 6455, section 11.3.4](https://www.rfc-editor.org/rfc/rfc6455#section-11.3.4). With the marker `bearer`
    /// the token is either in an entry `bearer.<token>`, or the entry after `bearer`:
    ///
    /// ```js
    /// new WebSocket(url, ["bearer", token])               // the service must select `bearer`
    /// new WebSocket(url, ["orders.v1", `bearer.${token}`]) // the service must select `orders.v1`
    /// ```
    ///
    /// The layer always removes the token before the inner service sees the list. The service selects one of the other
    /// entries, and the layer does not change its response. A browser fails the connection if none is selected.
    ///
    /// The token is verified once, when the connection opens. Close the connection at
    /// [`TokenInfo::expires_at`](crate::token::TokenInfo::expires_at).
    ///
    /// # Errors
    ///
    /// Returns an error if `marker` is not a valid subprotocol name.
    pub fn websocket_protocol(marker: &str) -> Result<Self, ConfigError> {
        Ok(Self::at(Place::WebSocketProtocol(checked_name("a subprotocol", marker)?)))
    }

    /// Finds the token with your own function.
    ///
    /// `headers` are the headers that `find` reads. The layer marks them as sensitive, and
    /// [`strip_credential`](crate::JwtAuthLayer::strip_credential) removes them completely. Without headers the token
    /// stays in the request. To remove only a part, or a token outside the headers, use
    /// [`custom_with_strip`](Self::custom_with_strip).
    ///
    /// ```
    /// use http::HeaderName;
    /// use tower_jwt_auth::TokenSource;
    ///
    /// // `X-Forwarded-Access: user=42; token=eyJ0...`
    /// const ACCESS: HeaderName = HeaderName::from_static("x-forwarded-access");
    /// let source = TokenSource::custom([ACCESS], |request| {
    ///     let value = request.headers().get(ACCESS)?.to_str().ok()?;
    ///     value.split("; ").find_map(|part| part.strip_prefix("token=")).map(Into::into)
    /// });
    /// ```
    pub fn custom<F>(headers: impl IntoIterator<Item = HeaderName>, find: F) -> Self
    where
        F: for<'a> Fn(Head<'a>) -> Option<Cow<'a, str>> + Send + Sync + 'static,
    {
        Self::at(Place::Custom(Custom::new(headers.into_iter().collect(), find, None)))
    }

    /// Same as [`custom`](Self::custom), with a function that removes the token from a request.
    ///
    /// [`strip_credential`](crate::JwtAuthLayer::strip_credential) calls `strip` for every request that reaches the
    /// inner service. The request may have no token, an invalid one or several. Remove all of them, and leave other
    /// requests unchanged.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use http::{Request, Response, Uri};
    /// use tower::{ServiceBuilder, ServiceExt};
    /// use tower_jwt_auth::{JwtAuthLayer, TokenSource};
    /// # use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?);
    /// // A calendar program cannot send headers, so the token is in the path: `/feeds/eyJ0...`
    /// let source = TokenSource::custom_with_strip(
    ///     [],
    ///     |request| request.uri().path().strip_prefix("/feeds/").map(Into::into),
    ///     |_headers, uri| {
    ///         if uri.path().starts_with("/feeds/") {
    ///             *uri = Uri::from_static("/feeds/");
    ///         }
    ///     },
    /// );
    /// let layer = JwtAuthLayer::new(verifier).token_source(source).strip_credential();
    ///
    /// let service = ServiceBuilder::new()
    ///     .layer(layer.allow_invalid()) // to see the request although the token is invalid
    ///     .service_fn(async |request: Request<String>| Ok::<_, Infallible>(Response::new(request.uri().to_string())));
    /// let response = service.oneshot(Request::get("/feeds/a.b.c").body(String::new())?).await?;
    /// assert_eq!(response.into_body(), "/feeds/");
    /// # Ok(())
    /// # }
    /// ```
    pub fn custom_with_strip<F, G>(headers: impl IntoIterator<Item = HeaderName>, find: F, strip: G) -> Self
    where
        F: for<'a> Fn(Head<'a>) -> Option<Cow<'a, str>> + Send + Sync + 'static,
        G: Fn(&mut HeaderMap, &mut Uri) + Send + Sync + 'static,
    {
        Self::at(Place::Custom(Custom::new(headers.into_iter().collect(), find, Some(Arc::new(strip)))))
    }

    /// Reads this source only for requests that match `predicate`.
    ///
    /// A browser's `EventSource` cannot send headers, so its token must be in the query. This source reads the query
    /// only for such requests:
    ///
    /// ```
    /// use http::header::{ACCEPT, WWW_AUTHENTICATE};
    /// use http::{Method, Request, Response};
    /// use tower::{ServiceBuilder, ServiceExt};
    /// use tower_jwt_auth::{JwtAuthLayer, TokenSource};
    /// # use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?);
    /// let events = TokenSource::query("access_token").only_if(|request| {
    ///     let accept = request.headers().get(ACCEPT);
    ///     request.method() == Method::GET && accept.is_some_and(|accept| accept == "text/event-stream")
    /// });
    /// let layer = JwtAuthLayer::new(verifier).add_token_source(events).strip_credential();
    ///
    /// let service = ServiceBuilder::new()
    ///     .layer(layer)
    ///     .service_fn(async |_: Request<String>| Ok::<_, std::io::Error>(Response::new(String::new())));
    /// let request = |accept| Request::get("/events?access_token=a.b.c").header(ACCEPT, accept).body(String::new());
    /// let read = service.clone().oneshot(request("text/event-stream")?).await?;
    /// let unread = service.oneshot(request("application/json")?).await?;
    /// assert_eq!(
    ///     read.headers()[WWW_AUTHENTICATE],
    ///     r#"Bearer realm="api", error="invalid_token", error_description="the token is not a well-formed JWT""#
    /// );
    /// assert_eq!(unread.headers()[WWW_AUTHENTICATE], r#"Bearer realm="api""#); // no credential
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// - With several predicates all must match. They see the request unchanged, as the client sent it.
    /// - For other requests a credential in this place does not count, not even as a second credential.
    /// - Such a credential is still a secret. The layer marks its header as sensitive, and
    ///   [`strip_credential`](crate::JwtAuthLayer::strip_credential) removes it.
    pub fn only_if<F>(mut self, predicate: F) -> Self
    where
        F: Fn(Head<'_>) -> bool + Send + Sync + 'static,
    {
        self.conditions.push(Condition::new(predicate));
        self
    }

    /// Returns the token in this place, if there is one. In `Authorization` it may have any of the `offered` schemes.
    #[inline]
    pub(crate) fn find<'r>(&self, request: &Head<'r>, offered: OfferedSchemes<'_>) -> Found<'r> {
        if !self.conditions.iter().all(|condition| condition.holds(*request)) {
            return Ok(None);
        }
        let headers = request.headers();
        match &self.place {
            Place::Authorization => only_value(headers, &AUTHORIZATION, |value| match offered {
                OfferedSchemes::Bearer => credential(value, "Bearer"),
                OfferedSchemes::These(offers) => Ok(find_any(value, offers)?.map(|(_, token)| token)),
            }),
            Place::Header { name, scheme } => only_value(headers, name, |value| match scheme {
                Some(scheme) => credential(value, scheme),
                None => Ok(Some(value.as_bytes())),
            }),
            Place::Cookie(name) => cookie::find(headers, name),
            Place::Query(name) => query::find(request.uri(), name),
            Place::WebSocketProtocol(marker) => websocket::find(headers, marker),
            Place::Custom(custom) => Ok(custom.find(*request)),
        }
    }

    pub(crate) fn has_own_scheme(&self) -> bool {
        matches!(self.place, Place::Header { scheme: Some(_), .. })
    }

    /// Returns the scheme of a token that was found here.
    pub(crate) fn scheme<'s>(&'s self, request: &Head<'_>, offered: OfferedSchemes<'s>) -> Scheme<'s> {
        match (&self.place, offered) {
            (Place::Header { scheme: Some(scheme), .. }, _) => Scheme::trusted(scheme),
            (Place::Authorization, OfferedSchemes::These(offers)) => {
                let found = request.headers().get(AUTHORIZATION).map(|value| find_any(value, offers));
                found.and_then(Result::ok).flatten().map_or(Scheme::BEARER, |(scheme, _)| scheme)
            }
            _ => Scheme::BEARER,
        }
    }

    /// Returns true for the same source. Functions cannot be compared, so only clones of one custom source are the
    /// same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.place == other.place && self.conditions == other.conditions
    }

    /// Returns true for sources that read the same place, under any conditions. `Authorization` has one credential,
    /// with any scheme.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        self.place == other.place
            || (self.reads_scheme_in_authorization() && other.reads_scheme_in_authorization())
    }

    fn reads_scheme_in_authorization(&self) -> bool {
        match &self.place {
            Place::Authorization => true,
            Place::Header { name, scheme } => *name == AUTHORIZATION && scheme.is_some(),
            _ => false,
        }
    }

    /// Returns true for two `Authorization` headers. Such a message is ambiguous, so no other source is preferred to
    /// it.
    pub(crate) fn is_ambiguous(&self, request: &Head<'_>, offered: OfferedSchemes<'_>) -> bool {
        self.is_in_authorization()
            && matches!(self.find(request, offered), Err(AuthErrorKind::MultipleCredentials))
    }

    /// Checks that a token has the form that its source requires.
    pub(crate) fn is_well_formed(&self, token: &[u8]) -> bool {
        match &self.place {
            Place::Authorization
            | Place::Header { scheme: Some(_), .. }
            | Place::Query(_)
            | Place::WebSocketProtocol(_) => is_b64token(token),
            Place::Header { scheme: None, .. } | Place::Cookie(_) | Place::Custom(_) => true,
        }
    }

    /// Hides the credential from `Debug` output and from header compression. Returns true if the request has one of the source's
    /// headers.
    #[inline]
    pub(crate) fn mark_sensitive(&self, headers: &mut HeaderMap) -> bool {
        let mut is_there = false;
        for name in self.header_names() {
            is_there |= mark_sensitive(headers, name);
        }
        is_there
    }

    /// True if the token can only be in one of [its headers](Self::header_names).
    pub(crate) fn reads_headers_alone(&self) -> bool {
        !matches!(self.place, Place::Query(_) | Place::Custom(_))
    }

    /// Returns true if the token can only be in `Authorization`, which caches treat as a credential.
    pub(crate) fn is_in_authorization(&self) -> bool {
        match &self.place {
            Place::Authorization => true,
            Place::Header { name, .. } => *name == AUTHORIZATION,
            _ => false,
        }
    }

    /// Returns true if the inner service never sees the token of this place.
    pub(crate) fn is_always_taken_out(&self) -> bool {
        matches!(self.place, Place::WebSocketProtocol(_))
    }

    /// Removes every token from this place and keeps the rest. Conditions do not matter: unread tokens are secrets too.
    pub(crate) fn take_out<B>(&self, request: &mut Request<B>, offered: OfferedSchemes<'_>) {
        let headers = request.headers_mut();
        match &self.place {
            Place::Authorization => {
                let is_other = |value: &HeaderValue| match offered {
                    OfferedSchemes::Bearer => is_of_other_scheme(value, "Bearer"),
                    OfferedSchemes::These(offers) => {
                        offers.iter().all(|offer| is_of_other_scheme(value, &offer.scheme))
                    }
                };
                rewrite(headers, &AUTHORIZATION, |value| is_other(value).then(|| value.clone()));
            }
            Place::Header { name, scheme: Some(scheme) } => {
                rewrite(headers, name, |value| is_of_other_scheme(value, scheme).then(|| value.clone()));
            }
            Place::Header { name, scheme: None } => {
                headers.remove(name);
            }
            Place::Cookie(name) => rewrite(headers, &header::COOKIE, |value| cookie::without(value, name)),
            Place::Query(name) => query::take_out(request.uri_mut(), name),
            Place::WebSocketProtocol(marker) => websocket::take_out(headers, marker),
            Place::Custom(custom) => {
                custom.take_out(request);
                self.mark_sensitive(request.headers_mut());
            }
        }
    }

    pub(crate) fn header_names(&self) -> &[HeaderName] {
        match &self.place {
            Place::Authorization => &[AUTHORIZATION],
            Place::Header { name, .. } => std::slice::from_ref(name),
            Place::Cookie(_) => &[header::COOKIE],
            Place::Query(_) => &[],
            Place::WebSocketProtocol(_) => &[SEC_WEBSOCKET_PROTOCOL],
            Place::Custom(custom) => &custom.headers,
        }
    }
}

/// Marks all values of a header as sensitive. Returns true if there is one.
#[inline]
pub(crate) fn mark_sensitive(headers: &mut HeaderMap, name: &HeaderName) -> bool {
    let Some(first) = headers.get_mut(name) else {
        return false;
    };
    first.set_sensitive(true);
    let some_name_has_several = headers.len() > headers.keys_len();
    if some_name_has_several {
        headers
            .iter_mut()
            .filter(|(other, _)| *other == name)
            .for_each(|(_, value)| value.set_sensitive(true));
    }
    true
}

/// Returns the scheme of a malformed `Authorization`, so that the challenge names the scheme that the client used.
#[cold]
pub(crate) fn attempted_scheme<'r>(request: &Head<'r>) -> Scheme<'r> {
    let value = request.headers().get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
    Scheme::trusted(std::str::from_utf8(split_word(value).0).expect("a scheme is ASCII"))
}

/// Returns the credential of a header with any of these schemes.
#[cold]
fn find_any<'s, 'r>(
    value: &'r HeaderValue,
    offers: &'s [Offer],
) -> Result<Option<(Scheme<'s>, &'r [u8])>, AuthErrorKind> {
    for scheme in offers.iter().map(Offer::scheme) {
        if let Some(token) = credential(value, scheme.as_str())? {
            return Ok(Some((scheme, token)));
        }
    }
    Ok(None)
}

/// Returns the token in a header. Rejects several values: it is unclear which one counts.
#[inline]
fn only_value<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    read: impl FnOnce(&'a HeaderValue) -> Result<Option<&'a [u8]>, AuthErrorKind>,
) -> Found<'a> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let some_name_has_several = headers.len() > headers.keys_len();
    if some_name_has_several && headers.get_all(name).iter().nth(1).is_some() {
        return Err(AuthErrorKind::MultipleCredentials);
    }
    Ok(read(value)?.map(Cow::Borrowed))
}

/// Returns the only token. Rejects several: it is unclear which one counts.
fn only_token<'a>(mut tokens: impl Iterator<Item = Cow<'a, [u8]>>) -> Found<'a> {
    match (tokens.next(), tokens.next()) {
        (Some(_), Some(_)) => Err(AuthErrorKind::MultipleCredentials),
        (token, _) => Ok(token),
    }
}

/// Replaces the values of a header. `None` removes one.
fn rewrite(
    headers: &mut HeaderMap,
    name: &HeaderName,
    value: impl FnMut(&HeaderValue) -> Option<HeaderValue>,
) {
    let kept: Vec<_> = headers.get_all(name).iter().filter_map(value).collect();
    headers.remove(name);
    for value in kept {
        headers.append(name, value);
    }
}

/// Returns true if the header has a credential of another scheme.
fn is_of_other_scheme(value: &HeaderValue, scheme: &str) -> bool {
    matches!(credential(value, scheme), Ok(None))
}
