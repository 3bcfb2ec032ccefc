//! The cause and the cure of each problem with a claim.

use std::time::Duration;

use super::advice::{id_token, refresh_token};
use super::payload::Purpose;
use super::shown::{duration, list, quoted};
use super::step::Advice;

/// A problem with a claim of a token.
#[derive(Debug)]
pub(crate) enum ClaimProblem<'f> {
    NotJson,
    TooNested,
    PrivateName,
    /// A registered claim has another type than RFC 7519 gives it.
    WrongType {
        claim: &'f str,
        received: &'f str,
    },
    Twice {
        claim: &'f str,
    },
    /// The claims do not fit the application's type.
    Misfit {
        reason: &'f str,
    },
    Issuer {
        received: Option<&'f str>,
        expected: &'f [String],
    },
    Audience(Audience<'f>),
    Required {
        reason: &'f str,
        purpose: Purpose,
    },
    /// The token is bound to a key of its sender by DPoP, by a certificate or in another way.
    Confirmation {
        member: Option<&'f str>,
    },
    MissingExpiry {
        purpose: Purpose,
    },
    Early {
        by: Duration,
        seconds: Duration,
        leeway: Duration,
    },
    Expired {
        ago: Duration,
        leeway: Duration,
    },
    /// The clock of this machine is set before 1970.
    Clock,
    Revoked,
    RevocationsUnavailable,
}

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

/// A difference of clocks is likely up to this time.
const CLOCKS_APART: Duration = Duration::from_secs(5 * 60);

/// Later times are milliseconds: as seconds this is the year 5138.
const MILLISECONDS: Duration = Duration::from_secs(100_000_000_000);

pub(crate) fn claim(problem: &ClaimProblem<'_>) -> Advice {
    match problem {
        ClaimProblem::NotJson => Advice::new(
            "the payload is not a JSON object",
            "have the issuer write its claims as one JSON object in UTF-8; it must not be compressed or encrypted",
        ),
        ClaimProblem::TooNested => Advice::new(
            "the payload has too many arrays, objects or escapes",
            "have the issuer put fewer values into the token",
        ),
        ClaimProblem::PrivateName => Advice::new(
            "a member is named `$serde_json::private::..`, which serde_json would read as another value",
            "have the issuer remove this member: nobody needs it but an attacker",
        ),
        ClaimProblem::WrongType { claim, received } => wrong_type(claim, received),
        ClaimProblem::Twice { claim } => Advice::new(
            format!("the claim {} appears twice", quoted(claim)),
            "have the issuer write it once: parsers disagree on which one counts",
        ),
        ClaimProblem::Misfit { reason } => Advice::new(
            *reason,
            "change the field of the claims type, for example to an `Option`; or have the issuer add the claim to its access tokens",
        ),
        ClaimProblem::Issuer { received, expected } => issuer(*received, expected),
        ClaimProblem::Audience(audience) => wrong_audience(*audience),
        ClaimProblem::Required { purpose: Purpose::Refresh, .. } => refresh_token(),
        ClaimProblem::Required { purpose: Purpose::Id, .. } => id_token(),
        ClaimProblem::Required { reason, .. } => Advice::new(
            *reason,
            "request a token with the required value, or accept another one with JwtVerifier::require_claim",
        ),
        ClaimProblem::Confirmation { member } => confirmation(*member),
        ClaimProblem::MissingExpiry { purpose: Purpose::Refresh } => refresh_token(),
        ClaimProblem::MissingExpiry { .. } => Advice::new(
            "the token has no `exp`, so it would be valid for ever",
            "have the issuer set one; or set JwtVerifier::insecure_allow_missing_expiry and read its security notes",
        ),
        ClaimProblem::Early { by, seconds, leeway } => early(*by, *seconds, *leeway),
        ClaimProblem::Expired { ago, leeway } => expired(*ago, *leeway),
        ClaimProblem::Clock => Advice::new(
            "the clock of the verifier is set before 1970, so no time can be checked",
            "set the clock of this machine, or the one of JwtVerifier::clock",
        ),
        ClaimProblem::Revoked => Advice::new(
            "the token, its session or its subject is on the list of revocations",
            "sign in again; a token of a new session is not revoked",
        ),
        ClaimProblem::RevocationsUnavailable => Advice::new(
            "the list of revocations has been disconnected from its store for too long",
            "check that this machine reaches the store, and see SharedRevocations::stats",
        ),
    }
}

fn wrong_type(claim: &str, received: &str) -> Advice {
    let cause = format!("the claim {} is {}", quoted(claim), quoted(received));
    match claim {
        "exp" | "nbf" | "iat" => Advice::new(
            format!("{cause}, which is not a number of seconds since 1970"),
            "have the issuer write a JSON number without quotation marks (RFC 7519, section 2)",
        ),
        "aud" => Advice::new(
            format!("{cause}, which is neither a string nor an array of strings"),
            "have the issuer write the name of the API as a string (RFC 7519, section 4.1.3)",
        ),
        "iss" => Advice::new(
            format!("{cause}, which is not a string"),
            "have the issuer write its URL as a single string (RFC 7519, section 4.1.1)",
        ),
        _ => Advice::new(
            format!("{cause}, which is not a string"),
            "have the issuer write a string, since the verifier looks it up in its revocations (RFC 7519, section 4.1)",
        ),
    }
}

