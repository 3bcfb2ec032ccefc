//! The payload of a token: the claims of the issuer, then those of the application.

use std::collections::HashSet;
use std::fmt::{self, Formatter};

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::issue_error::{IssueError, IssueErrorKind};
use crate::binding::{Binding, Thumbprint};
use crate::registered::Audience;
use crate::verify::json::{self, Text};
use crate::verify::private_names::has_private_name;

/// The claims that the issuer sets.
#[derive(Serialize)]
pub(crate) struct OwnClaims<'a> {
    pub(crate) iss: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) aud: Option<&'a Audience>,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    pub(crate) jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cnf: Option<Confirmation>,
}

/// The claim `cnf` (RFC 7800, section 3.1).
#[derive(Serialize)]
pub(crate) struct Confirmation {
    #[serde(skip_serializing_if = "Option::is_none")]
    jkt: Option<String>,
    #[serde(rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
}

impl From<Binding> for Confirmation {
    fn from(binding: Binding) -> Self {
        let text = |thumbprint: Thumbprint| thumbprint.to_string();
        Self { jkt: binding.key().map(text), certificate: binding.certificate().map(text) }
    }
}

const RESERVED: [&str; 5] = ["iss", "aud", "iat", "exp", "jti"];

impl OwnClaims<'_> {
    /// Serializes both as one JSON object without duplicate names.
    pub(crate) fn with<C: Serialize + ?Sized>(&self, claims: &C) -> Result<Vec<u8>, IssueError> {
        let mut payload = serde_json::to_vec(self).map_err(IssueError::serialization)?;
        payload.pop();
        let start = payload.len();
        serde_json::to_writer(&mut payload, claims).map_err(IssueError::serialization)?;
        let Names(names) =
            json::object(&payload[start..]).ok_or_else(|| IssueError::new(IssueErrorKind::NotAnObject))?;
        let reserved = RESERVED.into_iter().chain(self.cnf.as_ref().map(|_| "cnf"));
        let mut seen = HashSet::with_capacity(names.len());
        for name in &names {
            if let Some(name) = reserved.clone().find(|reserved| *reserved == &**name) {
                return Err(IssueError::claim(IssueErrorKind::ReservedClaim, name));
            }
            if !seen.insert(&**name) {
                return Err(IssueError::claim(IssueErrorKind::DuplicateClaim, name.to_string()));
            }
        }
        if json::object_text(&payload[start..]).is_some_and(has_private_name) {
            return Err(IssueError::new(IssueErrorKind::ReservedName));
        }
        if names.is_empty() {
            payload.truncate(start);
            payload.push(b'}');
        } else {
            // Custom `Serialize` implementations with raw JSON may begin with white space.
            let brace = payload[start..].iter().position(|byte| *byte == b'{').unwrap_or_default();
            payload[start + brace] = b',';
        }
        Ok(payload)
    }
}

/// The names of an object's members.
struct Names<'a>(Vec<Text<'a>>);

impl<'de> Deserialize<'de> for Names<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Names<'de>;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Names<'de>, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = members.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Such a binding comes from another token.
    #[test]
    fn writes_both_members_of_cnf() {
        let [key, certificate] = [1, 2].map(|byte| Thumbprint::new([byte; 32]));
        let binding = Binding::of(Some(key), Some(certificate)).unwrap();
        let expected = format!(r#"{{"jkt":"{key}","x5t#S256":"{certificate}"}}"#);
        assert_eq!(serde_json::to_string(&Confirmation::from(binding)).unwrap(), expected);
    }
}
