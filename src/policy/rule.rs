//! Rules and their combinations.

use std::fmt::{self, Formatter};
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use super::Policy;
use crate::claims::Claims;
use crate::error::{AuthError, RequiredScope};
use crate::head::Head;
use crate::kind::AuthErrorKind;

/// A [`Policy`] that can be combined with others.
///
/// A request that it does not permit is rejected with 403 `insufficient_scope`. If a scope is missing, the challenge
/// names all scopes of the rule ([RFC 6750, section 3](https://www.rfc-editor.org/rfc/rfc6750#section-3)).
#[derive(Clone)]
#[must_use]
pub struct Rule<P> {
    policy: P,
    /// The scopes that the rule requires, separated by spaces.
    scopes: String,
    /// Created by the first rejection for a missing scope.
    needed: OnceLock<Option<Arc<RequiredScope>>>,
}

impl<P> Rule<P> {
    /// Creates a rule from a policy, to combine it with others.
    pub fn new(policy: P) -> Self {
        Self::naming(policy, String::new())
    }

    pub(super) fn naming(policy: P, scopes: String) -> Self {
        Self { policy, scopes, needed: OnceLock::new() }
    }

    /// Requires both rules.
    ///
    /// The second one is checked only if the first one permits the request.
    pub fn and<Q>(self, other: Rule<Q>) -> Rule<And<P, Q>> {
        Rule::naming(And(self.policy, other.policy), union(self.scopes, other.scopes))
    }

    /// Requires one of the rules.
    ///
    /// The second one is checked only if the first one does not permit the request.
    pub fn or<Q>(self, other: Rule<Q>) -> Rule<Or<P, Q>> {
        Rule::naming(Or(self.policy, other.policy), union(self.scopes, other.scopes))
    }

    /// Permits exactly the requests that this rule rejects with 403.
    ///
    /// If the rule cannot decide, the request stays rejected: after another error, such as a 503, or if a claim has an
    /// unknown form. For example `claim("status", "suspended").not()` rejects `{"status": {"suspended": true}}`. The
    /// challenge names none of the rule's scopes.
    ///
    /// # Security
    ///
    /// A claim that is missing or `null` passes. In a closure for [`when`], and in your own traits, treat values that
    /// you cannot read as a match.
    #[expect(
        clippy::should_implement_trait,
        reason = "`!rule` is easily overlooked; `and` and `or` have no operator"
    )]
    pub fn not(self) -> Rule<Not<P>> {
        Rule::new(Not(self.policy))
    }

    /// Erases the type of the policy, for rules from a configuration or a collection.
    ///
    /// ```
    /// use serde_json::Value;
    /// use tower_jwt_auth::policy::{BoxPolicy, Rule, claim};
    ///
    /// fn any_role(roles: &[&str]) -> Option<Rule<BoxPolicy<Value>>> {
    ///     roles.iter().map(|role| claim("roles", *role).boxed()).reduce(|one, other| one.or(other).boxed())
    /// }
    /// # assert!(any_role(&["clerk", "admin"]).is_some());
    /// ```
    pub fn boxed<C>(self) -> Rule<BoxPolicy<C>>
    where
        P: Policy<C> + Send + Sync + 'static,
    {
        Rule::naming(BoxPolicy(Arc::new(self.policy)), self.scopes)
    }

    #[cold]
    fn name_scopes(&self, error: AuthError) -> AuthError {
        let needed = self.needed.get_or_init(|| RequiredScope::new(&self.scopes).map(Arc::new));
        error.needing(needed.as_ref())
    }
}

impl<C, P: Policy<C>> Policy<C> for Rule<P> {
    #[inline]
    fn check(&self, claims: &Claims<C>, request: Head<'_>) -> Result<(), AuthError> {
        self.policy.check(claims, request).map_err(|error| self.name_scopes(error))
    }
}

/// Joins two lists of scopes without duplicates.
fn union(mut left: String, right: String) -> String {
    if left.is_empty() {
        return right;
    }
    for scope in right.split(' ') {
        let is_new = !scope.is_empty() && !left.split(' ').any(|held| held == scope);
        if is_new {
            left.push(' ');
            left.push_str(scope);
        }
    }
    left
}

