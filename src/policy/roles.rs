//! Roles: a field type for them, and a rule that requires one.

use std::fmt::{self, Formatter};

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use super::text_seed::TextSeed;
use super::{Policy, Rule};
use crate::claims::Claims;
use crate::error::AuthError;
use crate::head::Head;
use crate::kind::AuthErrorKind;

/// Claims with roles.
///
/// The provider defines the roles and the claim's name. [`Roles`] reads:
///
/// - `roles` of Entra ID, `permissions` of Auth0, and `realm_access` of Keycloak.
/// - The value of each client in Keycloak's `resource_access`.
/// - The roles of Zitadel, with [`Roles::from_member_names`].
///
/// The macro [`has_role!`](super::has_role) implements the trait for one field. Implement it yourself if the roles are in
/// several fields. Do not use a `String`: its `contains` would find `admin` in `no-admin`.
///
/// ```
/// # use std::collections::HashMap;
/// # use tower_jwt_auth::policy::{HasRole, Roles};
/// #[derive(serde::Deserialize)]
/// #[serde(default)] // a token without the claims has no roles
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
    note = "give it a field `roles: tower_jwt_auth::policy::Roles`, and write `tower_jwt_auth::policy::has_role!({Self}.roles);`",
    note = "for `RegisteredClaims`, take a struct of your own with the claims that you need as fields",
    note = "for claims that are kept as JSON there is `claim([..], \"role\")`, since where roles are differs"
)]
pub trait HasRole {
    /// Returns true if the claims include this role.
    fn has_role(&self, role: &str) -> bool;
}

/// Implements [`HasRole`] by a field of type [`Roles`].
///
/// ```
/// use tower_jwt_auth::policy::{HasRole, Roles, has_role};
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     #[serde(default)] // a token without the claim has no roles
///     roles: Roles, // `permissions` with Auth0, `realm_access` with Keycloak
/// }
///
/// has_role!(User.roles);
///
/// # fn main() -> serde_json::Result<()> {
/// let user: User = serde_json::from_str(r#"{"roles": ["clerk"]}"#)?;
/// assert!(user.has_role("clerk") && !user.has_role("admin"));
/// # Ok(())
/// # }
/// ```
///
/// The field may be nested, as in `has_role!(User.access.roles)`. A field of another type does not compile, as its
/// `contains` may compare something else. For a generic type, or for roles in several fields, implement the trait.
#[doc(hidden)]
#[macro_export]
macro_rules! __has_role {
    ($claims:ident . $($field:tt).+) => {
        impl $crate::policy::HasRole for $claims {
            fn has_role(&self, role: &str) -> bool {
                $crate::policy::Roles::contains(&self.$($field).+, role)
            }
        }
    };
}

// `macro_export` also puts the macro at the crate root, hidden, so that its one path is in `policy`.
pub use __has_role as has_role;

/// The roles of a token, for a field of a claims type.
///
/// It deserializes from:
///
/// - an array of strings
/// - a string, which is one role
/// - an object with a member `roles` that is an array of strings, as in Keycloak
/// - `null` and `{}`, which are no roles. With `#[serde(default)]` a missing claim is no roles either.
///
/// It serializes as an array.
///
/// # Security
///
/// Any other form is an error, and the verifier rejects the token with
/// [`InvalidClaims`](crate::AuthErrorKind::InvalidClaims). Otherwise `role("suspended").not()` would permit what it
/// cannot read. The errors include:
///
/// - An object with members other than Keycloak's `roles` and `verify_caller`, such as `Roles` or the whole of
///   `resource_access`.
/// - A string with a comma, a semicolon or a control character, since it may be a list. In an array, only control
///   characters are an error.
///
/// Claim names are case-sensitive: a field `roles` does not read a claim `Roles`. If the claims type reads one of these
/// names, a verifier rejects a token that has it only in another case: `groups`, `permissions`, `realm_access`,
/// `resource_access`, `role`, `roles`, `scope` or `scp`. With any other name the claim counts as missing, and `not`
/// permits the request. The same happens with a type that accepts unreadable roles, such as an untagged enum with
/// another matching variant.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    /// Each role and then a [`SEPARATOR`]. One text takes a fraction of the memory of a text for each role.
    list: Box<str>,
}

/// A control character, so no role contains it.
const SEPARATOR: char = '\n';

