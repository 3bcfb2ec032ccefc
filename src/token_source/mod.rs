//! Where in a request the token is.

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
use self::syntax::{checked_name, credential, is_b64token, split_word};
use crate::challenges::{Offer, OfferedSchemes};
use crate::config_error::ConfigError;
use crate::head::Head;
use crate::kind::AuthErrorKind;
use crate::scheme::Scheme;

/// A place where a request may carry its token.
///
/// A layer reads only `Authorization: Bearer`, unless you give it [other
/// sources](crate::JwtAuthLayer::token_source). With several sources it reads all of them, and rejects a request with
/// two credentials with 400; [`prefer_first_token_source`](crate::JwtAuthLayer::prefer_first_token_source) changes that.
/// A credential of another scheme does not count.
///
/// | source | form of the token | cost |
/// |---|---|---|
/// | [`authorization`](Self::authorization), [`header_with_scheme`](Self::header_with_scheme) | `b64token` | none; a browser sends it only from a script |
/// | [`header`](Self::header) | any text, not empty | none; a browser sends it only from a script |
/// | [`cookie`](Self::cookie) | any text; an empty one is no credential | browsers also send it with requests from other sites: needs a defence against CSRF |
/// | [`websocket_protocol`](Self::websocket_protocol) | `b64token` | little; a proxy may log it |
/// | [`query`](Self::query) | `b64token` | URLs are in logs, histories and `Referer` headers: the last resort |
/// | [`custom`](Self::custom) | any text, not empty | depends on the place |
///
/// A `b64token` is a bearer token as [RFC 6750, section 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1) writes it:
/// letters, digits and `-._~+/`, then any number of `=`. The sources that carry a bearer token require it: the header, the
/// query parameter of [section 2.3](https://www.rfc-editor.org/rfc/rfc6750#section-2.3) and the subprotocol after its
/// marker. What follows any other scheme has the same form
/// ([RFC 9110, section 11.2](https://www.rfc-editor.org/rfc/rfc9110#section-11.2)). A client that sends something else gets
/// 400 in place of 401. RFC 6750 says nothing about cookies and other headers. Their values go to the verifier as they are,
/// so an API key such as `id:secret` works there.
///
/// Shared caches know that `Authorization` is a credential ([RFC 9111, section
/// 3.5](https://www.rfc-editor.org/rfc/rfc9111#section-3.5)). They do not know it of other places. The response to a token from
/// elsewhere therefore gets `Cache-Control: private`, unless the service sets `Cache-Control`, and `Vary` with the headers
/// that may hold a token. If a layer lets a request pass without a token, the response gets `Vary` only.
///
/// ```
/// use http::HeaderName;
/// use tower_jwt_auth::verifiers::Scheme;
/// use tower_jwt_auth::TokenSource;
///
/// let behind_a_proxy = TokenSource::header(HeaderName::from_static("x-access-token"));
/// let own_scheme = TokenSource::header_with_scheme(http::header::AUTHORIZATION, Scheme::from_static("Token"));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenSource {
    place: Place,
    /// All must hold, or the place is not read.
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

/// The token in a place, if there is one; it may be empty.
type Found<'a> = Result<Option<Cow<'a, [u8]>>, AuthErrorKind>;

impl TokenSource {
    fn at(place: Place) -> Self {
        Self { place, conditions: Vec::new() }
    }

