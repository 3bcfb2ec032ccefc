//! What to configure for a provider.

use serde_json::{Map, Value};

use super::known::Known;
use crate::client::ClientArguments;
use crate::escape::for_shell;

/// The settings that accept the provider's tokens.
pub(crate) struct Settings<'a> {
    pub(crate) issuer: &'a str,
    /// `None` if the document is found by the issuer.
    pub(crate) discovery_url: Option<&'a str>,
    /// `None` if the keys are found by the document.
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
        let keys = match (self.jwks_url, self.discovery_url) {
            (Some(url), _) => format!("jwks{with}({url:?}{client})?"),
            (None, Some(url)) => format!("discover_at{with}({:?}, {url:?}{client})?", self.issuer),
            (None, None) => format!("discover{with}({:?}{client})?", self.issuer),
        };
        let mut calls = Vec::new();
        calls.extend(self.jwks_url.map(|_| format!(".issuer({:?})", self.issuer)));
        calls.extend(self.audience().map(|audience| format!(".audience({audience:?})")));
        let required = self.required_claims().iter();
        calls.extend(required.map(|(name, value)| format!(".require_claim({name:?}, {value:?})")));
        let separator = if calls.len() > 1 { "\n    " } else { "" };
        let calls: String = calls.iter().map(|call| format!("{separator}{call}")).collect();
        format!(
            "let keys = RemoteKeys::{keys};\n\
             let verifier = JwtVerifier::<User>::new(keys.clone()){calls};\n\
             let layer = JwtAuthLayer::new(verifier);"
        )
    }

    /// Returns the environment variables, quoted for a shell.
    pub(crate) fn environment(&self) -> String {
        let mut variables = vec![("AUTH_ISSUER", self.issuer.to_owned())];
        let mut add = |name, value: Option<String>| variables.extend(value.map(|value| (name, value)));
        add("AUTH_DISCOVERY_URL", self.discovery_url.filter(|_| self.jwks_url.is_none()).map(str::to_owned));
        add("AUTH_JWKS_URL", self.jwks_url.map(str::to_owned));
        match self.audience() {
            Some(audience) => add("AUTH_AUDIENCE", Some(audience.to_owned())),
            None => add("AUTH_INSECURE_ANY_AUDIENCE", Some("true".to_owned())),
        }
        let required: Map<_, _> = self
            .required_claims()
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        add("AUTH_REQUIRED_CLAIMS", (!required.is_empty()).then(|| Value::from(required).to_string()));
        let ClientArguments { ca_file, proxy, insecure_plain_http } = self.client;
        add("AUTH_HTTP_CA_FILE", ca_file.as_ref().map(|path| path.display().to_string()));
        add("AUTH_HTTP_PROXY_URL", proxy.as_deref().map(|proxy| without_password(proxy).to_owned()));
        add("AUTH_HTTP_INSECURE_ALLOW_PLAIN_HTTP", insecure_plain_http.then(|| "true".to_owned()));
        let lines = variables.iter().map(|(name, value)| format!("{name}={}", for_shell(value)));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn required_claims(&self) -> &'static [(&'static str, &'static str)] {
        self.known.map_or(&[], Known::required_claims)
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
