//! The cause and the cure of a wrong `aud`.

use super::advice::{id_token, refresh_token};
use super::payload::Purpose;
use super::shown::{list, quoted};
use super::step::Advice;

/// The facts about a wrong `aud`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audience<'f> {
    /// `None` without an `aud`.
    pub(crate) received: Option<&'f [String]>,
    pub(crate) expected: &'f [String],
    pub(crate) purpose: Purpose,
    /// The `client_id` of the token.
    pub(crate) client: Option<&'f str>,
    /// True if the token has `token_use`, as those of Cognito have.
    pub(crate) is_cognito: bool,
}

pub(super) fn audience(wrong: Audience<'_>) -> Advice {
    let Audience { received, expected, purpose, client, is_cognito } = wrong;
    let shown = list(expected.iter().map(String::as_str));
    match (received, purpose) {
        (_, Purpose::Refresh) => return refresh_token(),
        (_, Purpose::Graph) => return graph(received),
        (Some(_), Purpose::Id) => return id_token(),
        _ => {}
    }
    let Some(received) = received else {
        return missing_audience(client, is_cognito, &shown);
    };
    let found = list(received.iter().map(String::as_str));
    match (received, expected) {
        ([], []) => Advice::new(
            "the `aud` of the token is an empty array, so the token is for nobody",
            "have the issuer write no `aud` or a name; or set JwtVerifier::insecure_any_audience",
        ),
        ([], _) => Advice::new(
            format!("the `aud` of the token is an empty array, expected {shown}"),
            "request a token for this API, for example with the parameter `audience` or `resource`",
        ),
        ([first, ..], []) => Advice::new(
            format!("the token is for {found}, and the verifier expects no audience"),
            format!("if this is the name of your API, set JwtVerifier::audience to {}", quoted(first)),
        ),
        _ => match near(received, expected) {
            Some((received, expected)) => Advice::new(
                format!(
                    "received {}, expected {}: {}",
                    quoted(received),
                    quoted(expected),
                    difference(received, expected)
                ),
                format!("set JwtVerifier::audience to {}, exactly as the token spells it", quoted(received)),
            ),
            None if received.iter().any(|name| name == "account") => Advice::new(
                format!(
                    "the token is for {found}, expected {shown}: Keycloak writes `account` without a mapper"
                ),
                "add an audience mapper for your API to the client or to a client scope in Keycloak",
            ),
            None => Advice::new(
                format!("the token is for another API: received {found}, expected {shown}"),
                "request a token for this API, for example with the parameter `audience` (Auth0), `scope` (Entra ID) or `resource` \
                 (RFC 8707); or set JwtVerifier::audience to the name that the provider uses",
            ),
        },
    }
}

fn missing_audience(client: Option<&str>, is_cognito: bool, expected: &str) -> Advice {
    if is_cognito || client.is_some() {
        let whose = if is_cognito {
            "access tokens of Cognito have none"
        } else {
            "it names its client in `client_id`"
        };
        let client = client.map_or(String::new(), |client| format!("; the token names {}", quoted(client)));
        return Advice::new(
            format!("the token has no `aud`, expected {expected}: {whose}"),
            format!(
                "have the provider write an `aud`; if it cannot, replace JwtVerifier::audience by insecure_any_audience and \
                 require_claim(\"client_id\", YOUR_CLIENT_ID){client}"
            ),
        );
    }
    Advice::new(
        format!("the token has no `aud`, expected {expected}"),
        "request a token for this API: send `audience` or `resource`, or add an audience mapper (Keycloak); if another claim names \
         the API, set JwtVerifier::require_claim for it and insecure_any_audience",
    )
}

fn graph(received: Option<&[String]>) -> Advice {
    let found = list(received.unwrap_or_default().iter().map(String::as_str));
    Advice::new(
        format!("the token is for Microsoft Graph and not for your API: received {found}"),
        "request a token for your own API, with a scope such as `api://APPLICATION_ID/.default`",
    )
}

/// Returns two names that differ in little.
fn near<'f>(received: &'f [String], expected: &'f [String]) -> Option<(&'f str, &'f str)> {
    let plain = |name: &str| {
        let name = name.trim().trim_end_matches('/');
        name.strip_prefix("api://").unwrap_or(name).to_ascii_lowercase()
    };
    let pairs =
        received.iter().flat_map(|one| expected.iter().map(move |other| (one.as_str(), other.as_str())));
    pairs.into_iter().find(|(one, other)| plain(one) == plain(other))
}

fn difference(received: &str, expected: &str) -> &'static str {
    match (received.starts_with("api://"), expected.starts_with("api://")) {
        (true, false) | (false, true) => {
            "Entra ID writes `api://` into tokens of version 1, and the bare ID into those of version 2"
        }
        _ if received.trim_end_matches('/') == expected.trim_end_matches('/') => {
            "they differ in a slash at the end"
        }
        _ => "they differ only in case or white space",
    }
}
