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

/// The claims of the verified token.
///
/// # Errors
///
/// Where an optional layer let the request pass without a credential, the client is asked for one (401). Where there
/// is no layer for these claims at all, the answer is 500. The log has a hint for the developer; in builds with debug
/// assertions the body has it, too.
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

/// The claims, or `None` where the layer let the request pass without good ones.
///
/// # Errors
///
/// Where there is no layer for these claims, the answer is 500, as above.
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

/// The claims of whoever is permitted by a [`Policy`], as an axum extractor: for those who prefer that a handler's
/// signature says what it demands.
///
/// The policy is made with [`Default`] for each request, so that it is best a unit struct. A rule that it asks is made once,
/// in a `static`.
///
/// # Errors
///
/// As a [`RequireLayer`](crate::RequireLayer) with this policy would answer. For another response take
/// `Result<Permitted<C, P>, AuthError>`.
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
pub struct Permitted<C, P>
where
    // Here, since an error about a handler would not say what its extractor lacks.
    P: Policy<C> + Default,
{
    claims: Claims<C>,
    policy: PhantomData<fn() -> P>,
}

impl<C, P: Policy<C> + Default> Permitted<C, P> {
    /// Creates the extractor's value without a check by the policy, to call a handler in a test.
    ///
    /// # Security
    ///
    /// Nothing has permitted these claims. Outside of tests, let axum extract the value.
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

/// The response of a layer. It has no body: the layer that accepted the request makes it, as its
/// [`on_reject`](crate::JwtAuthLayer::on_reject) says. For a body of your own use [`AuthError::response`].
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
