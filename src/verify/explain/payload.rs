//! The members of a header or payload, as the token spells them.

use serde::de::IgnoredAny;

use crate::verify::json::{self, Text};

/// The members of a JSON object, duplicates included.
#[derive(Debug, Default)]
pub(crate) struct Members<'t>(Vec<(String, &'t str)>);

impl<'t> Members<'t> {
    /// Reads the members of an object that is safe to parse. Returns `None` for any other text.
    pub(crate) fn read(text: &'t str) -> Option<Self> {
        json::object_text(text.as_bytes())?;
        serde_json::from_str::<IgnoredAny>(text).ok()?;
        let parts = json::parts(text)?;
        // A name with a lone surrogate is no name that a verifier reads.
        let member = |pair: &[&'t str]| {
            let name = serde_json::from_str::<Text<'_>>(pair[0]).ok()?;
            Some((name.to_string(), pair[1]))
        };
        Some(Self(parts.chunks_exact(2).filter_map(member).collect()))
    }

    /// Returns the JSON text of a value.
    pub(crate) fn raw(&self, name: &str) -> Option<&'t str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, raw)| *raw)
    }

    /// Returns a value that is a string.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    /// Returns the strings of a value that is a string or an array of strings.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let list = |raw: &str| serde_json::from_str::<Vec<String>>(raw).ok();
        match self.text(name) {
            Some(text) => vec![text],
            None => self.raw(name).and_then(list).unwrap_or_default(),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.0.iter().filter(|(own, _)| own == name).count()
    }

    /// Returns an object with only the members of this name, so that one claim can be checked by itself.
    pub(crate) fn only(&self, name: &str) -> String {
        let quoted = serde_json::Value::from(name);
        let named = self.0.iter().filter(|(own, _)| own == name);
        let members: Vec<_> = named.map(|(_, raw)| format!("{quoted}:{raw}")).collect();
        format!("{{{}}}", members.join(","))
    }
}

/// The purpose of a token, as far as its claims tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An access token, or unknown.
    Access,
    /// An ID token (OpenID Connect Core, section 2), which is for the client.
    Id,
    /// A refresh token, which is for the provider.
    Refresh,
    /// An access token for Microsoft Graph, which only Graph can verify.
    Graph,
}

/// The audiences of Microsoft Graph.
const GRAPH: [&str; 3] =
    ["00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com", "https://graph.microsoft.com/"];

impl Purpose {
    pub(crate) fn of(header: &Members<'_>, payload: &Members<'_>) -> Self {
        // Keycloak writes `typ`, Cognito `token_use`.
        let typ = payload.text("typ");
        let usage = payload.text("token_use");
        let is = |found: &Option<String>, names: &[&str]| {
            found.as_deref().is_some_and(|found| names.iter().any(|name| found.eq_ignore_ascii_case(name)))
        };
        if is(&typ, &["refresh", "offline"]) || is(&usage, &["refresh"]) {
            return Self::Refresh;
        }
        let audience = payload.texts("aud");
        if header.has("nonce") || audience.iter().any(|name| GRAPH.contains(&name.as_str())) {
            return Self::Graph;
        }
        let is_access =
            is(&typ, &["bearer"]) || is(&usage, &["access"]) || payload.has("scope") || payload.has("scp");
        if is(&typ, &["id"]) || is(&usage, &["id"]) {
            return Self::Id;
        }
        // The client is the audience of an ID token.
        let client = payload.text("azp").or_else(|| payload.text("client_id"));
        let is_for_client = matches!(&audience[..], [only] if client.as_ref() == Some(only));
        let has_id_claims = ["nonce", "at_hash", "c_hash"].iter().any(|name| payload.has(name));
        if !is_access && (is_for_client || has_id_claims) { Self::Id } else { Self::Access }
    }
}
