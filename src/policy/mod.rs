//! Who may do what: rules about claims and requests.
//!
//! A [`Rule`] is made by [`scope`], [`any_scope`], [`all_scopes`], [`role`], [`claim`] and [`when`], and of other rules by
//! [`and`](Rule::and), [`or`](Rule::or) and [`not`](Rule::not). A [`RequireLayer`](crate::RequireLayer) asks it on a route;
//! [`JwtAuthLayer::require`](crate::JwtAuthLayer::require) asks it for all that the layer guards.
//!
//! Scopes and roles are read through a trait that your claims type implements in one line: [`HasScope`], [`HasRole`].
//! [`Scopes`] and [`Roles`] are types for its fields. Claims that are kept as JSON have scopes as they are, and anything
//! else of them can be asked for by [`claim`].
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
//! // A JwtAuthLayer outside puts the claims there; in a test they are made by hand.
//! let mut request = Request::new(String::new());
//! request.extensions_mut().insert(Claims::new(serde_json::json!({"scope": "orders:read"})));
//! let response = service.oneshot(request).await?;
//! assert_eq!(response.status(), 403);
//! assert!(response.headers()["www-authenticate"].to_str()?.ends_with(r#", scope="orders:write""#));
//! # Ok(())
//! # }
//! ```

mod claim;
mod roles;
mod rule;
mod scopes;
#[cfg(feature = "tracing")]
mod span_field;

pub use self::claim::{ClaimEquals, ClaimPath, HasClaim, claim};
pub use self::roles::{HasRole, RoleNamed, Roles, role};
pub use self::rule::{And, BoxPolicy, Not, Or, Rule, When, when};
pub use self::scopes::{AllScopes, AnyScope, HasScope, Scopes, all_scopes, any_scope, scope};
#[cfg(feature = "tracing")]
pub use self::span_field::{SpanField, span_field};

use std::sync::Arc;

use crate::claims::Claims;
use crate::error::AuthError;
use crate::head::Head;

/// Decides whether a request is permitted to whoever has these claims.
///
/// Most are made by the functions of [this module](self). Implement it for what they cannot say, and where a type
/// tells more than a rule: for `Permitted` (feature `axum`), say. A layer needs it to be `Clone`, and `Rule::new(Owner)`
/// makes a rule of it, for [`and`](Rule::and) and [`or`](Rule::or).
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
    /// Permits the request, or says why not: ordinarily
    /// [`InsufficientScope`](crate::AuthErrorKind::InsufficientScope), which a client is told as 403. Where it cannot tell, because a
    /// claim is in a form that it cannot read, it returns another kind, such as
    /// [`InvalidClaims`](crate::AuthErrorKind::InvalidClaims): [`Rule::not`] would turn a 403 into a permission.
    ///
    /// # Errors
    ///
    /// If the request is not permitted.
    fn check(&self, claims: &Claims<C>, request: Head<'_>) -> Result<(), AuthError>;
}

impl<C, P: Policy<C> + ?Sized> Policy<C> for Arc<P> {
    fn check(&self, claims: &Claims<C>, request: Head<'_>) -> Result<(), AuthError> {
        (**self).check(claims, request)
    }
}

/// Permits every request that has valid claims: the policy of a [`JwtAuthLayer`](crate::JwtAuthLayer) without
/// [`require`](crate::JwtAuthLayer::require).
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is written as a value, and has nothing to set")]
pub struct Anyone;

impl<C> Policy<C> for Anyone {
    #[inline]
    fn check(&self, _: &Claims<C>, _: Head<'_>) -> Result<(), AuthError> {
        Ok(())
    }
}
