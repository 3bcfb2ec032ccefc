//! Roles: what holds them, and a rule about them.

use std::collections::HashMap;
use std::fmt::{self, Formatter};

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use super::{Policy, Rule};
use crate::claims::Claims;
use crate::error::AuthError;
use crate::head::Head;
use crate::kind::AuthErrorKind;

/// Claims that may have roles.
///
/// What a role is, the provider says, and the field is named as it names it: [`Roles`] is for `roles` (Entra ID),
/// `permissions` (Auth0) and `realm_access` (Keycloak), and for each client in Keycloak's `resource_access`; for Zitadel there is
/// [`Roles::from_member_names`]. A `String` in its place would find `admin` in `no-admin`, too.
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
    note = "for `RegisteredClaims`, take a struct of your own with the claims that you need as fields",
    note = "for claims that are kept as JSON there is `claim([..], \"role\")`, since where roles are differs"
)]
pub trait HasRole {
    /// Whether `role` is among them.
    fn has_role(&self, role: &str) -> bool;
}

/// A token's roles, as a field of a claims type.
///
/// They are read from an array of strings, from a string, which is one role, or from an object with such a member
/// `roles`, as Keycloak has it. `null` and `{}` are no role at all, and neither is a claim that is missing, where the field has
/// `#[serde(default)]`. They are written as an array.
///
/// Any other form is an error, with which the verifier rejects the token
/// ([`InvalidClaims`](crate::AuthErrorKind::InvalidClaims)): `role("suspended").not()` would permit what was not understood.
/// That includes an object with other members than Keycloak's `roles` and `verify_caller`, such as `Roles` or the whole of
/// `resource_access`. For roles that are the names of an object's members, as Zitadel has them, there is
/// [`from_member_names`](Self::from_member_names).
///
/// A string with a comma, a semicolon or a control character is also an error, since it may be a list. In an array, only control
/// characters are.
///
/// Claim names are case-sensitive: a field `roles` does not read a claim `Roles`. A verifier rejects a token with such a
/// claim if the claims type reads the usual name: `groups`, `permissions`, `realm_access`, `resource_access`, `role`, `roles`,
/// `scope` or `scp`. For other names, the claim counts as missing, and `not` permits the request. The same goes for a type that
/// accepts roles that it cannot read, such as an untagged enum with another variant that fits.
#[derive(Clone, Debug, Default)]
pub struct Roles(Vec<Box<str>>);

impl Roles {
    /// Whether `role` is among them. Nothing is allocated.
    #[must_use]
    pub fn contains(&self, role: &str) -> bool {
        self.iter().any(|held| held == role)
    }

    /// Reads roles that are the names of an object's members, as Zitadel has them: for `#[serde(deserialize_with)]`.
    ///
    /// The value of each member is an object of strings: the organizations that have granted the role, any of which counts. Where
    /// that matters, read a `HashMap<String, HashMap<String, String>>` instead. `null` and `{}` are no role.
    ///
    /// ```
    /// use tower_jwt_auth::policy::Roles;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct User {
    ///     #[serde(rename = "urn:zitadel:iam:org:project:roles", default, deserialize_with = "Roles::from_member_names")]
    ///     roles: Roles,
    /// }
    ///
    /// # fn main() -> serde_json::Result<()> {
    /// let claims = r#"{"urn:zitadel:iam:org:project:roles": {"admin": {"2312345": "shop.example.com"}}}"#;
    /// let user: User = serde_json::from_str(claims)?;
    /// assert!(user.roles.contains("admin"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If it is another form, such as `{"admin": true}` or `{"roles": ["admin"]}`.
    pub fn from_member_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamesVisitor)
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
        if role.contains([',', ';']) {
            return Err(E::custom("a role in a string contains no comma and no semicolon"));
        }
        checked(vec![role.into()])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Roles, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).and_then(checked)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Roles, A::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Access {
            #[serde(default)]
            roles: Vec<Box<str>>,
            #[serde(default, rename = "verify_caller")]
            _verify_caller: IgnoredAny,
        }

        Access::deserialize(MapAccessDeserializer::new(map)).and_then(|access| checked(access.roles))
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Roles;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("roles: an object with a member for each, which is an object of organizations")
    }

    fn visit_unit<E: Error>(self) -> Result<Roles, E> {
        Ok(Roles::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Roles, A::Error> {
        let mut roles = Vec::new();
        while let Some((role, organizations)) = map.next_entry::<Box<str>, HashMap<String, String>>()? {
            if organizations.is_empty() {
                return Err(A::Error::custom("a role is granted by an organization at least"));
            }
            roles.push(role);
        }
        checked(roles)
    }
}

/// Rejects control characters: a text with a line break or a tab may be a list.
fn checked<E: Error>(roles: Vec<Box<str>>) -> Result<Roles, E> {
    if roles.iter().any(|role| role.contains(char::is_control)) {
        return Err(E::custom("a role contains no control character"));
    }
    Ok(Roles(roles))
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
/// use tower_jwt_auth::policy::role;
/// use tower_jwt_auth::{JwtAuthLayer, JwtVerifier, KeySet};
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     email: String,
/// }
///
/// let verifier = JwtVerifier::<User>::new(KeySet::new([]));
/// let layer = JwtAuthLayer::new(verifier).require(role("admin"));
/// ```
pub fn role(role: impl Into<String>) -> Rule<RoleNamed> {
    Rule::new(RoleNamed(role.into()))
}

/// The policy of [`role`].
#[derive(Clone, Debug)]
pub struct RoleNamed(String);

impl<C: HasRole> Policy<C> for RoleNamed {
    #[inline]
    fn check(&self, claims: &Claims<C>, _: Head<'_>) -> Result<(), AuthError> {
        if claims.has_role(&self.0) { Ok(()) } else { Err(AuthErrorKind::InsufficientScope.into()) }
    }
}
