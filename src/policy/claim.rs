//! Claims by name, where the claims type keeps them as JSON.

use serde_json::{Map, Value};
use smallvec::SmallVec;

use super::{Policy, Rule};
use crate::claims::Claims;
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::reject::Head;
use crate::verify::json_type;

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
///
///     fn has_in_another_case(&self, name: &str) -> bool {
///         self.other.has_in_another_case(name)
///     }
/// }
/// ```
///
/// A claim with a field of its own is not in the map, so that a rule finds none, and its [`not`](Rule::not) permits the
/// request: ask for it by [`when`](super::when).
#[diagnostic::on_unimplemented(
    message = "the claims of `{Self}` cannot be asked for by name",
    note = "for a field, use `when(|claims: &Claims<{Self}>, _| claims.field == ..)`",
    note = "if `{Self}` holds its claims as JSON, implement `HasClaim` for it"
)]
pub trait HasClaim {
    /// The claim of that name, if the token has it.
    fn claim(&self, name: &str) -> Option<&Value>;

    /// Returns true if there is a claim whose name differs from this one only in case, such as `Roles` for `roles`. A rule that
    /// does not find the claim then refuses the request, and so does its [`not`](Rule::not).
    ///
    /// By default, the name is looked up in lower case, in upper case and capitalized. If you delegate [`claim`](Self::claim) to a
    /// map, delegate this method as well: it knows all spellings.
    fn has_in_another_case(&self, name: &str) -> bool {
        let (lower, upper) = (name.to_ascii_lowercase(), name.to_ascii_uppercase());
        let mut capitalized = lower.clone();
        capitalized.get_mut(..1).into_iter().for_each(str::make_ascii_uppercase);
        [lower, upper, capitalized].iter().any(|other| other != name && self.claim(other).is_some())
    }
}

impl HasClaim for Value {
    fn claim(&self, name: &str) -> Option<&Value> {
        self.get(name)
    }

    fn has_in_another_case(&self, name: &str) -> bool {
        self.as_object().is_some_and(|claims| claims.has_in_another_case(name))
    }
}

impl HasClaim for Map<String, Value> {
    fn claim(&self, name: &str) -> Option<&Value> {
        self.get(name)
    }

    fn has_in_another_case(&self, name: &str) -> bool {
        self.keys().any(|other| other != name && other.eq_ignore_ascii_case(name))
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

    /// What is there in these claims; an error where the path leads through something that is no object.
    fn find<'a>(&self, claims: &'a impl HasClaim) -> Result<Option<&'a Value>, &'a Value> {
        let Some((first, rest)) = self.0.split_first() else {
            return Ok(None);
        };
        let mut found = claims.claim(first);
        for name in rest {
            found = match found {
                None | Some(Value::Null) => return Ok(None),
                Some(Value::Object(members)) => members.get(&**name),
                Some(other) => return Err(other),
            };
        }
        Ok(found)
    }

    /// Returns the first name of the path that the claims lack, if they have it in another case.
    fn respelled(&self, claims: &impl HasClaim) -> Option<&str> {
        let (first, rest) = self.0.split_first()?;
        let Some(mut found) = claims.claim(first).filter(|value| !value.is_null()) else {
            return claims.has_in_another_case(first).then_some(first);
        };
        for name in rest {
            let Some(member) = found.get(&**name).filter(|value| !value.is_null()) else {
                return found.has_in_another_case(name).then_some(name);
            };
            found = member;
        }
        None
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
/// Values are compared as JSON: `1` is neither `"1"` nor `1.0`. A claim that is not there has no value, not even `null`. Where
/// a claim is of another type than the value, the rule does not permit the request, and neither does its [`not`](Rule::not).
/// The same goes for a claim that the token has only in another case, such as `Roles` for `roles`, and for an empty path.
///
/// ```
/// use serde_json::Value;
/// use tower_jwt_auth::RequireLayer;
/// use tower_jwt_auth::policy::claim;
///
/// let rule = claim("email_verified", true).and(claim(["realm_access", "roles"], "admin"));
/// let layer = RequireLayer::<Value>::new(rule);
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
        let found = self.path.find(&**claims);
        let permitted = match found {
            Ok(Some(Value::Array(values))) if !self.value.is_array() => values.contains(&self.value),
            Ok(found) => found == Some(&self.value),
            Err(_) => false,
        };
        if permitted { Ok(()) } else { Err(self.refusal(&**claims, found)) }
    }
}

impl ClaimEquals {
    #[cold]
    fn refusal(&self, claims: &impl HasClaim, found: Result<Option<&Value>, &Value>) -> AuthError {
        let error = AuthError::new(AuthErrorKind::InsufficientScope);
        let path = || self.path.0.join(".");
        match found {
            Err(other) => error.undecided(format!(
                "the path `{}` leads through {}, which is no object",
                path(),
                json_type(other)
            )),
            Ok(None | Some(Value::Null)) if self.path.0.iter().all(|name| name.is_empty()) => {
                error.undecided("the path of the claim is empty".to_owned())
            }
            Ok(None | Some(Value::Null)) => match self.path.respelled(claims) {
                Some(name) => error.undecided(format!(
                    "there is no claim `{}`: the token spells `{name}` in another case",
                    path()
                )),
                None => error,
            },
            Ok(Some(value)) if self.differs_from(value) => error,
            Ok(Some(value)) => error.undecided(format!(
                "the claim `{}` is {} that cannot be compared with {}",
                path(),
                json_type(value),
                json_type(&self.value)
            )),
        }
    }

    /// Returns true if the claim, which has another value, is plainly another one: of the same type.
    fn differs_from(&self, found: &Value) -> bool {
        match (&self.value, found) {
            (Value::Null, _)
            | (Value::Bool(_), Value::Bool(_))
            | (Value::String(_), Value::String(_))
            | (Value::Array(_), Value::Array(_))
            | (Value::Object(_), Value::Object(_)) => true,
            // `1` and `1.0` are the same number in two spellings.
            (Value::Number(one), Value::Number(other)) => {
                !(one.is_f64() || other.is_f64()) || one.as_f64() != other.as_f64()
            }
            (_, Value::Array(items)) => items.iter().all(|item| !item.is_array() && self.differs_from(item)),
            _ => false,
        }
    }
}
