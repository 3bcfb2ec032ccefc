//! Claims by name, where the claims type keeps them as JSON.

use serde_json::{Map, Value};
use smallvec::SmallVec;

use super::{Policy, Rule};
use crate::claims::Claims;
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::reject::Head;

/// Claims that can be asked for by name, because they are, or hold, JSON.
///
/// ```
/// use serde_json::{Map, Value};
/// use tower_jwt_auth::policy::HasClaim;
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     #[serde(flatten)]
///     other: Map<String, Value>, // what is flattened is read twice: name the claims that you know beside it
/// }
///
/// impl HasClaim for User {
///     fn claim(&self, name: &str) -> Option<&Value> {
///         self.other.get(name)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the claims of `{Self}` cannot be asked for by name",
    note = "use `when(|claims: &Claims<{Self}>, _| ..)`, or implement it for a type that holds its claims as JSON"
)]
pub trait HasClaim {
    /// The claim of that name, if the token has it.
    fn claim(&self, name: &str) -> Option<&Value>;
}

impl HasClaim for Value {
    fn claim(&self, name: &str) -> Option<&Value> {
        self.get(name)
    }
}

impl HasClaim for Map<String, Value> {
    fn claim(&self, name: &str) -> Option<&Value> {
        self.get(name)
    }
}

/// Where a claim is: its name, or the names that lead to a member of it.
///
/// ```
/// use tower_jwt_auth::policy::ClaimPath;
///
/// let permissions = ClaimPath::from("permissions");
/// let with_dots = ClaimPath::from("https://example.com/roles"); // one name
/// let nested = ClaimPath::from(["resource_access", "shop", "roles"]);
/// assert_eq!(ClaimPath::dotted("resource_access.shop.roles"), nested); // from settings, say
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(SmallVec<[Box<str>; 1]>);

impl ClaimPath {
    /// A path that is written with dots between the names.
    #[must_use]
    pub fn dotted(path: &str) -> Self {
        path.split('.').collect()
    }

    /// What is there in these claims.
    fn find<'a>(&self, claims: &'a impl HasClaim) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(claims.claim(first)?, |value, name| value.as_object()?.get(&**name))
    }
}

impl<S: Into<Box<str>>> FromIterator<S> for ClaimPath {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

/// A claim of that name, dots and all.
impl From<&str> for ClaimPath {
    fn from(name: &str) -> Self {
        Self::from([name])
    }
}

/// The names that lead there, from the outside in.
impl<const N: usize> From<[&str; N]> for ClaimPath {
    fn from(names: [&str; N]) -> Self {
        names.into_iter().collect()
    }
}

/// A rule that asks for a claim: that it has this value, or is an array in which this value is.
///
/// A `&str` is the name of one claim, dots and all; an array of names leads into it. A path that is written with dots, in
/// settings, say, is `ClaimPath::dotted(&settings.roles_claim)`.
///
/// | provider | rule |
/// |---|---|
/// | Keycloak, a role in the realm | `claim(["realm_access", "roles"], "admin")` |
/// | Keycloak, a role in a client | `claim(["resource_access", "shop", "roles"], "admin")` |
/// | Auth0 | `claim("permissions", "orders:write")` |
/// | Entra ID | `claim("roles", "Orders.Write")` |
/// | Cognito | `claim("cognito:groups", "admin")` |
///
/// Who is refused by it is told 403. What a token has to say for being one at all, or 401, is for
/// [`JwtVerifier::require_claim`](crate::JwtVerifier::require_claim).
///
/// Values are compared as JSON: `1` is neither `"1"` nor `1.0`. A claim that is not there has no value, not even `null`.
///
/// ```
/// use serde_json::Value;
/// use tower_jwt_auth::RequireLayer;
/// use tower_jwt_auth::policy::claim;
///
/// let rule = claim("email_verified", true).and(claim(["realm_access", "roles"], "admin"));
/// let layer = RequireLayer::<Value, _>::new(rule);
/// ```
pub fn claim(path: impl Into<ClaimPath>, value: impl Into<Value>) -> Rule<ClaimEquals> {
    Rule::new(ClaimEquals { path: path.into(), value: value.into() })
}

/// The policy of [`claim`].
#[derive(Clone, Debug)]
pub struct ClaimEquals {
    path: ClaimPath,
    value: Value,
}

impl<C: HasClaim> Policy<C> for ClaimEquals {
    fn check(&self, claims: &Claims<C>, _: Head<'_>) -> Result<(), AuthError> {
        let permitted = match self.path.find(&**claims) {
            Some(Value::Array(values)) if !self.value.is_array() => values.contains(&self.value),
            found => found == Some(&self.value),
        };
        if permitted { Ok(()) } else { Err(AuthErrorKind::InsufficientScope.into()) }
    }
}