/// The policy of [`Rule::and`].
#[derive(Clone, Debug)]
pub struct And<P, Q>(P, Q);

impl<C, P: Policy<C>, Q: Policy<C>> Policy<C> for And<P, Q> {
    #[inline]
    fn check(&self, claims: &Claims<C>, request: Head<'_>) -> Result<(), AuthError> {
        self.0.check(claims, request)?;
        self.1.check(claims, request)
    }
}

/// The policy of [`Rule::or`].
#[derive(Clone, Debug)]
pub struct Or<P, Q>(P, Q);

impl<C, P: Policy<C>, Q: Policy<C>> Policy<C> for Or<P, Q> {
    #[inline]
    fn check(&self, claims: &Claims<C>, request: Head<'_>) -> Result<(), AuthError> {
        let Err(first) = self.0.check(claims, request) else {
            return Ok(());
        };
        self.1.check(claims, request).map_err(|second| first.or(second))
    }
}

/// The policy of [`Rule::not`].
#[derive(Clone, Debug)]
pub struct Not<P>(P);

impl<C, P: Policy<C>> Policy<C> for Not<P> {
    fn check(&self, claims: &Claims<C>, request: Head<'_>) -> Result<(), AuthError> {
        match self.0.check(claims, request) {
            Ok(()) => Err(AuthErrorKind::InsufficientScope.into()),
            Err(error) if error.is_refusal() => Ok(()),
            Err(undecided) => Err(undecided.needing_none()),
        }
    }
}

/// The policy of [`Rule::boxed`]: any policy for claims of type `C`. Clones share it.
pub struct BoxPolicy<C>(Arc<dyn Policy<C> + Send + Sync>);

impl<C> Policy<C> for BoxPolicy<C> {
    fn check(&self, claims: &Claims<C>, request: Head<'_>) -> Result<(), AuthError> {
        self.0.check(claims, request)
    }
}

/// Creates a rule from a closure that returns true if the request is permitted.
///
/// Annotate the type of the closure's first parameter. Compare parts of the path with [`Head::path_segment`], which
/// decodes them like the router of the handler. Inside axum's `nest` the path is shorter, so the segments have other
/// numbers.
///
/// ```
/// use tower_jwt_auth::policy::when;
/// use tower_jwt_auth::{Claims, RequireLayer};
///
/// struct User {
///     sub: String,
/// }
///
/// // `/users/{sub}/...`
/// let owner = when(|user: &Claims<User>, request| request.path_segment(1).is_some_and(|owner| owner == user.sub));
/// let layer = RequireLayer::<User>::new(owner);
/// ```
pub fn when<C, F>(permits: F) -> Rule<When<C, F>>
where
    F: Fn(&Claims<C>, Head<'_>) -> bool,
{
    Rule::new(When { permits, claims: PhantomData })
}

/// The policy of [`when`].
pub struct When<C, F> {
    permits: F,
    claims: PhantomData<fn(&C)>,
}

impl<C, F> Policy<C> for When<C, F>
where
    F: Fn(&Claims<C>, Head<'_>) -> bool,
{
    #[inline]
    fn check(&self, claims: &Claims<C>, request: Head<'_>) -> Result<(), AuthError> {
        if (self.permits)(claims, request) { Ok(()) } else { Err(AuthErrorKind::InsufficientScope.into()) }
    }
}

impl<C> Clone for BoxPolicy<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> fmt::Debug for BoxPolicy<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("BoxPolicy(..)")
    }
}

impl<C, F: Clone> Clone for When<C, F> {
    fn clone(&self) -> Self {
        Self { permits: self.permits.clone(), claims: PhantomData }
    }
}

impl<C, F> fmt::Debug for When<C, F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("When(..)")
    }
}

impl<P: fmt::Debug> fmt::Debug for Rule<P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rule").field(&self.policy).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::union;

    #[test]
    fn union_names_each_scope_once() {
        for (left, right, expected) in [
            ("", "", ""),
            ("a", "", "a"),
            ("", "a", "a"),
            ("a", "a", "a"),
            ("a b", "b c", "a b c"),
            ("ab", "a b", "ab a b"),
        ] {
            assert_eq!(union(left.into(), right.into()), expected, "{left:?}, {right:?}");
        }
    }
}
