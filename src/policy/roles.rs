//! Roles: what holds them, and a rule about them.

use std::borrow::Cow;
use std::fmt::{self, Formatter};

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use super::{Policy, Rule};
use crate::claims::Claims;
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::reject::Head;

/// Claims that may have roles.
///
/// What a role is, the provider says, and the field is named as it names it: [`Roles`] is for `roles` (Entra ID),
/// `permissions` (Auth0) and `realm_access` (Keycloak), and for each client in Keycloak's `resource_access`. A `String` in its place
/// would find `admin` in `no-admin`, too.
///
/// ```
/// # use std::collections::HashMap;
/// # use tower_jwt_auth::policy::{HasRole, Roles};
/// #[derive(serde::Deserialize)]
/// #[serde(default)] // a token without the claims has no role
/// # #[derive(Default)]
/// struct User {
///     realm_access: Roles,
///     resource_access: HashMap<String, Roles>,
/// }
///
/// impl HasRole for User {
///     fn has_role(&self, role: &str) -> bool {
///         self.realm_access.contains(role) || self.resource_access.get("shop").is_some_and(|shop| shop.contains(role))
///     }
/// }
///
/// # fn main() -> serde_json::Result<()> {
/// let claims = r#"{"realm_access": {"roles": ["clerk"]}, "resource_access": {"shop": {"roles": ["admin"]}}}"#;
/// let user: User = serde_json::from_str(claims)?;
/// assert!(user.has_role("clerk") && user.has_role("admin") && !user.has_role("ad"));
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which roles it has",
    note = "implement it: `impl HasRole for {Self} {{ fn has_role(&self, role: &str) -> bool {{ self.roles.contains(role) }} }}`",
    note = "with a field `roles: tower_jwt_auth::policy::Roles`: in a `String`, `contains` finds parts of other roles, too",
    note = "for `RegisteredClaims`, take a type of your own with it flattened",
    note = "for claims that are kept as JSON there is `claim([..], \"role\")`, since where roles are differs"
)]
pub trait HasRole {
    /// Whether `role` is among them.
    fn has_role(&self, role: &str) -> bool;
}

/// A token's roles, as a field of a claims type.
///
/// They are read from an array of strings, from a string, which is one role, or from an object with such a member
/// `roles`, as Keycloak has it. `null` is no role at all. They are written as an array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(Vec<Box<str>>);

impl Roles {
    /// Whether `role` is among them. Nothing is allocated.
    #[must_use]
    pub fn contains(&self, role: &str) -> bool {
        self.iter().any(|held| held == role)
    }

    /// The roles one by one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl<S: Into<Box<str>>> FromIterator<S> for Roles {
    fn from_iter<I: IntoIterator<Item = S>>(roles: I) -> Self {
        Self(roles.into_iter().map(Into::into).collect())
    }
}

impl<'de> Deserialize<'de> for Roles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RolesVisitor)
    }
}

struct RolesVisitor;

impl<'de> Visitor<'de> for RolesVisitor {
    type Value = Roles;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("roles: an array of strings, a string, or an object with such a member `roles`")
    }

    fn visit_unit<E: Error>(self) -> Result<Roles, E> {
        Ok(Roles::default())
    }

    fn visit_str<E: Error>(self, role: &str) -> Result<Roles, E> {
        Ok(Roles(vec![role.into()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Roles, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Roles)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Roles, A::Error> {
        #[derive(serde::Deserialize)]
        struct Access {
            #[serde(default)]
            roles: Vec<Box<str>>,
        }

        Access::deserialize(MapAccessDeserializer::new(map)).map(|access| Roles(access.roles))
    }
}

impl Serialize for Roles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// A rule that asks for a role.
///
/// ```
/// let rule = tower_jwt_auth::policy::role("admin");
/// ```
///
/// Of claims that do not say which roles they have, none can be asked for:
///
/// ```compile_fail,E0277
/// use tower_jwt_auth::{JwtAuthLayer, JwtVerifier, KeySet, policy::role};
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     email: String,
/// }
///
/// let verifier = JwtVerifier::<User>::new(KeySet::new([]));
/// let layer = JwtAuthLayer::new(verifier).require(role("admin"));
/// ```
pub fn role(role: impl Into<Cow<'static, str>>) -> Rule<RoleNamed> {
    Rule::new(RoleNamed(role.into()))
}

/// The policy of [`role`].
#[derive(Clone, Debug)]
pub struct RoleNamed(Cow<'static, str>);

impl<C: HasRole> Policy<C> for RoleNamed {
    #[inline]
    fn check(&self, claims: &Claims<C>, _: Head<'_>) -> Result<(), AuthError> {
        if claims.has_role(&self.0) { Ok(()) } else { Err(AuthErrorKind::InsufficientScope.into()) }
    }
}
