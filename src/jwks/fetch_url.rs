//! URLs that keys may be fetched from, and the discovery URLs of an issuer.

use std::fmt::{self, Formatter};

use http::Uri;
use http::uri::Scheme;

use crate::config_error::{ConfigError, ConfigProblem};
use crate::url;

/// A URL that may be fetched.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FetchUrl(Uri);

/// The hosts that may be fetched without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlainHttp {
    Nothing,
    /// This machine only.
    Loopback,
    Anything,
}

impl PlainHttp {
    /// Returns the rule for URLs that the application configures.
    pub(crate) fn for_settings(allowed: bool) -> Self {
        if allowed { Self::Anything } else { Self::Loopback }
    }
}

impl FetchUrl {
    pub(crate) fn parse(text: &str, plain_http: PlainHttp) -> Result<Self, ConfigError> {
        let unusable = |reason| -> ConfigError {
            ConfigProblem::InvalidAddress { address: url::without_secrets(text), reason }.into()
        };
        let uri = url::parse(text).map_err(unusable)?;
        let plain_is_fine = match plain_http {
            PlainHttp::Nothing => false,
            PlainHttp::Loopback => uri.host().is_some_and(url::is_loopback),
            PlainHttp::Anything => true,
        };
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => Ok(Self(uri)),
            Some(scheme) if *scheme == Scheme::HTTP && plain_is_fine => Ok(Self(uri)),
            _ => Err(unusable("it needs to begin with `https://`, unless the client allows plain http")),
        }
    }

    /// Returns the URL for logs and errors. Its query may hold a secret.
    pub(crate) fn without_query(&self) -> String {
        url::without_query(&self.0.to_string())
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    /// Returns true if both URLs have the same scheme, host and port.
    pub(crate) fn has_origin_of(&self, other: &Self) -> bool {
        let host = |url: &Self| url.0.host().map(str::to_ascii_lowercase);
        let port = |url: &Self| {
            url.0.port_u16().or(match url.0.scheme_str() {
                Some("http") => Some(80),
                _ => Some(443),
            })
        };
        self.0.scheme() == other.0.scheme() && host(self) == host(other) && port(self) == port(other)
    }

    /// Returns the rule for URLs found in this document. Loopback is allowed only if this URL itself is plain HTTP.
    pub(crate) fn plain_http_for_linked(&self, allowed: bool) -> PlainHttp {
        match self.0.scheme() {
            _ if allowed => PlainHttp::Anything,
            Some(scheme) if *scheme == Scheme::HTTP => PlainHttp::Loopback,
            _ => PlainHttp::Nothing,
        }
    }
}

impl fmt::Debug for FetchUrl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.without_query().fmt(f)
    }
}

