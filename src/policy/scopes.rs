//! Scopes (RFC 6749, section 3.3): a field type for them, and rules that require them.

use std::borrow::Cow;
use std::fmt::{self, Formatter};

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::text_seed::TextSeed;
use super::{Policy, Rule};
use crate::claims::Claims;
use crate::error::AuthError;
use crate::head::Head;

/// Claims with scopes.
///
/// Use [`Scopes`] for the field. Do not use a `String`: its `contains` would find `orders:write` in `no-orders:write`.
///
/// ```
/// use tower_jwt_auth::policy::{Scopes, has_scope};
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     #[serde(default)] // a token without the claim has no scopes
///     scope: Scopes,
/// }
///
/// has_scope!(User.scope);
/// ```
///
/// The macro [`has_scope!`](super::has_scope) implements the trait for such a field. Implement it yourself if the scopes are
/// elsewhere.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which scopes it has",
    note = "give it a field `scope: tower_jwt_auth::policy::Scopes`, and write `tower_jwt_auth::policy::has_scope!({Self}.scope);`",
    note = "for `RegisteredClaims`, take a struct of your own with the claims that you need as fields, or `serde_json::Value`"
)]
pub trait HasScope {
    /// Returns true if the claims include this one scope.
    fn has_scope(&self, scope: &str) -> bool;

    /// Returns the name of a scope claim that has an unreadable form.
    ///
    /// A rule that does not find its scope then rejects the request, and so does its [`not`](Rule::not). The default is
    /// `None`, which is right for [`Scopes`]: the verifier rejects tokens that it cannot read.
    ///
    /// If you delegate [`has_scope`](Self::has_scope) to a map or a [`Value`], delegate this method too. Otherwise
    /// `not` permits unreadable scopes:
    ///
    /// ```
    /// # use std::borrow::Cow;
    /// # use serde_json::{Map, Value};
    /// # use tower_jwt_auth::policy::HasScope;
    /// # struct User { other: Map<String, Value> }
    /// # impl HasScope for User {
    /// fn has_scope(&self, scope: &str) -> bool { self.other.has_scope(scope) }
    /// fn unreadable_scopes(&self) -> Option<Cow<'_, str>> { self.other.unreadable_scopes() }
    /// # }
    /// ```
    fn unreadable_scopes(&self) -> Option<Cow<'_, str>> {
        None
    }
}

/// Implements [`HasScope`] by a field of type [`Scopes`].
///
/// ```
/// use tower_jwt_auth::policy::{HasScope, Scopes, has_scope};
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     #[serde(default)] // a token without the claim has no scopes
///     scope: Scopes, // `scp` with Entra ID and Okta
/// }
///
/// has_scope!(User.scope);
///
/// # fn main() -> serde_json::Result<()> {
/// let user: User = serde_json::from_str(r#"{"scope": "orders:read profile"}"#)?;
/// assert!(user.has_scope("orders:read") && !user.has_scope("orders"));
/// # Ok(())
/// # }
/// ```
///
/// The field may be nested, as in `has_scope!(User.access.scope)`. A field of another type does not compile, as its
/// `contains` may compare something else. For a generic type, or for scopes in several fields, implement the trait.
#[doc(hidden)]
#[macro_export]
macro_rules! __has_scope {
    ($claims:ident . $($field:tt).+) => {
        impl $crate::policy::HasScope for $claims {
            fn has_scope(&self, scope: &str) -> bool {
                $crate::policy::Scopes::contains(&self.$($field).+, scope)
            }
        }
    };
}

// `macro_export` also puts the macro at the crate root, hidden, so that its one path is in `policy`.
pub use __has_scope as has_scope;

/// Reads `scope` and `scp`: a string or an array, like [`Scopes`]. Other forms, and names such as `Scope`, are
/// unreadable.
impl HasScope for Value {
    fn has_scope(&self, scope: &str) -> bool {
        self.as_object().is_some_and(|claims| claims.has_scope(scope))
    }

    fn unreadable_scopes(&self) -> Option<Cow<'_, str>> {
        self.as_object().map_or(Some(CLAIMS[0].into()), HasScope::unreadable_scopes)
    }
}

/// Same as for [`Value`].
impl HasScope for Map<String, Value> {
    fn has_scope(&self, scope: &str) -> bool {
        let holds = |claim: &Value| match claim {
            Value::String(list) => split(list).any(|held| held == scope),
            Value::Array(scopes) => scopes.iter().any(|held| held == scope),
            _ => false,
        };
        is_single(scope) && CLAIMS.into_iter().filter_map(|name| self.get(name)).any(holds)
    }

    fn unreadable_scopes(&self) -> Option<Cow<'_, str>> {
        let is_scope = |item: &Value| item.as_str().is_some_and(|scope| !scope.contains(' '));
        let is_unreadable = |claim: &&str| match self.get(*claim) {
            Some(Value::Array(scopes)) if !scopes.iter().all(is_scope) => true,
            None | Some(Value::Null | Value::String(_) | Value::Array(_)) => {
                self.keys().any(|name| name != claim && name.eq_ignore_ascii_case(claim))
            }
            Some(_) => true,
        };
        CLAIMS.into_iter().find(is_unreadable).map(Cow::Borrowed)
    }
}

/// The names of scope claims: RFC 8693, section 4.2; Entra ID and Okta.
const CLAIMS: [&str; 2] = ["scope", "scp"];

