//! What the claims of a token must say (RFC 7519, section 4.1).

use std::fmt::{self, Formatter};
use std::time::Duration;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::json::Text;
use crate::kind::AuthErrorKind;
use crate::registered::NumericDate;

/// What a verifier demands of the claims.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) issuers: Vec<String>,
    pub(crate) audiences: Vec<String>,
    /// Other claims, each with the values that will do.
    pub(crate) claims: Vec<(String, Vec<String>)>,
    pub(crate) leeway: Duration,
    pub(crate) any_audience: bool,
    pub(crate) sender_constrained: bool,
}

/// The claims that were looked at and found good.
#[derive(Debug)]
pub(crate) struct Accepted<'a> {
    pub(crate) expiry: NumericDate,
    pub(crate) issuer: Option<Text<'a>>,
}

impl Expected {
    /// Judges the claims at `now`, the time since 1970.
    pub(crate) fn judge<'a>(&self, payload: &'a str, now: Duration) -> Result<Accepted<'a>, AuthErrorKind> {
        let registered = self.registered(payload)?;
        if !self.issuers.is_empty()
            && !registered
                .issuer
                .as_ref()
                .is_some_and(|issuer| self.issuers.iter().any(|name| *name == **issuer))
        {
            return Err(AuthErrorKind::WrongIssuer);
        }
        self.judge_audience(registered.audience)?;
        if !self.claims.is_empty() && !self.required(payload)? {
            return Err(AuthErrorKind::RequiredClaim);
        }
        if registered.sender_constrained && !self.sender_constrained {
            return Err(AuthErrorKind::SenderConstrained);
        }
        let expiry = registered.expiry.ok_or(AuthErrorKind::MissingExpiry)?;
        if registered.not_before.is_some_and(|begin| now.saturating_add(self.leeway) < begin.since_epoch()) {
            return Err(AuthErrorKind::NotYetValid);
        }
        if now >= expiry.since_epoch().saturating_add(self.leeway) {
            return Err(AuthErrorKind::Expired);
        }
        Ok(Accepted { expiry, issuer: registered.issuer })
    }

    fn judge_audience(&self, audience: AudienceClaim) -> Result<(), AuthErrorKind> {
        let good = match audience {
            _ if self.any_audience => true,
            AudienceClaim::Missing => self.audiences.is_empty(),
            // A token that is for somebody is for nobody else: RFC 7519, section 4.1.3.
            AudienceClaim::Stranger => false,
            AudienceClaim::Expected => true,
        };
        if good { Ok(()) } else { Err(AuthErrorKind::WrongAudience) }
    }

    fn registered<'a>(&self, payload: &'a str) -> Result<Registered<'a>, AuthErrorKind> {
        let mut json = serde_json::Deserializer::from_str(payload);
        json.deserialize_map(RegisteredVisitor { audiences: &self.audiences })
            .and_then(|registered| json.end().map(|()| registered))
            .map_err(|_| AuthErrorKind::InvalidClaims)
    }

    /// Whether every required claim is there, as one of the strings that will do.
    fn required(&self, payload: &str) -> Result<bool, AuthErrorKind> {
        let mut json = serde_json::Deserializer::from_str(payload);
        let found = json
            .deserialize_map(RequiredVisitor { claims: &self.claims })
            .map_err(|_| AuthErrorKind::InvalidClaims)?;
        Ok(found.into_iter().all(|found| found))
    }
}

/// The registered claims as the token has them, with `aud` already compared.
#[derive(Default)]
struct Registered<'a> {
    issuer: Option<Text<'a>>,
    audience: AudienceClaim,
    expiry: Option<NumericDate>,
    not_before: Option<NumericDate>,
    sender_constrained: bool,
}

#[derive(Clone, Copy, Default)]
enum AudienceClaim {
    #[default]
    Missing,
    Stranger,
    Expected,
}

struct RegisteredVisitor<'e> {
    audiences: &'e [String],
}

impl<'de> Visitor<'de> for RegisteredVisitor<'_> {
    type Value = Registered<'de>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut claims: A) -> Result<Registered<'de>, A::Error> {
        let mut registered = Registered::default();
        let mut seen = [false; NAMES.len()];
        while let Some(name) = claims.next_key::<Text<'_>>()? {
            let Some(position) = NAMES.iter().position(|known| *known == &*name) else {
                claims.next_value::<IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(&mut seen[position], true) {
                return Err(de::Error::custom("a claim stands there twice"));
            }
            match NAMES[position] {
                "iss" => registered.issuer = Some(claims.next_value()?),
                "aud" => registered.audience = claims.next_value_seed(AudienceSeed(self.audiences))?,
                "exp" => registered.expiry = Some(claims.next_value()?),
                "nbf" => registered.not_before = Some(claims.next_value()?),
                "cnf" => {
                    claims.next_value::<IgnoredAny>()?;
                    registered.sender_constrained = true;
                }
                _ => {
                    claims.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(registered)
    }
}

/// The claims that must not stand there twice, whether they are judged or not.
const NAMES: [&str; 8] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf"];

/// Reads `aud` and compares it on the way, so that nothing has to be kept.
struct AudienceSeed<'e>(&'e [String]);

impl AudienceSeed<'_> {
    fn compare(&self, name: &str) -> AudienceClaim {
        if self.0.iter().any(|expected| expected == name) {
            AudienceClaim::Expected
        } else {
            AudienceClaim::Stranger
        }
    }
}

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
        Ok(self.compare(name))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<AudienceClaim, A::Error> {
        let mut found = AudienceClaim::Stranger;
        while let Some(name) = names.next_element::<Text<'_>>()? {
            if let AudienceClaim::Expected = self.compare(&name) {
                found = AudienceClaim::Expected;
            }
        }
        Ok(found)
    }
}

/// Looks for the claims that the application requires; one entry of the answer for each.
struct RequiredVisitor<'e> {
    claims: &'e [(String, Vec<String>)],
}

impl<'de> Visitor<'de> for RequiredVisitor<'_> {
    type Value = Vec<bool>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut claims: A) -> Result<Vec<bool>, A::Error> {
        let mut found = vec![false; self.claims.len()];
        let mut seen = vec![false; self.claims.len()];
        while let Some(name) = claims.next_key::<Text<'_>>()? {
            let value = claims.next_value::<&RawValue>()?;
            let text = serde_json::from_str::<Text<'_>>(value.get()).ok();
            for (position, (required, accepted)) in self.claims.iter().enumerate() {
                if *required == *name {
                    if std::mem::replace(&mut seen[position], true) {
                        return Err(de::Error::custom("a claim stands there twice"));
                    }
                    found[position] =
                        text.as_ref().is_some_and(|text| accepted.iter().any(|one| *one == **text));
                }
            }
        }
        Ok(found)
    }
}
