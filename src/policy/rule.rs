//! Rules, and what can be made of them.

use std::fmt::{self, Formatter};
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use super::Policy;
use crate::claims::Claims;
use crate::error::{AuthError, RequiredScope};
use crate::head::Head;
use crate::kind::AuthErrorKind;

/// A [`Policy`] that others can be added to.
///
/// A request that it does not permit is refused with 403 `insufficient_scope`. Where what is missing is a scope, the
/// challenge names all the scopes of the rule ([RFC 6750, section 3](https://www.rfc-editor.org/rfc/rfc6750#section-3)).
#[derive(Clone)]
#[must_use]
pub struct Rule<P> {
    policy: P,
    /// The scopes it names, separated by spaces; or nothing.
    scopes: String,
    /// Made ready by the first refusal that is about scopes.
    needed: OnceLock<Option<Arc<RequiredScope>>>,
}

impl<P> Rule<P> {
    /// A rule that is just this policy, so that it can be combined with others.
    pub fn new(policy: P) -> Self {
        Self::naming(policy, String::new())
    }

    pub(super) fn naming(policy: P, scopes: String) -> Self {
        Self { policy, scopes, needed: OnceLock::new() }
    }

    /// Both must permit the request. The second one is asked only if the first one does.
    pub fn and<Q>(self, other: Rule<Q>) -> Rule<And<P, Q>> {
        Rule::naming(And(self.policy, other.policy), union(self.scopes, other.scopes))
    }

    /// One of them must permit the request. The second one is asked only if the first one does not.
    pub fn or<Q>(self, other: Rule<Q>) -> Rule<Or<P, Q>> {
        Rule::naming(Or(self.policy, other.policy), union(self.scopes, other.scopes))
    }

    /// Permits what this rule refuses with 403, and nothing else. Where it could not decide, the request stays refused: because
    /// of another error (503, say), or because a claim is in a form that the rule cannot read, so that `{"status":
    /// {"suspended": true}}` does not pass `claim("status", "suspended").not()`. A challenge names none of its scopes.
    ///
    /// A claim that is missing, or `null`, says nothing, and passes. A closure of [`when`], or a trait that you implement, must
    /// count as a match what it cannot read.
    #[expect(
        clippy::should_implement_trait,
        reason = "`!rule` is easily overlooked; `and` and `or` have no operator"
    )]
    pub fn not(self) -> Rule<Not<P>> {
        Rule::new(Not(self.policy))
    }

    /// Erases the type of the policy, for rules that come from settings or are kept in one place.
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

/// The scopes of two lists, each once.
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

/// A rule that asks a closure: claims and request in, permitted or not out.
///
/// The closure's first parameter has to say which claims it takes. What it compares of a path should be read by
/// [`Head::path_segment`], which decodes it as a handler's router will; inside of axum's `nest` the path is a shorter one, and so
/// are the numbers of its segments.
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
    fn a_union_names_each_scope_once() {
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