/// The scopes of a token, for a field of a claims type.
///
/// ```
/// use tower_jwt_auth::policy::Scopes;
///
/// # fn main() -> serde_json::Result<()> {
/// let scopes: Scopes = serde_json::from_str(r#""orders:read profile""#)?;
/// assert!(scopes.contains("orders:read"));
/// assert!(!scopes.contains("orders"));
/// let scopes: Scopes = serde_json::from_str(r#"["orders:read", "profile"]"#)?;
/// assert!(scopes.contains("profile"));
/// # Ok(())
/// # }
/// ```
///
/// The field is `scope`, or `scp` with Entra ID and Okta. It deserializes from:
///
/// - a string with U+0020 as the only separator
///   ([RFC 6749, section 3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)),
/// - an array of strings without spaces; a space is an error, since it could be read in two ways,
/// - `null`, which is no scopes.
///
/// It serializes as a string.
#[derive(Clone, Debug, Default)]
pub struct Scopes {
    list: Box<str>,
}

impl Scopes {
    /// Returns true if the scopes include this one scope. Does not allocate.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|held| held == scope)
    }

    /// Iterates over the scopes.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        split(&self.list)
    }
}

/// Reads a list with spaces between the scopes.
impl From<&str> for Scopes {
    fn from(list: &str) -> Self {
        Self { list: list.into() }
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = Scopes;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("scopes: a space-separated string or an array of strings")
    }

    fn visit_unit<E: Error>(self) -> Result<Scopes, E> {
        Ok(Scopes::default())
    }

    fn visit_str<E: Error>(self, list: &str) -> Result<Scopes, E> {
        Ok(list.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scopes, A::Error> {
        let mut list = String::new();
        let mut push = |scope: &str| {
            if !list.is_empty() {
                list.push(' ');
            }
            list.push_str(scope);
            !scope.contains(' ')
        };
        while let Some(is_scope) = seq.next_element_seed(TextSeed(&mut push))? {
            if !is_scope {
                return Err(A::Error::custom("a scope in an array must not contain a space"));
            }
        }
        Ok(list.as_str().into())
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.list)
    }
}

/// Requires a scope.
///
/// With several scopes, separated by spaces, all of them are required. An empty text permits nobody.
///
/// ```
/// let rule = tower_jwt_auth::policy::scope("orders:write");
/// ```
pub fn scope(scope: impl Into<String>) -> Rule<AllScopes> {
    let list = scope.into();
    Rule::naming(AllScopes::of(&list), list)
}

/// Requires all of these scopes. An empty list permits nobody.
///
/// ```
/// let rule = tower_jwt_auth::policy::all_scopes(["orders:read", "orders:write"]);
/// ```
pub fn all_scopes<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Rule<AllScopes> {
    scope(scopes.into_iter().map(Into::into).collect::<Vec<_>>().join(" "))
}

/// Requires one of these scopes.
///
/// The challenge names all of them. An empty list permits nobody. A scope with a space in it is ignored.
///
/// ```
/// let rule = tower_jwt_auth::policy::any_scope(["orders:read", "orders:write"]);
/// ```
pub fn any_scope<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Rule<AnyScope> {
    let mut scopes: Vec<_> = scopes.into_iter().map(Into::into).collect();
    let list = scopes.join(" ");
    scopes.retain(|scope| is_single(scope));
    Rule::naming(AnyScope(scopes), list)
}

/// The policy of [`scope`] and [`all_scopes`].
#[derive(Clone, Debug)]
pub struct AllScopes {
    first: String,
    others: Vec<String>,
}

impl AllScopes {
    /// Parses a list. An empty one becomes an empty scope, which nobody has.
    fn of(list: &str) -> Self {
        let mut scopes = split(list).map(str::to_owned);
        Self { first: scopes.next().unwrap_or_default(), others: scopes.collect() }
    }
}

impl<C: HasScope> Policy<C> for AllScopes {
    #[inline]
    fn check(&self, claims: &Claims<C>, _: Head<'_>) -> Result<(), AuthError> {
        // Claims types may treat an empty scope as present, so it is not looked up: an empty list permits nobody.
        let permitted = !self.first.is_empty()
            && claims.has_scope(&self.first)
            && self.others.iter().all(|scope| claims.has_scope(scope));
        if permitted { Ok(()) } else { Err(lacking_scope(&**claims)) }
    }
}

/// The policy of [`any_scope`].
#[derive(Clone, Debug)]
pub struct AnyScope(Vec<String>);

impl<C: HasScope> Policy<C> for AnyScope {
    #[inline]
    fn check(&self, claims: &Claims<C>, _: Head<'_>) -> Result<(), AuthError> {
        if self.0.iter().any(|scope| claims.has_scope(scope)) {
            Ok(())
        } else {
            Err(lacking_scope(&**claims))
        }
    }
}

#[cold]
fn lacking_scope(claims: &impl HasScope) -> AuthError {
    let error = AuthError::lacking_scope();
    match claims.unreadable_scopes() {
        Some(claim) => error.undecided(format!(
            "the claim `{claim}` is neither a string nor an array of scopes, or is spelled in another case"
        )),
        None => error,
    }
}

fn is_single(scope: &str) -> bool {
    !scope.is_empty() && !scope.contains(' ')
}

/// Splits a list. Several spaces count as one.
fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(' ').filter(|scope| !scope.is_empty())
}
