use std::fmt::{self, Formatter};
use std::sync::{Arc, OnceLock};

use http::Response;
use tower_layer::Layer;

use crate::challenge::Settings;
use crate::config_error::ConfigError;
use crate::error::AuthError;
use crate::gate::{Gate, LetsPass, Prepared};
use crate::head::Head;
use crate::policy::{Anyone, Policy};
use crate::reject::EmptyBody;
use crate::service::JwtAuth;
use crate::token_source::TokenSource;
use crate::verify::Verify;

/// Lets only requests with a good token through to the service inside, and gives it the token's claims.
///
/// The claims are put into the request's extensions as [`Claims<C>`](crate::Claims). Every other request is answered
/// as [RFC 6750, section 3](https://www.rfc-editor.org/rfc/rfc6750#section-3) demands, and never reaches the service.
///
/// The inner service must be `Clone`: a request that waits for a key waits with a clone. A request whose token is judged at once
/// clones nothing. For a service without `Clone` use tower's `Buffer`.
///
/// ```
/// use http::{Request, Response, StatusCode};
/// use tower::{ServiceBuilder, ServiceExt};
/// use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?;
/// let service = ServiceBuilder::new()
///     .layer(JwtAuthLayer::new(JwtVerifier::<RegisteredClaims>::new(keys)))
///     .service_fn(async |_: Request<String>| Ok::<_, std::io::Error>(Response::new(String::from("for members"))));
///
/// let response = service.oneshot(Request::new(String::new())).await?;
/// assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
/// assert_eq!(response.headers()["www-authenticate"], r#"Bearer realm="api""#);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct JwtAuthLayer<V, R = EmptyBody, P = Anyone> {
    gate: Gate<V, R, P>,
    /// Shared by the clones of a layer: axum makes one for each route.
    prepared: Arc<OnceLock<Prepared>>,
}

impl<V> JwtAuthLayer<V> {
    /// A layer that has tokens judged by `verifier`, ordinarily a [`JwtVerifier`](crate::JwtVerifier). One of your own
    /// has to be `Clone`, or in an [`Arc`].
    pub fn new(verifier: V) -> Self {
        Self::of(Gate {
            verifier,
            sources: vec![TokenSource::authorization()],
            prefers_first_source: false,
            lets_pass: LetsPass::Nobody,
            passes_unread: None,
            removes_credential: false,
            policy: Anyone,
            settings: None,
            reject: EmptyBody,
            prepared: Prepared::default(),
        })
    }
}

impl<V, R> JwtAuthLayer<V, R> {
    /// Lets only requests pass that `policy` permits, besides having a good token; the others are refused with 403
    /// `insufficient_scope` ([RFC 6750, section 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)). What holds for
    /// some routes only is for a [`RequireLayer`](crate::RequireLayer), and so is what is to hold where
    /// [`optional`](Self::optional) or another such mode lets requests pass without claims: they are not asked here.
    ///
    /// ```
    /// use tower_jwt_auth::policy::claim;
    /// # use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet};
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let verifier = JwtVerifier::<serde_json::Value>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
    /// let layer = JwtAuthLayer::new(verifier).require(claim("tenant", "acme"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It can be said once, so that no rule takes another's place; two are one with [`and`](crate::policy::Rule::and):
    ///
    /// ```compile_fail,E0599
    /// # use tower_jwt_auth::policy::claim;
    /// # use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet};
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let verifier = JwtVerifier::<serde_json::Value>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
    /// let layer = JwtAuthLayer::new(verifier).require(claim("tenant", "acme")).require(claim("tenant", "acne"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// To store or return such a layer: `JwtAuthLayer<JwtVerifier<User>, ProblemJson, impl Policy<User> + Clone>`.
    pub fn require<P>(self, policy: P) -> JwtAuthLayer<V, R, P>
    where
        V: Verify,
        P: Policy<V::Claims>,
    {
        JwtAuthLayer::of(self.gate.with(|reject, Anyone| (reject, policy)))
    }
}

