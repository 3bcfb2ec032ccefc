//! How two issuers differ.

use http::Uri;

/// Takes the well-known part off, if somebody copied the URL of the discovery document. `None` if there is none.
pub(crate) fn of_document_url(text: &str) -> Option<String> {
    let (before, after) = text.split_once("/.well-known/")?;
    // RFC 8414 puts the path of the issuer after the well-known part.
    let path = after.split_once('/').map(|(_, path)| format!("/{path}"));
    Some(format!("{before}{}", path.unwrap_or_default()))
}

/// Names the first difference that matters.
pub(crate) fn difference(given: &str, stated: &str) -> &'static str {
    if given.trim_end_matches('/') == stated.trim_end_matches('/') {
        return if stated.ends_with('/') {
            "it has a slash at the end, and yours has none"
        } else {
            "it has no slash at the end, and yours has one"
        };
    }
    if stated.contains('{') {
        return "it is a pattern for the issuers of many tenants";
    }
    let (Ok(given), Ok(stated)) = (given.parse::<Uri>(), stated.parse::<Uri>()) else {
        return "it is not a URL";
    };
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    if host(&given) != host(&stated) {
        "it has another host: you may have used an internal address, or another environment"
    } else if given.scheme() != stated.scheme() {
        "it has another scheme"
    } else if given.port_u16() != stated.port_u16() {
        "it has another port"
    } else if given.path().trim_end_matches('/').eq_ignore_ascii_case(stated.path().trim_end_matches('/')) {
        "it differs in upper and lower case or in a slash at the end"
    } else if given.path() != stated.path() {
        "it has another path"
    } else {
        "it is spelled differently"
    }
}

/// Returns true if discovery would find the same document for both issuers.
pub(crate) fn same_place(given: &str, stated: &str) -> bool {
    given.trim_end_matches('/') == stated.trim_end_matches('/')
}

/// Returns the host and port of a URL.
pub(crate) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_difference() {
        for (given, stated, expected) in [
            ("https://id.example", "https://id.example/", "a slash at the end, and yours has none"),
            ("https://id.example/", "https://id.example", "no slash at the end"),
            ("https://id.example", "http://id.example", "another scheme"),
            ("http://keycloak:8080/realms/a", "https://id.example/realms/a", "another host"),
            ("https://id.example:8443", "https://id.example", "another port"),
            ("https://id.example/realms/a", "https://id.example/realms/b", "another path"),
            ("https://id.example/realms/a", "https://id.example/realms/A", "upper and lower case"),
            ("https://id.example", "https://ID.example", "upper and lower case"),
            ("https://id.example", "https://id.example/{tenantid}/v2.0", "a pattern"),
            ("https://id.example", "acme", "another host"),
            ("https://id.example", "a b", "not a URL"),
        ] {
            let found = difference(given, stated);
            assert!(found.contains(expected), "{given} {stated}: {found}");
        }
    }

    #[test]
    fn finds_issuer_in_document_url() {
        for (url, expected) in [
            ("https://id.example/.well-known/openid-configuration", Some("https://id.example")),
            (
                "https://id.example/realms/a/.well-known/openid-configuration",
                Some("https://id.example/realms/a"),
            ),
            ("https://id.example/.well-known/oauth-authorization-server/a/b", Some("https://id.example/a/b")),
            ("https://id.example/realms/a", None),
        ] {
            assert_eq!(of_document_url(url).as_deref(), expected, "{url}");
        }
    }
}
