//! The URL of a request, compared with the `htu` of a proof (RFC 9449, section 4.3, checks 8 and 9).

use crate::config_error::{ConfigError, ConfigProblem};
use crate::url::{public_url, without_secrets};

/// A public URL of the service, in its normal form. The path of a request follows it.
#[derive(Clone, Debug)]
pub(super) struct PublicUrl {
    /// The whole URL, without a slash at its end.
    base: String,
    /// The length of its scheme and authority.
    origin: usize,
}

impl PublicUrl {
    /// Reads a setting.
    pub(super) fn configured(url: &str) -> Result<Self, ConfigError> {
        let invalid = |reason| ConfigProblem::InvalidUrl { url: without_secrets(url), reason }.into();
        if public_url(url)?.query().is_some() {
            return Err(invalid("it has a query"));
        }
        Self::new(url).ok_or_else(|| invalid("its host or an escape in its path is not valid"))
    }

    /// Normalizes a URL. Returns `None` if it is not an `http` or `https` URL.
    pub(super) fn new(url: &str) -> Option<Self> {
        let (origin, path) = normalized(url)?;
        Some(Self {
            base: format!("{origin}{}", path.strip_suffix('/').unwrap_or(&path)),
            origin: origin.len(),
        })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.base
    }

    /// Returns true if `htu` is the URL of a request with this path. Ignores the query and the fragment of `htu`.
    pub(super) fn is_target(&self, htu: &str, path: &str) -> bool {
        if !path.starts_with('/') {
            return false;
        }
        let htu = without_query(htu);
        // Most clients write the URL in its normal form.
        let may_be_changed = path.contains("/.") || path.contains('%');
        if !may_be_changed && htu.strip_prefix(self.base.as_str()) == Some(path) {
            return true;
        }
        let (Some((origin, target)), Some(path)) = (normalized(htu), decoded(path)) else {
            return false;
        };
        let (own_origin, own_path) = self.base.split_at(self.origin);
        // Inside axum's `nest`, the path of the prefix itself is `/`.
        let is_path = |target: &str| {
            target.strip_prefix(own_path) == Some(&*path) || (path == "/" && target == own_path)
        };
        // Clients remove dot segments and routers do not, so that such a path would reach another handler.
        origin == own_origin && is_path(&target) && without_dots(&path) == path
    }
}

fn without_query(url: &str) -> &str {
    url.find(['?', '#']).map_or(url, |end| &url[..end])
}

/// Normalizes a URL (RFC 3986, sections 6.2.2 and 6.2.3), without its query and fragment.
///
/// Returns scheme and authority, and the path.
fn normalized(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = without_query(url).split_once("://")?;
    let default_port = [("https", "443"), ("http", "80")];
    let (scheme, port) = default_port.into_iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = without_port(authority, port)?;
    Some((format!("{scheme}://{}", host.to_ascii_lowercase()), without_dots(&decoded(path)?)))
}

/// Removes an empty port and the default port. Returns `None` for an invalid authority.
fn without_port<'a>(authority: &'a str, default: &str) -> Option<&'a str> {
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
    let is_address = |byte: u8| byte.is_ascii_hexdigit() || b":.".contains(&byte);
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']').filter(|end| rest[..*end].bytes().all(is_address))?;
            authority.split_at(end + 2)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_valid = !host.is_empty() && (host.starts_with('[') || host.bytes().all(is_host));
    let number = match port.strip_prefix(':') {
        Some(number) => number,
        None if port.is_empty() => "",
        None => return None,
    };
    match is_valid && number.bytes().all(|byte| byte.is_ascii_digit()) {
        true if number.is_empty() || number == default => Some(host),
        true => Some(authority),
        false => None,
    }
}

/// Decodes escapes of unreserved characters, and writes the others in upper case. Returns `None` for a broken escape.
fn decoded(path: &str) -> Option<String> {
    let mut decoded = String::with_capacity(path.len());
    let mut parts = path.split('%');
    decoded.push_str(parts.next()?);
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        let byte = digits
            .bytes()
            .all(|digit| digit.is_ascii_hexdigit())
            .then(|| u8::from_str_radix(digits, 16).ok())??;
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => decoded.push(byte.into()),
            _ => decoded.push_str(&format!("%{byte:02X}")),
        }
        decoded.push_str(rest);
    }
    Some(decoded)
}

