//! Scopes (RFC 6749, section 3.3): what holds them, and rules about them.

use std::borrow::Cow;
use std::fmt::{self, Formatter};

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use smallvec::SmallVec;

use super::{Policy, Rule};
use crate::claims::Claims;
use crate::error::AuthError;
use crate::reject::Head;

/// Claims that may have scopes.
///
/// ```
/// use tower_jwt_auth::policy::{HasScope, Scopes};
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     #[serde(default)] // a token without the claim has no scope
///     scope: Scopes,
/// }
///
/// impl HasScope for User {
///     fn has_scope(&self, scope: &str) -> bool {
///         self.scope.contains(scope)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which scopes it has",
    note = "implement it: `impl HasScope for {Self} {{ fn has_scope(&self, scope: &str) -> bool {{ self.scope.contains(scope) }} }}`"
)]
pub trait HasScope {
    /// Whether `scope`, a single one, is among them.
    fn has_scope(&self, scope: &str) -> bool;
}

/// A token's scopes, as a field of a claims type: `scope`, or `scp` with Entra ID and Okta.
///
/// It is read from a string in which they are separated by U+0020, and by nothing else
/// ([RFC 6749, section 3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)), or from an array of strings. A string
/// in an array that contains a space is an error, since it could be read in two ways. It is written as a string.
///
/// ```
/// use tower_jwt_auth::policy::Scopes;
///
/// # fn main() -> serde_json::Result<()> {
/// let scopes: Scopes = serde_json::from_str(r#""orders:read profile""#)?;
/// assert!(scopes.contains("orders:read"));
/// assert!(!scopes.contains("orders"));
/// assert_eq!(scopes, serde_json::from_str(r#"["orders:read", "profile"]"#)?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Box<str>);

impl Scopes {
    /// Whether `scope`, a single one, is among them. Nothing is allocated.
    #[must_use]
    #[inline]
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|held| held == scope)
    }

    /// The scopes one by one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        split(&self.0)
    }
}

/// From a list that is separated by spaces.
impl From<&str> for Scopes {
    fn from(list: &str) -> Self {
        Self(list.into())
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
        f.write_str("scopes: a string with spaces between them, or an array of strings")
    }

    fn visit_str<E: Error>(self, list: &str) -> Result<Scopes, E> {
        Ok(list.into())
    }

    fn visit_string<E: Error>(self, list: String) -> Result<Scopes, E> {
        Ok(Scopes(list.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scopes, A::Error> {
        let mut list = String::new();
        while let Some(scope) = seq.next_element::<Cow<'de, str>>()? {
            if scope.contains(' ') {
                return Err(A::Error::custom("a scope in an array contains no space"));
            }
            if !list.is_empty() {
                list.push(' ');
            }
            list.push_str(&scope);
        }
        Ok(Scopes(list.into()))
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A rule that asks for a scope. If it is a list, separated by spaces, all of them are needed; if it is empty, nobody is
/// permitted.
///
/// ```
/// let rule = tower_jwt_auth::policy::scope("orders:write");
/// ```
pub fn scope(scope: impl Into<Cow<'static, str>>) -> Rule<AllScopes> {
    let list = scope.into();
    let scopes = match &list {
        Cow::Borrowed(list) => split(list).map(Cow::Borrowed).collect(),
        Cow::Owned(list) => split(list).map(|scope| Cow::Owned(scope.to_owned())).collect(),
    };
    Rule::naming(AllScopes(scopes), list)
}

/// A rule that asks for all of these scopes. If there are none, nobody is permitted.
///
/// ```
/// let rule = tower_jwt_auth::policy::all_scopes(["orders:read", "orders:write"]);
/// ```
pub fn all_scopes<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Rule<AllScopes> {
    scope(scopes.into_iter().map(Into::into).collect::<Vec<_>>().join(" "))
}

/// A rule that asks for one of these scopes, whichever; a challenge names them all. If there are none, nobody is permitted.
///
/// ```
/// let rule = tower_jwt_auth::policy::any_scope(["orders:read", "orders:write"]);
/// ```
pub fn any_scope<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Rule<AnyScope> {
    let scopes: Vec<_> = scopes.into_iter().map(Into::into).collect();
    let list = scopes.join(" ");
    Rule::naming(AnyScope(scopes), list.into())
}

/// The policy of [`scope`] and [`all_scopes`].
#[derive(Clone, Debug)]
pub struct AllScopes(SmallVec<[Cow<'static, str>; 1]>);

impl<C: HasScope> Policy<C> for AllScopes {
    #[inline]
    fn check(&self, claims: &Claims<C>, _: Head<'_>) -> Result<(), AuthError> {
        let permitted = !self.0.is_empty() && self.0.iter().all(|scope| claims.has_scope(scope));
        if permitted { Ok(()) } else { Err(AuthError::lacking_scope()) }
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
            Err(AuthError::lacking_scope())
        }
    }
}

/// The scopes of a list; two spaces hold none between them.
fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(' ').filter(|scope| !scope.is_empty())
}