impl<V, R, P> JwtAuthLayer<V, R, P> {
    fn of(gate: Gate<V, R, P>) -> Self {
        Self { gate, prepared: Arc::default() }
    }

    fn set(self, change: impl FnOnce(&mut Gate<V, R, P>)) -> Self {
        let mut gate = self.gate;
        change(&mut gate);
        Self::of(gate)
    }

    /// Lets requests without a credential pass, too. One with a credential that is not good is still refused, and only one
    /// with a good one is asked what [`require`](Self::require) demands.
    ///
    /// The service inside finds no claims then; in axum, take `Option<Claims<C>>`. What needs claims after all (a
    /// [`RequireLayer`](crate::RequireLayer), an extractor of `Claims<C>`) asks for a credential, as this layer would have done.
    pub fn optional(self) -> Self {
        self.set(|gate| gate.lets_pass = LetsPass::WithoutCredential)
    }

    /// Lets all requests pass, also with a credential that is not good, or with claims that do not permit the request.
    ///
    /// The service inside finds claims, or the [`AuthError`] with which the request would have been refused, in the
    /// extensions: for a page that greets those who are signed in and shows itself to everybody else, even if a cookie has
    /// expired. In axum, take `Option<Claims<C>>` if it does not matter why there are none, `Result<Claims<C>, AuthError>` if
    /// it does. What needs claims after all refuses the request with that error.
    ///
    /// This gives up that nobody with a bad token gets inside: every service in there has to look. Ask
    /// [`Claims::find`](crate::Claims::find), which tells the claims of one type and one layer from another's; the bare error is
    /// that of the innermost layer of this mode. Whom [`require`](Self::require) does not permit passes as well, without claims:
    /// put rules on the routes instead.
    ///
    /// ```
    /// # use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
    /// # use http::{Request, Response};
    /// # use tower::{ServiceBuilder, ServiceExt};
    /// use tower_jwt_auth::{Claims, JwtAuthLayer};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
    /// let service = ServiceBuilder::new()
    ///     .layer(JwtAuthLayer::new(verifier).allow_invalid())
    ///     .service_fn(async |request: Request<String>| {
    ///         let user = Claims::<RegisteredClaims>::find(request.extensions());
    ///         let text = user.map_or_else(|why_not| why_not.to_string(), |_| "welcome".to_owned());
    ///         Ok::<_, std::io::Error>(Response::new(text))
    ///     });
    ///
    /// let request = Request::get("/").header("authorization", "Bearer a.b.c").body(String::new())?;
    /// assert_eq!(service.oneshot(request).await?.into_body(), "the token is not a well-formed JWT");
    /// # Ok(())
    /// # }
    /// ```
    pub fn allow_invalid(self) -> Self {
        self.set(|gate| gate.lets_pass = LetsPass::Everybody)
    }