/// Removes the segments `.` and `..` (RFC 3986, section 5.2.4). An empty path becomes `/`.
fn without_dots(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(segment) = parts.next() {
        let is_last = parts.peek().is_none();
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            other => {
                segments.push(other);
                continue;
            }
        }
        // A dot segment at the end leaves a slash.
        if is_last {
            segments.push("");
        }
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is_target(base: &str, path: &str, htu: &str) -> bool {
        PublicUrl::configured(base).unwrap().is_target(htu, path)
    }

    #[test]
    fn compares_normalized_urls() {
        let api = "https://api.example.com";
        for (base, path, htu) in [
            (api, "/orders", "https://api.example.com/orders"),
            (api, "/orders", "https://api.example.com/orders?page=2#top"),
            (api, "/orders", "HTTPS://API.example.com:443/orders"),
            (api, "/orders", "https://api.example.com:/orders"),
            (api, "/", "https://api.example.com"),
            (api, "/", "https://api.example.com?a=/b"),
            (api, "/a/%7euser/b%2fc", "https://api.example.com/a/~user/b%2Fc"),
            (api, "/%c3%bcber", "https://api.example.com/%C3%BCber"),
            (api, "/a/b", "https://api.example.com/a/./x/../b"),
            (api, "/a/%2e%2eb", "https://api.example.com/a/..b"),
            (api, "/a/", "https://api.example.com/a/b/.."),
            (api, "/a/", "https://api.example.com/a/."),
            (api, "/b", "https://api.example.com/../%2e%2e/b"),
            (api, "//a", "https://api.example.com//a"),
            ("https://api.example.com/", "/orders", "https://api.example.com/orders"),
            ("https://api.example.com/v1/", "/orders", "https://api.example.com/v1/orders"),
            ("https://api.example.com/v1", "/", "https://api.example.com/v1/"),
            ("https://api.example.com/v1", "/", "https://api.example.com/v1"),
            ("https://api.example.com:8443", "/", "https://api.example.com:8443/"),
            ("http://127.0.0.1:3000", "/", "http://127.0.0.1:3000/"),
            ("http://[::1]:80", "/", "http://[::1]/"),
        ] {
            assert!(is_target(base, path, htu), "{base} {path} {htu}");
        }
    }

    #[test]
    fn rejects_other_urls() {
        let api = "https://api.example.com";
        for (base, path, htu) in [
            (api, "/orders", "https://api.example.com/orders/"),
            (api, "/orders", "https://api.example.com/Orders"),
            (api, "/orders", "http://api.example.com/orders"),
            (api, "/orders", "https://api.example.com:80/orders"),
            (api, "/orders", "https://api.example.com:8443/orders"),
            (api, "/orders", "https://api.example.com.evil.example/orders"),
            (api, "/orders", "https://user@api.example.com/orders"),
            (api, "/orders", "https://api.example.com@evil.example/orders"),
            (api, "/orders", "https://evil.example/?https://api.example.com/orders"),
            (api, "/orders", "https://api.example.com\\orders"),
            (api, "/orders", "https:/api.example.com/orders"),
            (api, "/orders", "https:////api.example.com/orders"),
            (api, "/orders", "//api.example.com/orders"),
            (api, "/orders", "/orders"),
            (api, "/orders", " https://api.example.com/orders"),
            (api, "/orders", "https://api.example.com/orders "),
            (api, "/orders", "https://api.example.com./orders"),
            (api, "/orders", "https://[api.example.com]/orders"),
            (api, "/orders", ""),
            (api, "/a%2fb", "https://api.example.com/a/b"),
            (api, "/a%zz", "https://api.example.com/a%ZZ"),
            (api, "/a%+1", "https://api.example.com/a%+1x"),
            (api, "*", "https://api.example.com*"),
            (api, "*", "https://api.example.com/"),
            (api, "", "https://api.example.com/"),
            ("https://api.example.com/v1", "/orders", "https://api.example.com/orders"),
            ("https://api.example.com/v1", "/orders", "https://api.example.com/v1orders"),
            ("https://api.example.com/v1", "/../v2/orders", "https://api.example.com/v2/orders"),
            (api, "/public/%2e%2e/admin", "https://api.example.com/admin"),
            (api, "/public/../admin", "https://api.example.com/public/../admin"),
            (api, "/public/%2e%2e/admin", "https://api.example.com/public/%2e%2e/admin"),
            (api, "/a/./b", "https://api.example.com/a/b"),
            (api, "/a/..", "https://api.example.com/"),
            ("http://[::1]:80", "/", "http://[::1]x/"),
            ("http://[::1]:80", "/", "http://[::1/"),
        ] {
            assert!(!is_target(base, path, htu), "{base} {path} {htu}");
        }
    }

    #[test]
    fn rejects_unusable_public_urls() {
        for url in [
            "",
            "api.example.com",
            "/orders",
            "http://api.example.com",
            "ftp://api.example.com",
            "https://user@api.example.com",
            "https://api.example.com/?a",
            "https://api.example.com/#a",
            "https://api.example.com/%zz",
            "https://",
        ] {
            assert!(PublicUrl::configured(url).is_err(), "{url}");
        }
    }
}
