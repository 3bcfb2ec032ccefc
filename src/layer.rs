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

/// Authenticates requests, and passes the claims of the token to the inner service.
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
///
/// The layer inserts the claims into the request's extensions as [`Claims<C>`](crate::Claims). It rejects every other
/// request as [RFC 6750, section 3](https://www.rfc-editor.org/rfc/rfc6750#section-3) specifies. A rejected request
/// never reaches the inner service.
///
/// The inner service must be `Clone`, since a request that waits for a key waits with a clone. If the token is verified
/// at once, nothing is cloned. Use tower's `Buffer` for a service without `Clone`.
#[derive(Clone)]
#[must_use]
pub struct JwtAuthLayer<V, R = EmptyBody, P = Anyone> {
    gate: Gate<V, R, P>,
    /// Shared by the clones of a layer, since axum creates one for each route.
    prepared: Arc<OnceLock<Prepared>>,
}

impl<V> JwtAuthLayer<V> {
    /// Creates a layer that verifies tokens with `verifier`, usually a [`JwtVerifier`](crate::JwtVerifier).
    ///
    /// A custom verifier must be `Clone`, or in an [`Arc`].
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
    /// Requires a policy for every request, in addition to a valid token.
    ///
    /// Other requests are rejected with 403 `insufficient_scope`
    /// ([RFC 6750, section 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).
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
    /// Use a [`RequireLayer`](crate::RequireLayer) instead for rules on single routes. Also use it if
    /// [`optional`](Self::optional) or a similar mode passes requests without claims: this policy is not checked for
    /// them.
    ///
    /// It can be set only once, so that no rule replaces another. Combine rules with [`and`](crate::policy::Rule::and).
    /// This does not compile:
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
    /// The type of such a layer is `JwtAuthLayer<JwtVerifier<User>, ProblemJson, impl Policy<User> + Clone>`.
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

    /// Optional authentication: passes requests without a credential.
    ///
    /// - An invalid credential is still rejected.
    /// - [`require`](Self::require) applies only to requests with a valid credential.
    /// - The inner service finds no claims for a request without a credential. In axum, extract `Option<Claims<C>>`.
    /// - A [`RequireLayer`](crate::RequireLayer) or an extractor of `Claims<C>` inside rejects such a request like this
    ///   layer would, with a challenge for a credential.
    pub fn optional(self) -> Self {
        self.set(|gate| gate.lets_pass = LetsPass::WithoutCredential)
    }

    /// Passes all requests, even with an invalid credential or without permission.
    ///
    /// Use it for a page that greets signed-in users and is public for everyone else, even if their cookie has expired.
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
    ///
    /// The extensions contain the claims, or the [`AuthError`] with which the request would have been rejected. In
    /// axum, extract `Option<Claims<C>>`, or `Result<Claims<C>, AuthError>` to see the error. A
    /// [`RequireLayer`](crate::RequireLayer) or an extractor of `Claims<C>` inside rejects the request with that error.
    ///
    /// # Security
    ///
    /// Every inner service must check the claims itself.
    ///
    /// - Look for claims with [`Claims::find`](crate::Claims::find), which separates claim types and layers. The bare
    ///   error in the extensions is that of the innermost layer in this mode.
    /// - A request that [`require`](Self::require) does not permit also passes, without claims. Put rules on the routes
    ///   instead.
    pub fn allow_invalid(self) -> Self {
        self.set(|gate| gate.lets_pass = LetsPass::Everybody)
    }