impl Roles {
    /// Returns true if the roles include this one. Does not allocate.
    #[must_use]
    pub fn contains(&self, role: &str) -> bool {
        self.iter().any(|held| held == role)
    }

    /// Deserializes roles that are member names of an object, as in Zitadel.
    ///
    /// Use it with `#[serde(deserialize_with)]`. The value of each member is an object of strings: the organizations
    /// that have granted the role. A role granted by any of them counts. If the organization matters, use a
    /// `HashMap<String, HashMap<String, String>>` instead. `null` and `{}` are no roles.
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
    /// Returns an error for any other form, such as `{"admin": true}` or `{"roles": ["admin"]}`.
    pub fn from_member_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamesVisitor)
    }

    /// Iterates over the roles.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.list.split_terminator(SEPARATOR)
    }
}

/// Leaves out roles with a control character, which no token may contain either.
impl<S: AsRef<str>> FromIterator<S> for Roles {
    fn from_iter<I: IntoIterator<Item = S>>(roles: I) -> Self {
        let mut list = List::new();
        for role in roles {
            list.push(role.as_ref());
        }
        list.roles()
    }
}

/// Roles while they are collected.
struct List(String);

impl List {
    fn new() -> Self {
        // Room for the roles of most tokens, so that it does not grow step by step.
        Self(String::with_capacity(128))
    }

    /// Adds a role, or returns false if it contains a control character: text with a line break or a tab may be a list.
    fn push(&mut self, role: &str) -> bool {
        let is_role = !role.contains(char::is_control);
        if is_role {
            self.0.push_str(role);
            self.0.push(SEPARATOR);
        }
        is_role
    }

    /// Returns the roles if all of them could be added.
    fn checked<E: Error>(self, are_roles: bool) -> Result<Roles, E> {
        match are_roles {
            true => Ok(self.roles()),
            false => Err(E::custom("a role must not contain a control character")),
        }
    }

    fn roles(self) -> Roles {
        Roles { list: self.0.into() }
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
        f.write_str("roles: an array of strings, a string, or an object with a member `roles`")
    }

    fn visit_unit<E: Error>(self) -> Result<Roles, E> {
        Ok(Roles::default())
    }

    fn visit_str<E: Error>(self, role: &str) -> Result<Roles, E> {
        if role.contains([',', ';']) {
            return Err(E::custom("a role in a string must not contain a comma or a semicolon"));
        }
        let mut list = List::new();
        let is_role = list.push(role);
        list.checked(is_role)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Roles, A::Error> {
        let mut list = List::new();
        let mut are_roles = true;
        while let Some(is_role) = seq.next_element_seed(TextSeed(|role: &str| list.push(role)))? {
            are_roles &= is_role;
        }
        list.checked(are_roles)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Roles, A::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Access {
            #[serde(default, deserialize_with = "array")]
            roles: Roles,
            #[serde(default, rename = "verify_caller")]
            _verify_caller: IgnoredAny,
        }

        Access::deserialize(MapAccessDeserializer::new(map)).map(|access| access.roles)
    }
}

/// Reads an array. `deserialize_seq` fails for anything else.
fn array<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Roles, D::Error> {
    deserializer.deserialize_seq(RolesVisitor)
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Roles;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("roles: an object with a member for each role, which is an object of organizations")
    }

    fn visit_unit<E: Error>(self) -> Result<Roles, E> {
        Ok(Roles::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Roles, A::Error> {
        let mut list = List::new();
        let mut are_roles = true;
        while let Some(is_role) = map.next_key_seed(TextSeed(|role: &str| list.push(role)))? {
            are_roles &= is_role;
            map.next_value::<Organizations>()?;
        }
        list.checked(are_roles)
    }
}

/// The organizations that have granted a role. They are checked and not stored.
struct Organizations;

impl<'de> Deserialize<'de> for Organizations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for Organizations {
    type Value = Self;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("an object of organizations")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut is_granted = false;
        while map.next_key_seed(TextSeed(|_: &str| true))?.is_some() {
            map.next_value_seed(TextSeed(|_: &str| true))?;
            is_granted = true;
        }
        match is_granted {
            true => Ok(self),
            false => Err(A::Error::custom("a role must be granted by at least one organization")),
        }
    }
}

impl Serialize for Roles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// Requires a role.
///
/// ```
/// let rule = tower_jwt_auth::policy::role("admin");
/// ```
///
/// The claims type must implement [`HasRole`]. This does not compile:
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