fn issuer(received: Option<&str>, expected: &[String]) -> Advice {
    let shown = list(expected.iter().map(String::as_str));
    let Some(received) = received else {
        return match expected {
            [] => no_issuer_set("URL"),
            _ => Advice::new(
                format!("the token has no `iss`, and the verifier expects {shown}"),
                "have the issuer write its `iss`; without one, set JwtVerifier::insecure_any_issuer if the keys are of one issuer",
            ),
        };
    };
    if expected.is_empty() {
        return no_issuer_set(received);
    }
    let found = quoted(received);
    let set_it = format!("set JwtVerifier::issuer to {found}, exactly as the token spells it");
    for one in expected {
        if one.strip_suffix('/') == Some(received) {
            return Advice::new(
                format!("a slash at the end: received {found}, expected {}", quoted(one)),
                set_it,
            );
        }
        if received.strip_suffix('/') == Some(one) {
            return Advice::new(
                format!("no slash at the end: received {found}, expected {}", quoted(one)),
                set_it,
            );
        }
        if received.trim().eq_ignore_ascii_case(one.trim()) {
            let cause = format!(
                "received {found}, expected {}: they differ only in case or white space",
                quoted(one)
            );
            return Advice::new(cause, set_it);
        }
        if let Some(advice) = entra(received, one) {
            return advice;
        }
        if without_scheme(received) == without_scheme(one) {
            let cause = format!("received {found}, expected {}: one is HTTP and one is HTTPS", quoted(one));
            return Advice::new(cause, format!("set the public URL at the provider, or {set_it}"));
        }
    }
    Advice::new(
        format!("the token is of another issuer: received {found}, expected {shown}"),
        "send a token of the expected issuer, realm, tenant and environment; if this one is yours as well, set \
         JwtVerifier::issuer or add_issuer, or use Issuers for several with their own keys",
    )
}

fn no_issuer_set(received: &str) -> Advice {
    Advice::new(
        "the key source does not name an issuer, and JwtVerifier::issuer is not set",
        format!("set JwtVerifier::issuer to the issuer of the keys, for example {}", quoted(received)),
    )
}

fn without_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

/// Entra ID issues tokens of two versions, with different issuers.
fn entra(received: &str, expected: &str) -> Option<Advice> {
    const FIRST: &str = "https://sts.windows.net/";
    const SECOND: &str = "https://login.microsoftonline.com/";
    let (found, wanted) = (quoted(received), quoted(expected));
    if received.starts_with(FIRST) && expected.starts_with(SECOND) {
        return Some(Advice::new(
            format!("Entra ID issued a token of version 1: received {found}, expected {wanted}"),
            format!(
                "set `requestedAccessTokenVersion` to 2 in the manifest of the API, or JwtVerifier::issuer to {found}"
            ),
        ));
    }
    if received.starts_with(SECOND) && expected.starts_with(FIRST) {
        return Some(Advice::new(
            format!("Entra ID issued a token of version 2: received {found}, expected {wanted}"),
            format!(
                "set JwtVerifier::issuer to {found}, or `requestedAccessTokenVersion` to 1 in the manifest of the API"
            ),
        ));
    }
    let tenant = expected.strip_prefix(SECOND)?.split('/').next()?;
    let is_shared = ["common", "organizations", "consumers", "{tenantid}"].contains(&tenant);
    (is_shared && received.starts_with(SECOND)).then(|| {
        Advice::new(
            format!("{wanted} is no issuer of tokens: they name their tenant, here {found}"),
            format!("set JwtVerifier::issuer to {found}; for several tenants use IssuerResolver"),
        )
    })
}

fn wrong_audience(audience: Audience<'_>) -> Advice {
    let Audience { received, expected, purpose, client, is_cognito } = audience;
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
        let client = client.map_or("CLIENT_ID".to_owned(), quoted);
        return Advice::new(
            format!("the token has no `aud`, expected {expected}: {whose}"),
            format!(
                "have the provider write an `aud`; if it cannot, replace JwtVerifier::audience by insecure_any_audience and \
                 require_claim(\"client_id\", {client})"
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

fn confirmation(member: Option<&str>) -> Advice {
    let (how, cure) = match member {
        Some("jkt") => ("by DPoP (RFC 9449)", "turn DPoP off for this client at the provider"),
        Some("x5t#S256") => {
            ("by a client certificate (RFC 8705)", "turn certificate-bound tokens off at the provider")
        }
        _ => ("by its `cnf` claim (RFC 7800)", "have the provider issue plain bearer tokens"),
    };
    Advice::new(
        format!(
            "the token is bound to a key of its sender {how}, and the verifier does not check the sender"
        ),
        format!(
            "{cure}; or set JwtVerifier::insecure_ignore_confirmation if something else checks the sender"
        ),
    )
}

fn early(by: Duration, seconds: Duration, leeway: Duration) -> Advice {
    let cause = format!("the token is valid in {}, and the leeway is {}", duration(by), duration(leeway));
    if seconds > MILLISECONDS {
        return Advice::new(
            format!("{cause}: its `nbf` is probably in milliseconds"),
            "have the issuer write seconds since 1970 (RFC 7519, section 2)",
        );
    }
    match by <= CLOCKS_APART {
        true => Advice::new(
            format!("{cause}: the clocks of the issuer and of this machine probably differ"),
            format!("set both clocks with NTP, or raise JwtVerifier::leeway to more than {}", duration(by)),
        ),
        false => Advice::new(cause, "use the token later, or set the clock of this machine"),
    }
}

fn expired(ago: Duration, leeway: Duration) -> Advice {
    let cause = format!("the token expired {} ago, and the leeway is {}", duration(ago), duration(leeway));
    match ago <= CLOCKS_APART {
        true => Advice::new(
            cause,
            format!(
                "get a new token; if it was new, set both clocks with NTP, or raise JwtVerifier::leeway to more than {}",
                duration(ago)
            ),
        ),
        false => Advice::new(cause, "get a new token, for example with the refresh token"),
    }
}