/// Returns the possible discovery URLs of an issuer, most common first.
///
/// OpenID Connect Discovery 1.0, section 4 appends the well-known part to the path. RFC 8414, section 3 inserts it
/// before the path. Some providers do it the other way around, so both documents are looked for in both places.
pub(crate) fn metadata_addresses(issuer: &str, plain_http: PlainHttp) -> Result<Vec<FetchUrl>, ConfigError> {
    const OPENID: &str = "/.well-known/openid-configuration";
    const OAUTH: &str = "/.well-known/oauth-authorization-server";

    let address = FetchUrl::parse(issuer, plain_http)?;
    if issuer.contains('?') {
        let reason = "an issuer has no query";
        return Err(ConfigProblem::InvalidAddress { address: url::without_secrets(issuer), reason }.into());
    }
    let path = address.uri().path().trim_end_matches('/');
    let host = &issuer[..issuer.trim_end_matches('/').len() - path.len()];
    let mut addresses = Vec::new();
    for text in [
        format!("{host}{path}{OPENID}"),
        format!("{host}{OAUTH}{path}"),
        format!("{host}{path}{OAUTH}"),
        format!("{host}{OPENID}{path}"),
    ] {
        let address = FetchUrl::parse(&text, plain_http)?;
        // Without a path, appending and inserting give the same URL.
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_https_and_loopback() {
        let needs_tls = "it needs to begin with `https://`, unless the client allows plain http";
        let odd = "it has a user name or a fragment";
        for (text, plain_http, expected) in [
            ("https://id.example.com", PlainHttp::Nothing, Ok(())),
            ("HTTPS://id.example.com:8443/a?b=c", PlainHttp::Nothing, Ok(())),
            ("http://id.example.com", PlainHttp::Loopback, Err(needs_tls)),
            ("http://id.example.com", PlainHttp::Anything, Ok(())),
            ("http://127.0.0.1:8080/jwks", PlainHttp::Loopback, Ok(())),
            ("http://127.9.9.9", PlainHttp::Loopback, Ok(())),
            ("http://[::1]:8080", PlainHttp::Loopback, Ok(())),
            ("http://LOCALHOST", PlainHttp::Loopback, Ok(())),
            ("http://127.0.0.1", PlainHttp::Nothing, Err(needs_tls)),
            ("http://127.0.0.1.example.com", PlainHttp::Loopback, Err(needs_tls)),
            ("http://localhost.example.com", PlainHttp::Loopback, Err(needs_tls)),
            ("http://0.0.0.0", PlainHttp::Loopback, Err(needs_tls)),
            ("http://localhost@example.com", PlainHttp::Loopback, Err(odd)),
            ("https://user:password@example.com", PlainHttp::Nothing, Err(odd)),
            ("https://example.com/jwks#keys", PlainHttp::Nothing, Err(odd)),
            ("ftp://example.com", PlainHttp::Anything, Err(needs_tls)),
            ("file:///etc/keys.json", PlainHttp::Anything, Err("it is not a URL")),
            ("/jwks.json", PlainHttp::Anything, Err("it names no host")),
            ("id.example.com", PlainHttp::Anything, Err(needs_tls)),
            ("https://example.com:abc/", PlainHttp::Nothing, Err("its port is not a number")),
            ("https://example.com:/", PlainHttp::Nothing, Err("its port is not a number")),
            ("https://", PlainHttp::Anything, Err("it is not a URL")),
            ("", PlainHttp::Anything, Err("it is not a URL")),
        ] {
            let result = FetchUrl::parse(text, plain_http).map(|_| ()).map_err(|error| error.to_string());
            let expected = expected.map_err(|reason: &str| {
                format!("cannot fetch keys from `{}`: {reason}", url::without_secrets(text))
            });
            assert_eq!(result, expected, "{text}");
        }
    }

    #[test]
    fn compares_origins() {
        for (one, other, expected) in [
            ("https://id.example.com/a", "https://id.example.com/b?c", true),
            ("https://id.example.com", "https://ID.example.com:443/", true),
            ("http://id.example.com:80", "http://id.example.com", true),
            ("https://id.example.com", "http://id.example.com", false),
            ("https://id.example.com", "http://id.example.com:443", false),
            ("https://id.example.com", "https://id.example.com:8443", false),
            ("https://id.example.com", "https://example.com", false),
            ("https://id.example.com", "https://id.example.com.", false),
        ] {
            let [one, other] = [one, other].map(|url| FetchUrl::parse(url, PlainHttp::Anything).unwrap());
            assert_eq!(one.has_origin_of(&other), expected, "{one:?} {other:?}");
            assert_eq!(other.has_origin_of(&one), expected, "{one:?} {other:?}");
        }
    }

    #[test]
    fn looks_for_metadata_in_both_places() {
        for (issuer, expected) in [
            (
                "https://id.example.com",
                &[
                    "https://id.example.com/.well-known/openid-configuration",
                    "https://id.example.com/.well-known/oauth-authorization-server",
                ][..],
            ),
            (
                "https://tenant.example.com/",
                &[
                    "https://tenant.example.com/.well-known/openid-configuration",
                    "https://tenant.example.com/.well-known/oauth-authorization-server",
                ],
            ),
            (
                "https://id.example.com:8443/realms/shop",
                &[
                    "https://id.example.com:8443/realms/shop/.well-known/openid-configuration",
                    "https://id.example.com:8443/.well-known/oauth-authorization-server/realms/shop",
                    "https://id.example.com:8443/realms/shop/.well-known/oauth-authorization-server",
                    "https://id.example.com:8443/.well-known/openid-configuration/realms/shop",
                ],
            ),
        ] {
            let addresses = metadata_addresses(issuer, PlainHttp::Nothing).unwrap();
            let texts: Vec<_> = addresses.iter().map(|address| address.uri().to_string()).collect();
            assert_eq!(texts, expected);
        }
        assert!(metadata_addresses("https://id.example.com/?tenant=1", PlainHttp::Nothing).is_err());
    }
}
