//! The registered claims of RFC 7519, section 4.1.

use std::fmt::{self, Formatter};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The registered claims of a JWT, such as `iss`, `sub` and `exp`.
///
/// [RFC 7519, section 4.1](https://www.rfc-editor.org/rfc/rfc7519#section-4.1) defines them. Use this type as the
/// claims of a [`JwtVerifier`](crate::JwtVerifier), or flatten it into your own type:
///
/// ```
/// use tower_jwt_auth::RegisteredClaims;
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     email: String,
///     #[serde(flatten)]
///     registered: RegisteredClaims,
/// }
///
/// let user: User = serde_json::from_str(r#"{"sub": "42", "exp": 1800000000, "email": "eze@example.com"}"#).unwrap();
/// assert_eq!(user.registered.sub.as_deref(), Some("42"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "RFC 7519 lists these seven")]
pub struct RegisteredClaims {
    /// The issuer of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// The subject of the token, for example a user ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The audience: the APIs this token is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// The time when the token expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<NumericDate>,
    /// The time when the token becomes valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<NumericDate>,
    /// The time when the token was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<NumericDate>,
    /// The unique ID of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
}

/// An `aud` claim: one string or an array of strings
/// ([RFC 7519, section 4.1.3](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3)).
///
/// ```
/// use tower_jwt_auth::Audience;
///
/// let one: Audience = serde_json::from_str(r#""orders""#).unwrap();
/// let two: Audience = serde_json::from_str(r#"["orders", "invoices"]"#).unwrap();
/// assert!(one.contains("orders") && two.contains("invoices") && !one.contains("order"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience(Vec<String>);

impl Audience {
    /// Returns true if the claim contains exactly this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|member| member == name)
    }

    /// Returns the names in the order of the token.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<S: Into<String>> FromIterator<S> for Audience {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringOrArray;

        impl<'de> Visitor<'de> for StringOrArray {
            type Value = Audience;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Audience, E> {
                Ok(Audience(vec![name.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Audience, A::Error> {
                let mut audience = Vec::new();
                while let Some(name) = names.next_element()? {
                    audience.push(name);
                }
                Ok(Audience(audience))
            }
        }

        deserializer.deserialize_any(StringOrArray)
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [name] => serializer.serialize_str(name),
            names => serializer.collect_seq(names),
        }
    }
}

/// A time in seconds since 1970, with or without a fraction
/// ([RFC 7519, section 2](https://www.rfc-editor.org/rfc/rfc7519#section-2)).
///
/// Times before 1970 become 1970. Times beyond the range of [`Duration`] become its maximum. Neither changes whether a
/// token is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumericDate(Duration);

impl NumericDate {
    pub(crate) fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub(crate) fn from_signed_secs(seconds: i64) -> Self {
        Self::from_secs(u64::try_from(seconds).unwrap_or(0))
    }

    pub(crate) fn from_fractional_secs(seconds: f64) -> Self {
        Self(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
    }

    /// Returns the time since 1970.
    #[must_use]
    pub fn since_epoch(self) -> Duration {
        self.0
    }

    /// Creates a date in whole seconds, rounded down. Times before 1970 become 1970.
    ///
    /// Many verifiers reject a fraction.
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    /// use tower_jwt_auth::token::NumericDate;
    ///
    /// let date = NumericDate::from_system_time(UNIX_EPOCH + Duration::from_millis(1500));
    /// assert_eq!(date.to_system_time(), Some(UNIX_EPOCH + Duration::from_secs(1)));
    /// ```
    #[must_use]
    pub fn from_system_time(time: SystemTime) -> Self {
        Self::from_secs(since_epoch(time).as_secs())
    }

    /// Returns the date as a [`SystemTime`], or `None` if it is out of range.
    #[must_use]
    pub fn to_system_time(self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(self.0)
    }
}

/// Returns the time since 1970, or zero for times before.
pub(crate) fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seconds;

        impl Visitor<'_> for Seconds {
            type Value = NumericDate;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds since 1970")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<NumericDate, E> {
                Ok(NumericDate::from_secs(seconds))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<NumericDate, E> {
                Ok(NumericDate::from_signed_secs(seconds))
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<NumericDate, E> {
                Ok(NumericDate::from_fractional_secs(seconds))
            }
        }

        // `deserialize_any` gets a map instead of a number with serde_json's feature `arbitrary_precision`. An integer
        // hint makes serde reject fractions in flattened structs.
        deserializer.deserialize_f64(Seconds)
    }
}

impl Serialize for NumericDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.subsec_nanos() {
            0 => serializer.serialize_u64(self.0.as_secs()),
            _ => serializer.serialize_f64(self.0.as_secs_f64()),
        }
    }
}
