//! Extractors for axum: [`Claims<C>`](Claims), `Option<Claims<C>>`, `Result<Claims<C>, AuthError>`, and [`Permitted`].
//!
//! ```
//! use tower_jwt_auth::{AuthError, Claims};
//!
//! # type User = serde_json::Value;
//! async fn private(user: Claims<User>) {} // requires a credential
//! async fn public(user: Option<Claims<User>>) {} // behind an optional layer
//! async fn explains(user: Result<Claims<User>, AuthError>) {}
//! ```

use std::fmt::{self, Formatter};
use std::marker::PhantomData;
use std::ops::Deref;

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use crate::claims::Claims;
use crate::error::AuthError;
use crate::policy::Policy;
use crate::require::check;

/// Extracts the claims of the verified token.
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
///
/// # Errors
///
/// - 401 if an optional layer passed the request without a credential.
/// - 500 if there is no layer for these claims. The log has a hint for the developer. In builds with debug assertions
///   the body has it too.
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

/// Extracts the claims, or `None` if the layer passed the request without valid claims.
///
/// # Errors
///
/// 500 if there is no layer for these claims.
impl<C, S> OptionalFromRequestParts<S> for Claims<C>
where
    C: Send + Sync + 'static,
    S: Send + Sync,
{
    type Rejection = AuthError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, AuthError> {
        Self::find_optional(&parts.extensions).map(Option::<&_>::cloned)
    }
}

/// The claims of a caller that a [`Policy`] permits, as an axum extractor.
///
/// Use it to put the required permission into the signature of a handler.
///
/// ```
/// # use axum::{Router, routing::post};
/// # use std::sync::LazyLock;
/// # use tower_jwt_auth::policy::{AllScopes, Policy, Rule, scope};
/// # use tower_jwt_auth::extract::Permitted;
/// # use tower_jwt_auth::{Algorithm, AuthError, Claims, Head, JwtAuthLayer, JwtVerifier, KeySet};
/// # type User = serde_json::Value;
/// #[derive(Default)]
/// struct WriteOrders;
///
/// impl Policy<User> for WriteOrders {
///     fn check(&self, user: &Claims<User>, request: Head<'_>) -> Result<(), AuthError> {
///         static RULE: LazyLock<Rule<AllScopes>> = LazyLock::new(|| scope("orders:write"));
///         RULE.check(user, request)
///     }
/// }
///
/// async fn create(user: Permitted<User, WriteOrders>) -> String {
///     format!("created for {}", user["sub"])
/// }
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// # let verifier = JwtVerifier::<User>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
/// let app: Router = Router::new().route("/orders", post(create)).layer(JwtAuthLayer::new(verifier));
/// # Ok(())
/// # }
/// ```
///
/// [`Default`] creates the policy for each request, so it should be a unit struct. Keep the rule that it checks in a
/// `static`.
///
/// # Errors
///
/// The same response as from a [`RequireLayer`](crate::RequireLayer) with this policy. To send another one, extract
/// `Result<Permitted<C, P>, AuthError>`.
pub struct Permitted<C, P>
where
    // Required here: otherwise the error at the handler would not say what is missing.
    P: Policy<C> + Default,
{
    claims: Claims<C>,
    policy: PhantomData<fn() -> P>,
}

impl<C, P: Policy<C> + Default> Permitted<C, P> {
    /// Creates the value without checking the policy, to call a handler in a test.
    ///
    /// # Security
    ///
    /// Nothing has permitted these claims. Outside tests, let axum extract the value.
    #[must_use]
    pub fn unchecked(claims: Claims<C>) -> Self {
        Self { claims, policy: PhantomData }
    }
}

impl<C, P: Policy<C> + Default> Deref for Permitted<C, P> {
    type Target = Claims<C>;

    fn deref(&self) -> &Claims<C> {
        &self.claims
    }
}

impl<C, P, S> FromRequestParts<S> for Permitted<C, P>
where
    C: Send + Sync + 'static,
    P: Policy<C> + Default,
    S: Send + Sync,
{
    type Rejection = AuthError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AuthError> {
        check(&P::default(), &parts.extensions, (&*parts).into()).cloned().map(Self::unchecked)
    }
}

impl<C, P: Policy<C> + Default> Clone for Permitted<C, P> {
    fn clone(&self) -> Self {
        Self::unchecked(self.claims.clone())
    }
}

impl<C: fmt::Debug, P: Policy<C> + Default> fmt::Debug for Permitted<C, P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permitted").field(&self.claims).finish()
    }
}

/// Creates the response without a body. The layer that accepted the request adds one if it has an
/// [`on_reject`](crate::JwtAuthLayer::on_reject). To set your own body, use [`AuthError::response`].
impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        let hint = self.hint(cfg!(debug_assertions));
        let mut response = Response::from(self);
        if let Some(hint) = hint {
            *response.body_mut() = Body::from(hint);
        }
        response
    }
}