    /// Passes matching requests unread, for example health checks.
    ///
    /// If `passes` returns true, the request has no claims, whatever credential it carries. A
    /// [`RequireLayer`](crate::RequireLayer) or an extractor of `Claims<C>` inside rejects it.
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
    ///
    /// # Security
    ///
    /// Everything behind the layer that matches is unprotected, and the client controls what the predicate sees.
    ///
    /// - Compare whole paths, not prefixes: a client may send `/health/../orders`.
    /// - Inside axum's `nest` the path is shorter.
    /// - Never decide by a header that a client can set.
    /// - Prefer public routes beside the layer, not behind it.
    /// - For preflight requests, prefer a CORS layer outside: the method `OPTIONS` alone does not identify them.
    pub fn skip_when<F>(self, passes: F) -> Self
    where
        F: Fn(Head<'_>) -> bool + Send + Sync + 'static,
    {
        self.set(|gate| gate.passes_unread = Some(Arc::new(passes)))
    }

    /// Sets the token source. The default is [`TokenSource::authorization`].
    pub fn token_source(self, source: TokenSource) -> Self {
        self.set(|gate| gate.sources = vec![source])
    }

    /// Adds a token source.
    ///
    /// A request with a credential in two sources is rejected with 400, unless the layer
    /// [prefers the first](Self::prefer_first_token_source).
    pub fn add_token_source(self, source: TokenSource) -> Self {
        self.set(|gate| {
            // The same source twice would find two credentials in every request.
            if !gate.sources.iter().any(|other| other.is_same(&source)) {
                gate.sources.push(source);
            }
        })
    }

    /// Uses the credential of the first token source that has one.
    ///
    /// The others are ignored. By default a request with two credentials is rejected with 400. Browsers send cookies by
    /// themselves, so a script that also sends the header would always be rejected.
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
    /// - Sources are read in the order in which they were added. [`TokenSource::authorization`] is first, unless
    ///   [`token_source`](Self::token_source) replaces it.
    /// - The first credential alone decides. If it is malformed, empty or invalid, the request is rejected even if a
    ///   later source has a valid one. With [`allow_invalid`](Self::allow_invalid) it passes without claims.
    /// - An empty cookie, a credential of another scheme, and a source that is [not read](TokenSource::only_if) do not
    ///   count.
    /// - Two credentials in the first source are rejected with 400. So are two `Authorization` headers, even if that
    ///   source comes later.
    /// - [`strip_credential`](Self::strip_credential) also removes the ignored credentials.
    ///
    /// # Security
    ///
    /// A request can then carry two identities, and only this layer knows which one counts.
    ///
    /// - An attacker who can add a credential of higher precedence to another user's requests chooses the account. An
    ///   example is a cookie set from a sibling domain. The user's data can then end up in the attacker's account.
    ///   Put sources first that a browser sends only from a script, such as `Authorization`. Give cookies a name with
    ///   the prefix `__Host-`.
    /// - A proxy, log or rate limiter that reads another source sees another user. Set
    ///   [`strip_credential`](Self::strip_credential), so that nothing inside reads the ignored one.
    /// - A request with the cookie alone is still accepted, so the [defense against CSRF](TokenSource::cookie) stays
    ///   necessary.
    pub fn prefer_first_token_source(self) -> Self {
        self.set(|gate| gate.prefers_first_source = true)
    }

    /// Removes the credential, so that the inner service cannot log or forward it.
    ///
    /// - Everything else in the same place stays, such as other cookies and parameters.
    /// - All sources of the layer are covered, also those that were not read or were ignored.
    /// - The header `DPoP` is removed, too, if the verifier accepts DPoP-bound tokens.
    /// - A [custom](TokenSource::custom) source defines what is removed: its headers, or the work of its function
    ///   ([`custom_with_strip`](TokenSource::custom_with_strip)). A token that it finds elsewhere stays.
    ///
    /// Without this setting the credential stays. In a header it is marked as sensitive.
    pub fn strip_credential(self) -> Self {
        self.set(|gate| gate.removes_credential = true)
    }

    /// Sets the realm in the challenge. The default is `api`.
    ///
    /// See [RFC 9110, section 11.5](https://www.rfc-editor.org/rfc/rfc9110#section-11.5). Like other settings that a
    /// response header quotes, this method returns a `Result`: write `.realm("orders")?`.
    ///
    /// ```
    /// # use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims};
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
    /// let layer = JwtAuthLayer::new(verifier).realm("orders")?.optional();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the realm contains anything but printable ASCII.
    pub fn realm(self, realm: &str) -> Result<Self, ConfigError> {
        self.challenge(|settings| settings.set_realm(realm))
    }

    /// Sets the scopes in the challenge of a 401. By default there are none.
    ///
    /// The scopes are separated by spaces. They tell a client which scopes to request
    /// ([RFC 6750, section 3](https://www.rfc-editor.org/rfc/rfc6750#section-3)). To require scopes, use
    /// [`require`](Self::require).
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not one or more scopes with one space between them.
    pub fn challenge_scope(self, scope: &str) -> Result<Self, ConfigError> {
        self.challenge(|settings| settings.set_scope(scope))
    }

    /// Sets the `resource_metadata` URL in the challenge. By default there is none.
    ///
    /// Clients find the authorization servers there
    /// ([RFC 9728, section 5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)).
    /// [`ProtectedResource`](crate::resource_metadata::ProtectedResource) is the service for that URL, with an example.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL does not begin with `https://`. `http://` is accepted for this machine.
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

    /// Sets the type that creates the rejections. The default is [`EmptyBody`].
    ///
    /// For a closure use [`reject_with`](Self::reject_with). The type also creates the bodies for rejections from
    /// inside: by handlers, by extractors, and by a [`RequireLayer`](crate::RequireLayer) or
    /// [`PrincipalLayer`](crate::PrincipalLayer) without its own [`Reject`]. The layer clones it for each accepted
    /// request, so keep large values in an [`Arc`].
    ///
    /// [`Reject`]: crate::reject::Reject
    pub fn on_reject<R2>(self, reject: R2) -> JwtAuthLayer<V, R2, P> {
        JwtAuthLayer::of(self.gate.with(|_, policy| (reject, policy)))
    }

    /// Same as [`on_reject`](Self::on_reject) for a closure, which needs no type annotations here.
    ///
    /// The closure may read the request, so the layer copies method, URI and headers of each request that it accepts.
    /// To avoid the copy, implement [`Reject`](crate::reject::Reject) for a type that
    /// [reads](crate::reject::Reject::reads) only the error.
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
    /// For a closure that returns `Json`, a tuple or anything else that axum turns into a response, use
    /// `RespondWith` (feature `axum`).
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
