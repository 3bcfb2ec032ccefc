//! The registered claims, and the plain pass that reads only them.

use std::fmt::{self, Formatter};

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{NumericDate, Text};

/// The settings for reading registered claims.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) audiences: Vec<String>,
    /// True if the claims for revocation are read.
    pub(crate) identity: bool,
}

/// The registered claims of a token. Its `aud` has already been compared.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Registered<'a> {
    pub(crate) issuer: Option<Text<'a>>,
    pub(crate) audience: AudienceClaim,
    pub(crate) expiry: Option<NumericDate>,
    pub(crate) not_before: Option<NumericDate>,
    pub(crate) sender_constrained: bool,
    pub(crate) names: Names<'a>,
}

/// The claims by which a token can be revoked, if they are [wanted](Wanted::identity).
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Names<'a> {
    pub(crate) token: Option<Text<'a>>,
    pub(crate) session: Option<Text<'a>>,
    pub(crate) subject: Option<Text<'a>>,
    pub(crate) issued_at: Option<NumericDate>,
}

/// The result of comparing `aud`. If a token has several names, the greatest result counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AudienceClaim {
    #[default]
    Missing,
    /// An empty array.
    Nobody,
    Stranger,
    Expected,
}

impl AudienceClaim {
    pub(crate) fn of(name: &str, expected: &[String]) -> Self {
        if expected.iter().any(|one| one == name) { Self::Expected } else { Self::Stranger }
    }
}

/// The claims that must not appear twice, even if the verifier does not check them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Issuer,
    Subject,
    Audience,
    Expiry,
    NotBefore,
    IssuedAt,
    TokenId,
    Session,
    Confirmation,
}

impl Claim {
    #[inline]
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        // Matching bytes is faster than comparing with each name. This runs for every member of every payload.
        let &[first, second, third] = name.as_bytes() else {
            return None;
        };
        match (first, second, third) {
            (b'i', b's', b's') => Some(Self::Issuer),
            (b's', b'u', b'b') => Some(Self::Subject),
            (b'a', b'u', b'd') => Some(Self::Audience),
            (b'e', b'x', b'p') => Some(Self::Expiry),
            (b'n', b'b', b'f') => Some(Self::NotBefore),
            (b'i', b'a', b't') => Some(Self::IssuedAt),
            (b'j', b't', b'i') => Some(Self::TokenId),
            (b's', b'i', b'd') => Some(Self::Session),
            (b'c', b'n', b'f') => Some(Self::Confirmation),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Issuer => "iss",
            Self::Subject => "sub",
            Self::Audience => "aud",
            Self::Expiry => "exp",
            Self::NotBefore => "nbf",
            Self::IssuedAt => "iat",
            Self::TokenId => "jti",
            Self::Session => "sid",
            Self::Confirmation => "cnf",
        }
    }

    /// Returns true if the verifier checks the value.
    pub(crate) fn is_judged(self, wanted: &Wanted) -> bool {
        match self {
            // `iat` must be a number even if it is not used (RFC 7519, section 4.1.6).
            Self::Issuer | Self::Audience | Self::Expiry | Self::NotBefore | Self::IssuedAt => true,
            // Many issuers send numbers here. They are harmless if the verifier has no revocations.
            Self::Subject | Self::TokenId | Self::Session => wanted.identity,
            Self::Confirmation => false,
        }
    }
}

/// The error for registered claims that cannot be read.
#[derive(Debug, PartialEq)]
pub(crate) struct Malformed {
    /// The claim that is malformed or appears twice. `None` if the payload is not a JSON object.
    pub(crate) claim: Option<Claim>,
}

/// Reads the registered claims without the application's type.
pub(crate) fn plain<'a>(payload: &'a str, wanted: &Wanted) -> Result<Registered<'a>, Malformed> {
    let mut json = serde_json::Deserializer::from_str(payload);
    let mut claim = None;
    json.deserialize_map(RegisteredVisitor { wanted, current: &mut claim })
        .and_then(|registered| json.end().map(|()| registered))
        .map_err(|_| Malformed { claim })
}

struct RegisteredVisitor<'e> {
    wanted: &'e Wanted,
    /// The claim that is being read.
    current: &'e mut Option<Claim>,
}

impl<'de> Visitor<'de> for RegisteredVisitor<'_> {
    type Value = Registered<'de>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut claims: A) -> Result<Registered<'de>, A::Error> {
        let mut registered = Registered::default();
        let mut seen = 0_u16;
        while let Some(name) = claims.next_key::<Text<'_>>()? {
            *self.current = Claim::from_name(&name);
            let Some(claim) = *self.current else {
                claims.next_value::<IgnoredAny>()?;
                continue;
            };
            let bit = 1 << claim as u16;
            if seen & bit != 0 {
                return Err(de::Error::custom("a claim appears twice"));
            }
            seen |= bit;
            if !claim.is_judged(self.wanted) {
                claims.next_value::<IgnoredAny>()?;
                registered.sender_constrained |= claim == Claim::Confirmation;
                *self.current = None;
                continue;
            }
            match claim {
                Claim::Issuer => registered.issuer = Some(claims.next_value()?),
                Claim::Audience => {
                    registered.audience = claims.next_value_seed(AudienceSeed(&self.wanted.audiences))?
                }
                Claim::Expiry => registered.expiry = Some(claims.next_value()?),
                Claim::NotBefore => registered.not_before = Some(claims.next_value()?),
                Claim::IssuedAt => registered.names.issued_at = Some(claims.next_value()?),
                Claim::TokenId => registered.names.token = Some(claims.next_value()?),
                Claim::Session => registered.names.session = Some(claims.next_value()?),
                Claim::Subject => registered.names.subject = Some(claims.next_value()?),
                Claim::Confirmation => {}
            }
            *self.current = None;
        }
        Ok(registered)
    }
}

/// Compares `aud` while reading it, so that it is not stored.
pub(crate) struct AudienceSeed<'e>(pub(crate) &'e [String]);

impl<'de> DeserializeSeed<'de> for AudienceSeed<'_> {
    type Value = AudienceClaim;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<AudienceClaim, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AudienceSeed<'_> {
    type Value = AudienceClaim;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of strings")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<AudienceClaim, E> {
        Ok(AudienceClaim::of(name, self.0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<AudienceClaim, A::Error> {
        let mut found = AudienceClaim::Nobody;
        while let Some(name) = names.next_element::<Text<'_>>()? {
            found = found.max(AudienceClaim::of(&name, self.0));
        }
        Ok(found)
    }
}
