//! What to configure for a provider.

use super::known::Known;
use crate::client::ClientArguments;
use crate::escape::for_shell;

/// The settings that accept the provider's tokens.
pub(crate) struct Settings<'a> {
    pub(crate) issuer: &'a str,
    /// `None` if the keys are found by the issuer.
    pub(crate) jwks_url: Option<&'a str>,
    pub(crate) audience: Option<&'a str>,
    pub(crate) known: Option<Known>,
    pub(crate) client: &'a ClientArguments,
}

impl Settings<'_> {
    /// Returns the lines of Rust.
    pub(crate) fn rust(&self) -> String {
        let (client, with) = match self.client() {
            Some(client) => (format!(", {client}"), "_with"),
            None => (String::new(), ""),
        };
        let (keys, issuer) = match self.jwks_url {
            Some(url) => (format!("jwks{with}({url:?}{client})?"), format!(".issuer({:?})", self.issuer)),
            None => (format!("discover{with}({:?}{client})?", self.issuer), String::new()),
        };
        let required = self.known.map_or(&[][..], Known::required_claims).iter();
        let required: String =
            required.map(|(name, value)| format!(".require_claim({name:?}, {value:?})")).collect();
        let audience = match self.audience() {
            Some(audience) => format!(".audience({audience:?})"),
            None => String::new(),
        };
        format!(
            "let keys = RemoteKeys::{keys};\n\
             let verifier = JwtVerifier::<User>::new(keys.clone()){issuer}{audience}{required};\n\
             let layer = JwtAuthLayer::new(verifier);"
        )
    }

    /// Returns the environment variables, quoted for a shell.
    pub(crate) fn environment(&self) -> String {
        let mut variables = vec![("AUTH_ISSUER", self.issuer)];
        variables.extend(self.jwks_url.map(|url| ("AUTH_JWKS_URL", url)));
        variables.extend(self.audience().map(|audience| ("AUTH_AUDIENCE", audience)));
        let ca_file = self.client.ca_file.as_ref().map(|path| path.display().to_string());
        variables.extend(ca_file.as_deref().map(|path| ("AUTH_CA_FILE", path)));
        variables.extend(self.client.proxy.as_deref().map(|proxy| ("AUTH_PROXY", without_password(proxy))));
        let lines = variables.iter().map(|(name, value)| format!("{name}={}", for_shell(value)));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn audience(&self) -> Option<&str> {
        match self.known {
            Some(known) if known.has_no_audience() => self.audience,
            _ => Some(self.audience.unwrap_or("https://api.example.com")),
        }
    }

    fn client(&self) -> Option<String> {
        let ClientArguments { ca_file, proxy, insecure_plain_http } = self.client;
        let mut client = String::new();
        if let Some(path) = ca_file {
            client += &format!(".add_root_certificates(std::fs::read({path:?})?)?");
        }
        if let Some(proxy) = proxy {
            client += &format!(".proxy({:?})?", without_password(proxy));
        }
        if *insecure_plain_http {
            client += ".insecure_allow_plain_http()";
        }
        (!client.is_empty()).then(|| format!("HttpsClient::new(){client}"))
    }
}

/// Leaves a proxy out that has a password.
fn without_password(proxy: &str) -> &str {
    if proxy.contains('@') { "http://USER:PASSWORD@PROXY" } else { proxy }
}
