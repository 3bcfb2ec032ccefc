//! `Claims<C>` as an axum extractor.

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use crate::claims::Claims;
use crate::error::AuthError;
use crate::kind::AuthErrorKind;

/// The claims of the verified token.
///
/// # Errors
///
/// Where an optional layer let the request pass without a credential, the client is asked for one (401). Where there
/// is no layer for these claims at all, the answer is 500 with a hint for the developer.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_jwt_auth::{Algorithm, Claims, JwtAuthLayer, JwtVerifier, KeySet};
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     email: String,
/// }
///
/// async fn hello(user: Claims<User>) -> String {
///     format!("Hello {}", user.email)
/// }
///
/// async fn welcome(user: Option<Claims<User>>) -> String {
///     user.map_or("Welcome".to_owned(), |user| format!("Welcome back {}", user.email))
/// }
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// let verifier = JwtVerifier::<User>::new(KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?);
/// let members = Router::new().route("/hello", get(hello)).layer(JwtAuthLayer::new(verifier.clone()));
/// let everyone = Router::new().route("/", get(welcome)).layer(JwtAuthLayer::new(verifier).optional());
/// let app: Router = members.merge(everyone);
/// # Ok(())
/// # }
/// ```
impl<C, S> FromRequestParts<S> for Claims<C>
where
    C: Send + Sync + 'static,
    S: Send + Sync,
{
    type Rejection = AuthError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AuthError> {
        Self::find(&parts.extensions).cloned()
    }
}

/// The claims, or `None` where an optional layer let the request pass without a credential.
///
/// # Errors
///
/// Where there is no layer for these claims, the answer is 500 with a hint for the developer.
impl<C, S> OptionalFromRequestParts<S> for Claims<C>
where
    C: Send + Sync + 'static,
    S: Send + Sync,
{
    type Rejection = AuthError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, AuthError> {
        match Self::find(&parts.extensions) {
            Ok(claims) => Ok(Some(claims.clone())),
            Err(error) if error.kind() == AuthErrorKind::MissingCredential => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The answer that a layer would give; the developer's hint is the body.
impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        let body = self.hint().map_or_else(Body::empty, Body::from);
        let mut response = self.response(body);
        response.extensions_mut().insert(self);
        response
    }
}
