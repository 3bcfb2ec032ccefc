//! Who may do what: rules about claims and requests.
//!
//! A [`Rule`] is made by [`scope`], [`any_scope`], [`all_scopes`], [`role`], [`claim`] and [`when`], and of other rules by
//! [`and`](Rule::and), [`or`](Rule::or) and [`not`](Rule::not). A [`RequireLayer`](crate::RequireLayer) asks it on a route;
//! [`JwtAuthLayer::require`](crate::JwtAuthLayer::require) asks it for all that the layer guards.
//!
//! Scopes and roles are read through a trait that your claims type implements in one line: [`HasScope`], [`HasRole`].
//! [`Scopes`] and [`Roles`] are types for its fields.
//!
//! ```
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_jwt_auth::policy::{HasRole, HasScope, Roles, Scopes, role, scope};
//! use tower_jwt_auth::{Claims, RequireLayer};
//!
//! #[derive(serde::Deserialize)]
//! struct User {
//!     #[serde(default)]
//!     scope: Scopes,
//!     #[serde(default)]
//!     roles: Roles,
//! }
//!
//! impl HasScope for User {
//!     fn has_scope(&self, scope: &str) -> bool {
//!         self.scope.contains(scope)
//!     }
//! }
//!
//! impl HasRole for User {
//!     fn has_role(&self, role: &str) -> bool {
//!         self.roles.contains(role)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = ServiceBuilder::new()
//!     .layer(RequireLayer::<User, _>::new(scope("orders:write").or(role("admin"))))
//!     .service_fn(async |_: Request<String>| Ok::<_, std::io::Error>(Response::new(String::from("done"))));
//!
//! // A JwtAuthLayer outside puts the claims there; in a test they are made by hand.
//! let mut request = Request::new(String::new());
//! request.extensions_mut().insert(Claims::new(User { scope: "orders:read".into(), roles: Roles::default() }));
//! let response = service.oneshot(request).await?;
//! assert_eq!(response.status(), 403);
//! assert_eq!(
//!     response.headers()["www-authenticate"],
//!     "Bearer realm=\"api\", error=\"insufficient_scope\", \
//!      error_description=\"the token does not permit this request\", scope=\"orders:write\"",
//! );
//! # Ok(())
//! # }
//! ```

mod claim;
mod roles;
mod rule;
mod scopes;

pub use self::claim::{ClaimEquals, ClaimPath, HasClaim, claim};
pub use self::roles::{HasRole, RoleNamed, Roles, role};
pub use self::rule::{And, Not, Or, Rule, When, when};
pub use self::scopes::{AllScopes, AnyScope, HasScope, Scopes, all_scopes, any_scope, scope};

use crate::claims::Claims;
use crate::error::AuthError;
use crate::reject::Head;

/// Decides whether a request is permitted to whoever has these claims.
///
/// Most are made by the functions of [this module](self). Implement it for what they cannot say, and where a type
/// tells more than a rule: for `Permitted` (feature `axum`), say.
///
/// ```
/// use tower_jwt_auth::policy::Policy;
/// use tower_jwt_auth::{AuthError, AuthErrorKind, Claims, Head};
///
/// struct User {
///     sub: String,
/// }
///
/// /// `/users/{sub}/...` is for that user alone.
/// struct Owner;
///
/// impl Policy<User> for Owner {
///     fn check(&self, user: &Claims<User>, request: Head<'_>) -> Result<(), AuthError> {
///         match request.path_segment(1) {
///             Some(owner) if owner == user.sub => Ok(()),
///             _ => Err(AuthErrorKind::InsufficientScope.into()),
///         }
///     }
/// }
/// ```
pub trait Policy<C> {
    /// Permits the request, or says why not: ordinarily
    /// [`InsufficientScope`](crate::AuthErrorKind::InsufficientScope), which a client is told as 403.
    ///
    /// # Errors
    ///
    /// If the request is not permitted.
    fn check(&self, claims: &Claims<C>, request: Head<'_>) -> Result<(), AuthError>;
}

/// Permits everything to whoever has good claims.
impl<C> Policy<C> for () {
    #[inline]
    fn check(&self, _: &Claims<C>, _: Head<'_>) -> Result<(), AuthError> {
        Ok(())
    }
}
