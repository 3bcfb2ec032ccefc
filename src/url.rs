//! Validation of configured URLs.

use http::Uri;
use http::uri::Scheme;

use crate::config_error::{ConfigError, ConfigProblem};

/// Parses a URL with any scheme and an unambiguous host, or returns the reason to reject it.
pub(crate) fn parse(text: &str) -> Result<Uri, &'static str> {
    let uri: Uri = text.parse().map_err(|_| "it is not a URL")?;
    let authority = uri.authority().ok_or("it names no host")?;
    // Text before an `@` is easily mistaken for the host. The type `Uri` drops a fragment, so the text is searched.
    if authority.as_str().contains('@') || text.contains('#') {
        return Err("it has a user name or a fragment");
    }
    if authority.as_str().len() > authority.host().len() && authority.port_u16().is_none() {
        return Err("its port is not a number");
    }
    Ok(uri)
}

/// Parses a URL that is sent to clients. It needs TLS, except for this machine.
pub(crate) fn public_url(text: &str) -> Result<Uri, ConfigError> {
    let invalid =
        |reason| -> ConfigError { ConfigProblem::InvalidUrl { url: without_secrets(text), reason }.into() };
    let uri = parse(text).map_err(invalid)?;
    let is_url_character = |byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
    if !text.bytes().all(is_url_character) {
        return Err(invalid("it has a character that is not valid in a URL"));
    }
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => Ok(uri),
        Some(scheme) if *scheme == Scheme::HTTP && uri.host().is_some_and(is_loopback) => Ok(uri),
        _ => Err(invalid("it needs to begin with `https://`")),
    }
}

/// Shortens a URL for an error text.
///
/// Removes everything before the last `@`, since it may be a password with any characters. Also removes the query and
/// the fragment, which may contain a secret.
pub(crate) fn without_secrets(text: &str) -> String {
    let Some((user, rest)) = text.rfind('@').map(|at| text.split_at(at)) else {
        return without_query(text);
    };
    let scheme = ["https://", "http://"].into_iter().find(|scheme| user.starts_with(scheme));
    // The `?` may belong to the password, or begin a query that contains the `@`.
    let rest = if user.contains('?') { String::new() } else { without_query(rest) };
    format!("{}..{rest}", scheme.unwrap_or_default())
}

/// Removes the query and the fragment, for logs and errors.
pub(crate) fn without_query(text: &str) -> String {
    match text.find(['?', '#']) {
        Some(end) => format!("{}..", &text[..=end]),
        None => text.to_owned(),
    }
}

pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn removes_users_and_queries() {
        for (text, expected) in [
            ("https://id.example.com/a", "https://id.example.com/a"),
            ("https://id.example.com/a@b", "https://..@b"),
            ("https://user:pass/word@id.example.com", "https://..@id.example.com"),
            ("https://user:pass?word#@id.example.com", "https://.."),
            ("user:password://@id.example.com", "..@id.example.com"),
            ("https://user:password@id.example.com/a", "https://..@id.example.com/a"),
            ("https://user:pass@word@id.example.com", "https://..@id.example.com"),
            ("https://user:password@id.example.com?a@b", "https://.."),
            ("user:password@id.example.com", "..@id.example.com"),
            ("://@", "..@"),
            ("https://id.example.com/jwks?key=secret", "https://id.example.com/jwks?.."),
            ("https://user:password@id.example.com/jwks?key=secret", "https://..@id.example.com/jwks?.."),
            ("?key=secret", "?.."),
            ("https://id.example.com/jwks#key=secret", "https://id.example.com/jwks#.."),
            ("", ""),
        ] {
            assert_eq!(without_secrets(text), expected, "{text}");
        }
    }
}
