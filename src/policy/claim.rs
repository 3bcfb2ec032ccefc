//! Claims by name, for claims types that keep JSON.

use serde_json::{Map, Value};
use smallvec::SmallVec;

use super::{Policy, Rule};
use crate::claims::Claims;
use crate::error::AuthError;
use crate::head::Head;
use crate::kind::AuthErrorKind;
use crate::verify::json_type;

/// Claims that can be looked up by name, because they are or contain JSON.
///
/// ```
/// use serde_json::{Map, Value};
/// use tower_jwt_auth::policy::HasClaim;
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     #[serde(flatten)]
///     other: Map<String, Value>, // flattened claims are decoded twice: give known claims their own field
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
/// A claim with its own field is not in the map. A rule does not find it there, and its [`not`](Rule::not) would permit
/// the request. Check such a claim with [`when`](super::when).
#[diagnostic::on_unimplemented(
    message = "the claims of `{Self}` cannot be asked for by name",
    note = "for a field, use `when(|claims: &Claims<{Self}>, _| claims.field == ..)`",
    note = "if `{Self}` holds its claims as JSON, implement `HasClaim` for it"
)]
pub trait HasClaim {
    /// Returns the claim with this name, if the token has it.
    fn claim(&self, name: &str) -> Option<&Value>;

    /// Returns true if a claim's name differs only in case, like `Roles` for `roles`.
    ///
    /// A rule that does not find its claim then rejects the request, and so does its [`not`](Rule::not).
    ///
    /// By default, the name is looked up in lower case, in upper case and capitalized. If you delegate
    /// [`claim`](Self::claim) to a map, delegate this method as well: it knows all spellings.
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

/// The path of a claim: its name, or the names that lead to a nested member.
///
/// ```
/// use tower_jwt_auth::policy::ClaimPath;
///
/// let permissions = ClaimPath::from("permissions");
/// let with_dots = ClaimPath::from("https://example.com/roles"); // one name
/// let nested = ClaimPath::from(["resource_access", "shop", "roles"]);
/// assert_eq!(ClaimPath::dotted("resource_access.shop.roles"), nested); // for example from a configuration file
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(SmallVec<[Box<str>; 1]>);

impl ClaimPath {
    /// Parses a path with dots between the names.
    #[must_use]
    pub fn dotted(path: &str) -> Self {
        path.split('.').collect()
    }

    /// Returns the value at this path. An error if the path leads through a value that is not an object.
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

    /// Returns the first missing name of the path, if the claims have it in another case.
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

/// One name, which may contain dots.
impl From<&str> for ClaimPath {
    fn from(name: &str) -> Self {
        Self::from([name])
    }
}

/// The names of the path, outermost first.
impl<const N: usize> From<[&str; N]> for ClaimPath {
    fn from(names: [&str; N]) -> Self {
        names.into_iter().collect()
    }
}

/// Requires a claim with this value, or an array that contains it.
///
/// ```
/// use serde_json::Value;
/// use tower_jwt_auth::RequireLayer;
/// use tower_jwt_auth::policy::claim;
///
/// let rule = claim("email_verified", true).and(claim(["realm_access", "roles"], "admin"));
/// let layer = RequireLayer::<Value>::new(rule);
/// ```
///
/// A `&str` is one name, dots included. An array of names leads to a nested claim. For a dotted path, for example from
/// a configuration file, use [`ClaimPath::dotted`].
///
/// [Authorization](../guide/authorization/index.html#claims) in the guide has the rules for some providers.
///
/// A rejection is a 403. For claims without which a token is invalid (401), use
/// [`JwtVerifier::require_claim`](crate::JwtVerifier::require_claim).
///
/// # Comparison
///
/// Values are compared as JSON: `1` equals neither `"1"` nor `1.0`. A missing claim has no value, not even `null`. In
/// these cases neither the rule nor its [`not`](Rule::not) permits the request:
///
/// - The claim has another type than the value.
/// - The token has the claim only in another case, such as `Roles` for `roles`.
/// - The path is empty.
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
                "the path `{}` leads through {}, not an object",
                path(),
                json_type(other)
            )),
            Ok(None | Some(Value::Null)) if self.path.0.iter().all(|name| name.is_empty()) => {
                error.undecided("the claim path is empty".to_owned())
            }
            Ok(None | Some(Value::Null)) => match self.path.respelled(claims) {
                Some(name) => error.undecided(format!(
                    "the claim `{}` is missing: the token spells `{name}` in another case",
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

    /// Returns true if the other value clearly differs: it has the same type.
    fn differs_from(&self, found: &Value) -> bool {
        match (&self.value, found) {
            (Value::Null, _)
            | (Value::Bool(_), Value::Bool(_))
            | (Value::String(_), Value::String(_))
            | (Value::Array(_), Value::Array(_))
            | (Value::Object(_), Value::Object(_)) => true,
            // `1` and `1.0` spell the same number differently.
            (Value::Number(one), Value::Number(other)) => {
                !(one.is_f64() || other.is_f64()) || one.as_f64() != other.as_f64()
            }
            (_, Value::Array(items)) => items.iter().all(|item| !item.is_array() && self.differs_from(item)),
            _ => false,
        }
    }
}
