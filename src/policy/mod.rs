//! Authorization: rules about claims and requests.
//!
//! Create a [`Rule`] with [`scope`], [`any_scope`], [`all_scopes`], [`role`], [`claim`] or [`when`]. Combine rules with
//! [`and`](Rule::and), [`or`](Rule::or) and [`not`](Rule::not). [`RequireLayer`](crate::RequireLayer) checks a rule on
//! a route, and [`JwtAuthLayer::require`](crate::JwtAuthLayer::require) checks it for all routes behind the layer.
//!
//! ```
//! # use http::{Request, Response};
//! # use tower::{ServiceBuilder, ServiceExt};
//! use tower_jwt_auth::policy::{claim, scope};
//! use tower_jwt_auth::{Claims, RequireLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let inner = tower::service_fn(async |_: Request<String>| Ok::<_, std::io::Error>(Response::new(String::new())));
//! let rule = scope("orders:write").or(claim(["realm_access", "roles"], "admin"));
//! let service = ServiceBuilder::new().layer(RequireLayer::<serde_json::Value>::new(rule)).service(inner);
//!
//! // A JwtAuthLayer outside inserts the claims. This test inserts them itself.
//! let mut request = Request::new(String::new());
//! request.extensions_mut().insert(Claims::new(serde_json::json!({"scope": "orders:read"})));
//! let response = service.oneshot(request).await?;
//! assert_eq!(response.status(), 403);
//! assert!(response.headers()["www-authenticate"].to_str()?.ends_with(r#", scope="orders:write""#));
//! # Ok(())
//! # }
//! ```
//!
//! Scopes and roles are read through a trait that your claims type implements in one line: [`HasScope`] by [`has_scope!`],
//! or [`HasRole`] by [`has_role!`]. [`Scopes`] and [`Roles`] are field types for them. For claims kept as JSON, scopes work
//! as they are, and [`claim`] checks everything else.

mod claim;
#[cfg(feature = "explain")]
mod explain;
mod roles;
mod rule;
mod scopes;
#[cfg(feature = "tracing")]
mod span_field;
mod text_seed;

pub use self::claim::{ClaimEquals, ClaimPath, HasClaim, claim};
#[doc(inline)]
pub use self::roles::has_role;
pub use self::roles::{HasRole, RoleNamed, Roles, role};
pub use self::rule::{And, BoxPolicy, Not, Or, Rule, When, when};
#[doc(inline)]
pub use self::scopes::has_scope;
pub use self::scopes::{AllScopes, AnyScope, HasScope, Scopes, all_scopes, any_scope, scope};
#[cfg(feature = "tracing")]
pub use self::span_field::{SpanField, span_field};

use std::sync::Arc;

use crate::claims::Claims;
use crate::error::AuthError;
use crate::head::Head;

/// Checks whether a caller with these claims may make this request.
///
/// The functions of [this module](self) create most policies. Implement the trait for other checks, or to name a policy
/// in a type, for example for `Permitted` (feature `axum`). A layer needs the policy to be `Clone`. `Rule::new(Owner)`
/// turns it into a rule for [`and`](Rule::and) and [`or`](Rule::or).
///
/// ```
/// use tower_jwt_auth::policy::Policy;
/// use tower_jwt_auth::{AuthError, AuthErrorKind, Claims, Head};
///
/// struct User {
///     sub: String,
/// }
///
/// /// `/users/{sub}/...` is only for that user.
/// #[derive(Clone)]
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a policy for claims of type `{C}`",
    note = "for a closure, write `policy::when(|claims: &Claims<{C}>, request| ..)`",
    note = "for a scope, role or claim, write `policy::scope(\"..\")`, `role(\"..\")` or `claim(\"..\", \"..\")`"
)]
pub trait Policy<C> {
    /// Permits the request, or returns the reason to reject it.
    ///
    /// # Errors
    ///
    /// - [`InsufficientScope`](crate::AuthErrorKind::InsufficientScope) (403) if the request is not permitted.
    /// - Another kind, such as [`InvalidClaims`](crate::AuthErrorKind::InvalidClaims), if the policy cannot decide, for
    ///   example because a claim has an unknown form. [`Rule::not`] turns a 403 into a permission, but no other kind.
    fn check(&self, claims: &Claims<C>, request: Head<'_>) -> Result<(), AuthError>;
}

impl<C, P: Policy<C> + ?Sized> Policy<C> for Arc<P> {
    fn check(&self, claims: &Claims<C>, request: Head<'_>) -> Result<(), AuthError> {
        (**self).check(claims, request)
    }
}

/// Permits every request with valid claims. The default of [`JwtAuthLayer`](crate::JwtAuthLayer).
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is written as a value and has no settings")]
pub struct Anyone;

impl<C> Policy<C> for Anyone {
    #[inline]
    fn check(&self, _: &Claims<C>, _: Head<'_>) -> Result<(), AuthError> {
        Ok(())
    }
}