    /// The header `Authorization`, with a scheme that the verifier [offers](crate::Verify::challenges), in any case.
    ///
    /// A [`JwtVerifier`](crate::JwtVerifier) offers `Bearer`
    /// ([RFC 6750, section 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    pub fn authorization() -> Self {
        Self::at(Place::Authorization)
    }

    /// A header whose value is the token or API key, with no scheme before it. It may have any form, but an empty one is
    /// rejected.
    pub fn header(name: HeaderName) -> Self {
        Self::at(Place::Header { name, scheme: None })
    }

    /// A header in which this scheme, in any case, stands before the token, as it does in `Authorization`.
    ///
    /// The challenge names the schemes that the [verifier offers](crate::Verify::challenges), which is `Bearer` by default.
    /// A scheme that it offers is read from `Authorization` without this.
    pub fn header_with_scheme(name: HeaderName, scheme: Scheme<'_>) -> Self {
        Self::at(Place::Header { name, scheme: Some(scheme.as_str().into()) })
    }

    /// A cookie whose value is the token ([RFC 6265, section 4.2](https://www.rfc-editor.org/rfc/rfc6265#section-4.2)). An empty
    /// one counts as none, since that is what many sign-outs leave.
    ///
    /// A browser sends the cookie with every request to this service, whatever site it has been made by: what changes
    /// anything needs a defence against cross-site request forgery. Set the cookie `HttpOnly`, `Secure` and
    /// `SameSite=Lax` or `Strict`, and put [tower-http's `csrf`](https://docs.rs/tower-http/0.7/tower_http/csrf) in front. It
    /// lets every `GET` pass, so what opens a WebSocket has to compare `Origin` itself.
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
    ///
    /// Browsers store cookies of up to 4,096 bytes, and most
    /// [ML-DSA tokens](crate::Algorithm#size-of-ml-dsa-tokens) are longer.
    ///
    /// # Errors
    ///
    /// If no cookie can have this name ([RFC 6265, section 4.1.1](https://www.rfc-editor.org/rfc/rfc6265#section-4.1.1)).
    pub fn cookie(name: &str) -> Result<Self, ConfigError> {
        Ok(Self::at(Place::Cookie(checked_name("a cookie's name", name)?)))
    }

    /// A parameter of the query ([RFC 6750, section 2.3](https://www.rfc-editor.org/rfc/rfc6750#section-2.3), which calls it
    /// `access_token` and advises against it). An empty one is refused. For a key that has not the form
    /// of a bearer token, use [`custom`](Self::custom).
    ///
    /// The whole address, token included, is in the logs of everything that the request passes, in the browser's history
    /// and perhaps in `Referer`. Keep such tokens short-lived and for one purpose; send `Cache-Control: no-store` with what
    /// they give access to (the layer says `private` where the service says nothing); and have [the credential taken out](crate::JwtAuthLayer::strip_credential), so that what is
    /// inside logs an address without it. (Axum's `OriginalUri` is a copy that keeps it, and so is a header such as
    /// `X-Forwarded-Uri` that a proxy adds.)
    /// [`only_if`](Self::only_if) limits it to the requests that need it, such as those of `EventSource`.
    pub fn query(name: &str) -> Self {
        Self::at(Place::Query(name.into()))
    }

    /// The list of subprotocols with which a browser opens a WebSocket, since it can send no header of its own
    /// ([RFC 6455, section 11.3.4](https://www.rfc-editor.org/rfc/rfc6455#section-11.3.4)).
    ///
    /// With the marker `bearer` the token is in an entry `bearer.<token>`, or is the entry that follows `bearer`:
    ///
    /// ```js
    /// new WebSocket(url, ["bearer", token])               // the service has to pick `bearer`
    /// new WebSocket(url, ["orders.v1", `bearer.${token}`]) // the service has to pick `orders.v1`
    /// ```
    ///
    /// The token is always taken out of the list before the service inside sees it. Which of the other entries to
    /// pick stays the service's choice, and the response is left as it is; a browser gives up if none is picked. A token
    /// is judged once, when the connection is opened: end it when [`TokenInfo::expires_at`](crate::token::TokenInfo::expires_at) says.
    ///
    /// # Errors
    ///
    /// If `marker` cannot be the name of a subprotocol.
    pub fn websocket_protocol(marker: &str) -> Result<Self, ConfigError> {
        Ok(Self::at(Place::WebSocketProtocol(checked_name("a subprotocol", marker)?)))
    }

    /// The place where your own function finds the token.
    ///
    /// `headers` are the headers that `find` reads. The layer marks them as sensitive, and
    /// [`strip_credential`](crate::JwtAuthLayer::strip_credential) removes them as a whole. Without headers the token stays where
    /// it is. If the layer should remove less, or if the token is not in a header, use
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

    /// A [custom](Self::custom) source with a function that removes the token from a request.
    ///
    /// [`strip_credential`](crate::JwtAuthLayer::strip_credential) calls `strip` for every request that reaches the
    /// service inside, also for one without a token, with a bad one or with several. It must remove all of them and leave
    /// other requests as they are.
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
    /// // A calendar program cannot send headers: `/feeds/eyJ0...`
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
    ///     .layer(layer.allow_invalid()) // to see the request although the token is not good
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
    /// For all other requests a credential in this place does not count: it proves nothing, and does not make a second
    /// credential of one elsewhere. It is a secret all the same, so the layer still marks its header as sensitive, and
    /// [`strip_credential`](crate::JwtAuthLayer::strip_credential) still removes it. With several predicates all must match.
    ///
    /// The predicate sees the request before anything is removed, as the client wrote it.
    ///
    /// A browser's `EventSource` can send no header, so its token has to be in the query. This reads the query for such
    /// requests alone:
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
    pub fn only_if<F>(mut self, predicate: F) -> Self
    where
        F: Fn(Head<'_>) -> bool + Send + Sync + 'static,
    {
        self.conditions.push(Condition::new(predicate));
        self
    }

    /// The token in this place, if there is one. In `Authorization` it may have any of the `offered` schemes.
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

    /// The scheme of a token that was found here.
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

    /// Returns true for the same source. Functions cannot be compared, so only clones of one custom source are the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.place == other.place && self.conditions == other.conditions
    }

    /// Returns true for sources that read the same place, for whichever requests. `Authorization` holds one credential,
    /// whatever its scheme.
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

    /// Returns true for two `Authorization` headers: no other source is preferred to a message that is ambiguous itself.
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

    /// Keeps the credential out of the `Debug` output of the headers, and out of header compression.
    /// Returns true if one of its headers is there.
    #[inline]
    pub(crate) fn mark_sensitive(&self, headers: &mut HeaderMap) -> bool {
        let mut is_there = false;
        for name in self.header_names() {
            let Some(first) = headers.get_mut(name) else {
                continue;
            };
            is_there = true;
            first.set_sensitive(true);
            let some_name_has_several = headers.len() > headers.keys_len();
            if some_name_has_several {
                headers
                    .iter_mut()
                    .filter(|(other, _)| *other == name)
                    .for_each(|(_, value)| value.set_sensitive(true));
            }
        }
        is_there
    }

    /// True if the token can only be in one of [its headers](Self::header_names).
    pub(crate) fn reads_headers_alone(&self) -> bool {
        !matches!(self.place, Place::Query(_) | Place::Custom(_))
    }

    /// True if the token can only be in `Authorization`, which caches know to be a credential.
    pub(crate) fn is_in_authorization(&self) -> bool {
        match &self.place {
            Place::Authorization => true,
            Place::Header { name, .. } => *name == AUTHORIZATION,
            _ => false,
        }
    }

    /// Whether the service inside never sees the token of this place.
    pub(crate) fn is_always_taken_out(&self) -> bool {
        matches!(self.place, Place::WebSocketProtocol(_))
    }

    /// Takes every token out of this place, and leaves what else is there. Conditions do not matter: a token that was not
    /// read is a secret, too.
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

/// The scheme of a malformed `Authorization`, so that the client is told of the one that it has tried.
#[cold]
pub(crate) fn attempted_scheme<'r>(request: &Head<'r>) -> Scheme<'r> {
    let value = request.headers().get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
    Scheme::trusted(std::str::from_utf8(split_word(value).0).expect("a token is ASCII"))
}

/// The credential of a header that may have any of these schemes.
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

/// The token in the value of a header. If it has several, it cannot be told which one counts.
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

/// Of several tokens it cannot be told which one counts.
fn only_token<'a>(mut tokens: impl Iterator<Item = Cow<'a, [u8]>>) -> Found<'a> {
    match (tokens.next(), tokens.next()) {
        (Some(_), Some(_)) => Err(AuthErrorKind::MultipleCredentials),
        (token, _) => Ok(token),
    }
}

/// Puts others in the place of a header's values; `None` leaves one out.
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

/// Returns true if a header holds a credential of another scheme.
fn is_of_other_scheme(value: &HeaderValue, scheme: &str) -> bool {
    matches!(credential(value, scheme), Ok(None))
}
