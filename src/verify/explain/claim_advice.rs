//! The cause and the cure of each problem with a claim.

use std::time::Duration;

use super::advice::{id_token, refresh_token};
use super::audience_advice::{Audience, audience};
use super::issuer_advice::issuer;
use super::payload::Purpose;
use super::shown::{duration, quoted};
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
    /// The verifier does not support the binding: DPoP, a certificate or another one.
    Confirmation {
        member: Option<&'f str>,
    },
    MalformedConfirmation,
    /// The token is bound to a key, and its scheme is not `DPoP`.
    SentAsBearer,
    /// The token is not bound to a key, although its scheme is `DPoP`, or not bound at all.
    NotBound {
        is_dpop: bool,
        has_certificate: bool,
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

/// A difference of clocks is likely up to this time.
const CLOCKS_APART: Duration = Duration::from_secs(5 * 60);

/// Later times are milliseconds: as seconds this is the year 5138.
pub(super) const MILLISECONDS: Duration = Duration::from_secs(100_000_000_000);

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
        ClaimProblem::Audience(wrong) => audience(*wrong),
        ClaimProblem::Required { purpose: Purpose::Refresh, .. } => refresh_token(),
        ClaimProblem::Required { purpose: Purpose::Id, .. } => id_token(),
        ClaimProblem::Required { reason, .. } => Advice::new(
            *reason,
            "request a token with the required value, or accept another one with JwtVerifier::require_claim",
        ),
        ClaimProblem::Confirmation { member } => confirmation(*member),
        ClaimProblem::MalformedConfirmation => Advice::new(
            "the `cnf` cannot be read: `jkt` and `x5t#S256` must be SHA-256 hashes in base64url, each of them once",
            "have the issuer write `cnf` as in RFC 9449, section 6.1, or RFC 8705, section 3.1",
        ),
        ClaimProblem::SentAsBearer => Advice::new(
            "the token is bound to a key (`cnf.jkt`), and was sent as a bearer token",
            "send it as `Authorization: DPoP TOKEN`, with a proof for this request in the header `DPoP` (RFC 9449, section 7.1)",
        ),
        ClaimProblem::NotBound { has_certificate: true, .. } => Advice::new(
            "the token is bound to a certificate, not to a key, and was sent with the scheme `DPoP`",
            "send it as `Authorization: Bearer TOKEN`, over a connection with the client certificate",
        ),
        ClaimProblem::NotBound { is_dpop, .. } => Advice::new(
            match is_dpop {
                true => {
                    "the token has no `cnf`, so it is a bearer token, and was sent with the scheme `DPoP`"
                }
                false => {
                    "the token has no `cnf`, so it is a bearer token, and the verifier requires a bound one"
                }
            },
            "have the client send a DPoP proof, or use its certificate, when it requests the token; the provider may have to \
             switch this on for the client",
        ),
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

fn confirmation(member: Option<&str>) -> Advice {
    let (how, cure) = match member {
        Some("jkt") => (
            "a key by DPoP (RFC 9449)",
            "set JwtVerifier::dpop, so that the sender must prove that it has the key; or turn DPoP off for this client at the \
             provider",
        ),
        Some("x5t#S256") => (
            "a client certificate (RFC 8705)",
            "set JwtVerifier::mtls, so that the sender must connect with the certificate; or turn certificate-bound tokens off \
             at the provider",
        ),
        _ => (
            "its sender by another member of `cnf` than `jkt` and `x5t#S256` (RFC 7800)",
            "have the provider issue plain bearer tokens, or bind them by DPoP",
        ),
    };
    Advice::new(
        format!("the token is bound to {how}, and the verifier does not support this binding"),
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