    /// Lets requests for which `passes` says so pass unread: a health check, say. They have no claims, as if they had come
    /// without a credential, whatever they carry; what needs claims inside refuses them.
    ///
    /// This gives up that the service inside is safe by being inside. The predicate sees what a client has written: compare
    /// whole paths, not beginnings (`/health/../orders`), remember that inside of axum's `nest` the path is a shorter one,
    /// and never decide by a header that a client can set. Routes that stand beside the layer and not inside are the
    /// better way, and so is a CORS layer outside for preflight requests, which `OPTIONS` alone does not tell from others.
    ///
    /// ```
    /// # use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims};
    /// use http::Method;
    ///
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
    /// let layer = JwtAuthLayer::new(verifier)
    ///     .skip_when(|request| request.method() == Method::GET && request.uri().path() == "/health");
    /// # Ok(())
    /// # }
    /// ```
    pub fn skip_when<F>(self, passes: F) -> Self
    where
        F: Fn(Head<'_>) -> bool + Send + Sync + 'static,
    {
        self.set(|gate| gate.passes_unread = Some(Arc::new(passes)))
    }

    /// Sets where the token is. The default is [`TokenSource::authorization`].
    pub fn token_source(self, source: TokenSource) -> Self {
        self.set(|gate| gate.sources = vec![source])
    }

    /// Adds a place where the token may be. The layer rejects a request with a credential in two places with 400, unless it
    /// [prefers the first](Self::prefer_first_token_source).
    pub fn add_token_source(self, source: TokenSource) -> Self {
        self.set(|gate| {
            // The same place twice would find two credentials in every request.
            if !gate.sources.iter().any(|other| other.is_same(&source)) {
                gate.sources.push(source);
            }
        })
    }

    /// Uses the credential of the first token source that has one, and ignores the others.
    ///
    /// By default the layer rejects a request with two credentials with 400. A browser adds cookies by itself, so a script that
    /// sends the header as well could then never be served. Sources come in the order in which they were added, and
    /// [`TokenSource::authorization`] comes first unless [`token_source`](Self::token_source) replaces it.
    ///
    /// The first credential alone decides. If it is malformed, empty or not good, the layer rejects the request (or passes it
    /// on without claims, with [`allow_invalid`](Self::allow_invalid)), even if a later source has a good one. An empty cookie, a
    /// credential of another scheme and a source that is [not read](TokenSource::only_if) are no credential. Two credentials in
    /// the first place are rejected with 400. So are two `Authorization` headers, even where that source comes later.
    /// [`strip_credential`](Self::strip_credential) removes the ignored credentials, too.
    ///
    /// ```
    /// # use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims, TokenSource};
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
    /// // The header counts. A cookie counts only in requests without it.
    /// let layer = JwtAuthLayer::new(verifier)
    ///     .add_token_source(TokenSource::cookie("__Host-token")?)
    ///     .prefer_first_token_source()
    ///     .strip_credential();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Security
    ///
    /// A request can then carry two identities, and only this layer knows which one counts.
    ///
    /// - An attacker who can add a credential of higher precedence to somebody else's requests chooses the account that they
    ///   act on, for example with a cookie set from a sibling domain. The user's data can then end up in the attacker's account.
    ///   Put the sources first that a browser sends only from a script, such as `Authorization`, and give cookies a name with
    ///   the prefix `__Host-`.
    /// - A proxy, log or rate limiter that reads another source sees another user. Set
    ///   [`strip_credential`](Self::strip_credential) so that nothing inside reads the ignored one.
    /// - A request with the cookie alone is still accepted, so the [defence against CSRF](TokenSource::cookie) stays necessary.
    pub fn prefer_first_token_source(self) -> Self {
        self.set(|gate| gate.prefers_first_source = true)
    }

    /// Takes the credential out of a request before the service inside sees it, so that nothing inside can log it or pass
    /// it on. Whatever else is in the same place (other cookies, other parameters) stays.
    ///
    /// This covers all sources of the layer, also those that were not read or were ignored. A [custom](TokenSource::custom)
    /// source says itself what to take out: by naming the headers that it reads, or with [`custom_with_strip`](TokenSource::custom_with_strip).
    /// What it finds elsewhere stays.
    ///
    /// Without this the credential stays where it is, marked as sensitive if it is in a header.
    pub fn strip_credential(self) -> Self {
        self.set(|gate| gate.removes_credential = true)
    }

    /// Sets the realm that clients are told of
    /// ([RFC 9110, section 11.5](https://www.rfc-editor.org/rfc/rfc9110#section-11.5)). The default is `api`.
    ///
    /// This method returns a `Result`, as do the other settings that a response header quotes: write `.realm("orders")?`.
    ///
    /// # Errors
    ///
    /// If it contains something else than printable ASCII.
    ///
    /// ```
    /// # use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims};
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
    /// let layer = JwtAuthLayer::new(verifier).realm("orders")?.optional();
    /// # Ok(())
    /// # }
    /// ```
    pub fn realm(self, realm: &str) -> Result<Self, ConfigError> {
        self.challenge(|settings| settings.set_realm(realm))
    }

    /// Sets the scopes that a client is told to ask for when it comes without a good token (401), separated by spaces
    /// ([RFC 6750, section 3](https://www.rfc-editor.org/rfc/rfc6750#section-3)). By default it is told of none. It demands
    /// nothing by itself: [`require`](Self::require) does.
    ///
    /// # Errors
    ///
    /// If it is not one or more scopes with a space between them.
    pub fn challenge_scope(self, scope: &str) -> Result<Self, ConfigError> {
        self.challenge(|settings| settings.set_scope(scope))
    }

    /// Sets where a client finds out which authorization servers to ask for a token: the challenge's `resource_metadata`
    /// ([RFC 9728, section 5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)). By default it is not told.
    /// [`ProtectedResource`](crate::resource_metadata::ProtectedResource) is the service for that address, and shows both.
    ///
    /// # Errors
    ///
    /// If it is not a URL that begins with `https://` (or with `http://` and names this machine).
    pub fn resource_metadata(self, url: &str) -> Result<Self, ConfigError> {
        self.challenge(|settings| settings.set_resource_metadata(url))
    }

    fn challenge(
        self,
        set: impl FnOnce(&mut Settings) -> Result<(), ConfigError>,
    ) -> Result<Self, ConfigError> {
        let mut settings = self.gate.settings.clone().unwrap_or_default();
        set(&mut settings)?;
        Ok(self.set(|gate| gate.settings = Some(settings)))
    }

    /// Sets what makes the responses to refused requests. The default is [`EmptyBody`]. For a closure use
    /// [`reject_with`](Self::reject_with).
    ///
    /// It also makes the bodies for handlers and extractors that refuse a request, and for a
    /// [`RequireLayer`](crate::RequireLayer) or a [`PrincipalLayer`](crate::PrincipalLayer) inside that has no [`Reject`] of its
    /// own ([details](crate::reject::Reject#refusals-from-inside)). The layer clones it for each accepted request: keep large values
    /// in an [`Arc`].
    ///
    /// [`Reject`]: crate::reject::Reject
    pub fn on_reject<R2>(self, reject: R2) -> JwtAuthLayer<V, R2, P> {
        JwtAuthLayer::of(self.gate.with(|_, policy| (reject, policy)))
    }

    /// The same as [`on_reject`](Self::on_reject) for a closure, which needs no annotations here.
    ///
    /// The closure may read the request, so the layer copies method, URI and headers of each request that it accepts. A type
    /// that implements [`Reject`](crate::reject::Reject) and [reads](crate::reject::Reject::reads) only the error needs no copy.
    ///
    /// ```
    /// # use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims};
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
    /// let layer = JwtAuthLayer::new(verifier)
    ///     .reject_with(|error, request| error.response(format!("{}: {error}\n", request.uri().path())));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// In axum, JSON with the right status and headers:
    ///
    /// ```
    /// # use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims};
    /// use axum::{Json, Router, response::IntoResponse};
    ///
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
    /// let layer = JwtAuthLayer::new(verifier).reject_with(|error, _| {
    ///     let (parts, ()) = error.response(()).into_parts();
    ///     (parts, Json(serde_json::json!({"error": error.to_string()}))).into_response()
    /// });
    /// # let app: Router = Router::new().layer(layer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reject_with<F, B>(self, reject: F) -> JwtAuthLayer<V, F, P>
    where
        F: Fn(&AuthError, Head<'_>) -> Response<B>,
    {
        self.on_reject(reject)
    }
}

impl<S, V, R, P> Layer<S> for JwtAuthLayer<V, R, P>
where
    V: Verify + Clone,
    R: Clone,
    P: Clone,
{
    type Service = JwtAuth<S, V, R, P>;

    fn layer(&self, inner: S) -> JwtAuth<S, V, R, P> {
        JwtAuth::new(inner, Arc::new(self.gate.clone().prepared(&self.prepared)))
    }
}

impl<V, R, P> fmt::Debug for JwtAuthLayer<V, R, P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.gate.describe(f, "JwtAuthLayer")
    }
}
