//! The cause and the cure of a wrong `iss`.

use super::shown::{list, quoted};
use super::step::Advice;

pub(super) fn issuer(received: Option<&str>, expected: &[String]) -> Advice {
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
    let set_it = format!(
        "set JwtVerifier::issuer to {found}, exactly as the token spells it; if the discovery document spells it like the \
         verifier, the token is of another issuer"
    );
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
    let tenant = |issuer: &str| {
        let rest = issuer.strip_prefix(FIRST).or_else(|| issuer.strip_prefix(SECOND))?;
        rest.split('/').next().map(str::to_owned)
    };
    let (theirs, ours) = (tenant(received)?, tenant(expected)?);
    if ["common", "organizations", "consumers", "{tenantid}"].contains(&ours.as_str()) {
        return Some(Advice::new(
            format!("{wanted} is no issuer of tokens: they name their tenant, here {found}"),
            "set JwtVerifier::issuer to the issuer of your own tenant; the one of the token is right only if the tenant is \
             yours; for several tenants use IssuerResolver",
        ));
    }
    // All tenants have the same keys, so a token of any tenant has a valid signature.
    if theirs != ours {
        return Some(Advice::new(
            format!("the token is of another tenant of Entra ID: received {found}, expected {wanted}"),
            "reject it, unless the tenant is yours as well; then use Issuers, with a verifier for each tenant",
        ));
    }
    if received.starts_with(FIRST) == expected.starts_with(FIRST) {
        return None;
    }
    let (version, other) = if received.starts_with(FIRST) { (1, 2) } else { (2, 1) };
    Some(Advice::new(
        format!("Entra ID issued a token of version {version}: received {found}, expected {wanted}"),
        format!(
            "set `requestedAccessTokenVersion` to {other} in the manifest of the API, or JwtVerifier::issuer to {found}"
        ),
    ))
}
