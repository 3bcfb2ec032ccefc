//! Addresses out of the settings.

use http::Uri;
use http::uri::Scheme;

use crate::config_error::{ConfigError, ConfigProblem};

/// A URL whose host is plain to see, with whatever scheme; or what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Uri, &'static str> {
    let uri: Uri = text.parse().map_err(|_| "it is not a URL")?;
    let authority = uri.authority().ok_or("it names no host")?;
    // What is before an `@` is easily taken for the host. (The type `Uri` forgets what follows a `#`.)
    if authority.as_str().contains('@') || text.contains('#') {
        return Err("it has a user name or a fragment");
    }
    if authority.as_str().len() > authority.host().len() && authority.port_u16().is_none() {
        return Err("its port is not a number");
    }
    Ok(uri)
}

/// A URL that clients are told of: with TLS, unless it is this machine's own.
pub(crate) fn public_url(text: &str) -> Result<Uri, ConfigError> {
    let invalid =
        |reason| -> ConfigError { ConfigProblem::InvalidUrl { url: without_secrets(text), reason }.into() };
    let uri = parse(text).map_err(invalid)?;
    let is_url_character = |byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
    if !text.bytes().all(is_url_character) {
        return Err(invalid("it has a character that no URL has"));
    }
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => Ok(uri),
        Some(scheme) if *scheme == Scheme::HTTP && uri.host().is_some_and(is_loopback) => Ok(uri),
        _ => Err(invalid("it needs to begin with `https://`")),
    }
}

/// What an error may show of an address: nothing before its last `@`, since that may be a password, whatever is in it, and
/// no query or fragment, which may hold a key to the address.
pub(crate) fn without_secrets(text: &str) -> String {
    let Some((user, rest)) = text.rfind('@').map(|at| text.split_at(at)) else {
        return without_query(text);
    };
    let scheme = ["https://", "http://"].into_iter().find(|scheme| user.starts_with(scheme));
    // A `?` there is one of a password, or begins a query with an `@` in it.
    let rest = if user.contains('?') { String::new() } else { without_query(rest) };
    format!("{}..{rest}", scheme.unwrap_or_default())
}

/// What logs and errors show of an address without a user.
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
    fn users_and_queries_are_left_out() {
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
