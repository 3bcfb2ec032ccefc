use std::fmt::{self, Formatter};
use std::sync::Arc;

use http::Response;
use tower_layer::Layer;

use crate::challenge::Challenge;
use crate::config_error::ConfigError;
use crate::error::AuthError;
use crate::gate::Gate;
use crate::reject::{EmptyBody, Head};
use crate::service::JwtAuth;
use crate::token_source::TokenSource;

/// Lets only requests with a good token through to the service inside, and gives it the token's claims.
///
/// The claims are put into the request's extensions as [`Claims<C>`](crate::Claims). Every other request is answered
/// as [RFC 6750, section 3](https://www.rfc-editor.org/rfc/rfc6750#section-3) demands, and never reaches the service.
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
pub struct JwtAuthLayer<V, R = EmptyBody> {
    gate: Gate<V, R>,
}

impl<V> JwtAuthLayer<V> {
    /// A layer that has tokens judged by `verifier`, ordinarily a [`JwtVerifier`](crate::JwtVerifier). One of your own
    /// has to be `Clone`, or in an [`Arc`].
    pub fn new(verifier: V) -> Self {
        let sources = vec![TokenSource::authorization()];
        Self { gate: Gate { verifier, sources, optional: false, challenge: None, reject: EmptyBody } }
    }
}

impl<V, R> JwtAuthLayer<V, R> {
    /// Lets requests without a credential pass, too. One with a credential that is not good is still refused.
    ///
    /// The service inside finds no claims then; in axum, take `Option<Claims<C>>`.
    pub fn optional(mut self) -> Self {
        self.gate.optional = true;
        self
    }

    /// Sets where the token is. The default is [`TokenSource::authorization`].
    pub fn token_source(mut self, source: TokenSource) -> Self {
        self.gate.sources = vec![source];
        self
    }

    /// Adds a place where the token may be. A request with a credential in two places is refused.
    pub fn add_token_source(mut self, source: TokenSource) -> Self {
        // The same place twice would find two credentials in every request.
        if !self.gate.sources.contains(&source) {
            self.gate.sources.push(source);
        }
        self
    }

    /// Sets the realm that clients are told of
    /// ([RFC 9110, section 11.5](https://www.rfc-editor.org/rfc/rfc9110#section-11.5)). The default is `api`.
    ///
    /// # Errors
    ///
    /// If it contains something else than printable ASCII.
    ///
    /// ```
    /// # use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims};
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, [7; 32])?);
    /// let layer = JwtAuthLayer::new(verifier).realm("orders")?.optional();
    /// # Ok(())
    /// # }
    /// ```
    pub fn realm(mut self, realm: &str) -> Result<Self, ConfigError> {
        self.gate.challenge = Some(Arc::new(Challenge::new(realm)?));
        Ok(self)
    }

    /// Sets what makes the responses to requests that this layer refuses. The default is [`EmptyBody`]. For a closure use
    /// [`reject_with`](Self::reject_with). What a handler or an extractor refuses later is not asked of it.
    pub fn on_reject<R2>(self, reject: R2) -> JwtAuthLayer<V, R2> {
        let Gate { verifier, sources, optional, challenge, reject: _ } = self.gate;
        JwtAuthLayer { gate: Gate { verifier, sources, optional, challenge, reject } }
    }

    /// The same as [`on_reject`](Self::on_reject) for a closure, which needs no annotations here.
    ///
    /// ```
    /// # use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims};
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, [7; 32])?);
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
    /// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, [7; 32])?);
    /// let layer = JwtAuthLayer::new(verifier).reject_with(|error, _| {
    ///     let (parts, ()) = error.response(()).into_parts();
    ///     (parts, Json(serde_json::json!({"error": error.to_string()}))).into_response()
    /// });
    /// # let app: Router = Router::new().layer(layer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reject_with<F, B>(self, reject: F) -> JwtAuthLayer<V, F>
    where
        F: Fn(&AuthError, Head<'_>) -> Response<B>,
    {
        self.on_reject(reject)
    }
}

impl<S, V, R> Layer<S> for JwtAuthLayer<V, R>
where
    V: Clone,
    R: Clone,
{
    type Service = JwtAuth<S, V, R>;

    fn layer(&self, inner: S) -> JwtAuth<S, V, R> {
        JwtAuth::new(inner, Arc::new(self.gate.clone()))
    }
}

impl<V, R> fmt::Debug for JwtAuthLayer<V, R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.gate.describe(f, "JwtAuthLayer")
    }
}
