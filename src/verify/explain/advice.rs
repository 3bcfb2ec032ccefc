//! The cause and the cure of each problem with the form or the header of a token, and of each kind of error.

use super::payload::Purpose;
use super::shown::quoted;
use super::step::Advice;
use crate::algorithm::Algorithm;
use crate::kind::AuthErrorKind;
use crate::verify::rules::Types;

/// A problem with the form of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormProblem {
    TooLarge {
        bytes: usize,
        limit: usize,
    },
    /// The scheme was pasted with the token.
    Scheme,
    Quotes,
    WhiteSpace,
    Empty,
    Opaque,
    CutOff,
    Encrypted,
    OtherParts,
    Padded,
    PlainBase64,
    /// This part is not canonical base64url.
    NotBase64url(&'static str),
}

/// A problem with the header.
#[derive(Debug)]
pub(crate) enum HeaderProblem<'f> {
    NotJson,
    /// A member is missing, of another type or appears twice.
    Members,
    /// The header has `crit` or `b64`.
    Extension,
    Type {
        types: &'f Types,
        found: Option<&'f str>,
        purpose: Purpose,
    },
    Unsigned,
    UnknownAlgorithm {
        name: &'f str,
    },
    NothingAccepted,
    NotAccepted {
        algorithm: Algorithm,
        accepted: &'f str,
        purpose: Purpose,
    },
}

pub(crate) fn form(problem: FormProblem) -> Advice {
    match problem {
        FormProblem::TooLarge { bytes, limit } => Advice::new(
            format!("the token has {bytes} bytes, more than the limit of {limit}"),
            "have the provider put fewer claims into the token, for example no groups; or raise JwtVerifier::max_token_bytes",
        ),
        FormProblem::Scheme => Advice::new(
            "the text begins with a scheme such as `Bearer `, which is not part of the token",
            "pass only the token, without the scheme and the space after it",
        ),
        FormProblem::Quotes => Advice::new(
            "the token is in quotation marks",
            "remove the quotation marks: the client must send the string, not its JSON text",
        ),
        FormProblem::WhiteSpace => Advice::new(
            "the token has white space or a line break in it or around it",
            "remove it: a token is one word; `tr -d '[:space:]'` helps with a file",
        ),
        FormProblem::Empty => Advice::new(
            "the token is empty",
            "check where the client reads it, for example a variable that is not set",
        ),
        FormProblem::Opaque => Advice::new(
            "the token has no dots, so it is not a JWT but an opaque token, which only its provider can check",
            "request a JWT: at Auth0 send the `audience` of your API with the sign-in; for other providers see the settings of \
             the API, or ask the provider about each token (RFC 7662)",
        ),
        FormProblem::CutOff => Advice::new(
            "the token has only two of three parts, so it is cut off or not signed",
            "copy the whole token, up to the end of its third part; check limits of cookies, columns and log lines",
        ),
        FormProblem::Encrypted => Advice::new(
            "the token is encrypted (JWE, RFC 7516): it has five parts",
            "turn token encryption off at the provider, so that it issues signed tokens (JWS); at Auth0 without an `audience` \
             this is the token for /userinfo: request your API",
        ),
        FormProblem::OtherParts => Advice::new(
            "the token is not a JWT: it does not have three parts separated by dots",
            "pass a JWT in compact serialization (RFC 7519, section 3)",
        ),
        FormProblem::Padded => Advice::new(
            "the token is padded with `=`",
            "have the issuer write base64url without padding (RFC 7515, section 2)",
        ),
        FormProblem::PlainBase64 => Advice::new(
            "the token is written in base64, with `+` or `/`",
            "have the issuer write base64url, with `-` and `_` (RFC 7515, section 2)",
        ),
        FormProblem::NotBase64url(part) => Advice::new(
            format!("the {part} of the token is not base64url, or not in its only canonical form"),
            "copy the whole token again: it was changed or cut off",
        ),
    }
}

pub(crate) fn header(problem: &HeaderProblem<'_>) -> Advice {
    match problem {
        HeaderProblem::NotJson => Advice::new(
            "the header of the token is not a JSON object",
            "copy the whole token again; if it comes from your own code, use a JWT library to create it",
        ),
        HeaderProblem::Members => Advice::new(
            "the header has no `alg`, or one of `alg`, `kid`, `typ`, `crit` and `b64` is of the wrong type or appears twice",
            "have the issuer write these members once, each as a string",
        ),
        HeaderProblem::Extension => Advice::new(
            "the header has `crit` or `b64: false`, and this crate supports no such extension",
            "turn the extension off at the issuer (RFC 7515, section 4.1.11; RFC 7797)",
        ),
        HeaderProblem::Type { types, found, purpose } => wrong_type(types, *found, *purpose),
        HeaderProblem::Unsigned => Advice::new(
            "the token is not signed: its `alg` is `none`",
            "have the issuer sign its tokens, for example with RS256",
        ),
        HeaderProblem::UnknownAlgorithm { name } if Algorithm::meant_by(name).is_some() => Advice::new(
            format!("the `alg` is {}, and names of algorithms are case-sensitive", quoted(name)),
            "have the issuer write the name in capitals, as in RFC 7518, section 3.1",
        ),
        HeaderProblem::UnknownAlgorithm { name } => Advice::new(
            format!("the `alg` {} is not supported", quoted(name)),
            "configure the provider to sign with RS256, ES256 or another algorithm of tower_jwt_auth::Algorithm",
        ),
        HeaderProblem::NothingAccepted => Advice::new(
            "JwtVerifier::algorithms is empty, so that every token is rejected",
            "list at least one algorithm, or remove the call",
        ),
        HeaderProblem::NotAccepted { purpose: Purpose::Refresh, .. } => refresh_token(),
        HeaderProblem::NotAccepted { algorithm, accepted, .. } => Advice::new(
            format!("the token is signed with {algorithm}, and the verifier accepts only {accepted}"),
            format!("add {algorithm} to JwtVerifier::algorithms, or set one of those at the provider"),
        ),
    }
}

fn wrong_type(types: &Types, found: Option<&str>, purpose: Purpose) -> Advice {
    let found = found.map_or("no `typ`".to_owned(), |typ| format!("the `typ` {}", quoted(typ)));
    match (types, purpose) {
        (_, Purpose::Refresh) => refresh_token(),
        (Types::AccessTokens, Purpose::Id) => id_token(),
        (Types::AccessTokens, _) => Advice::new(
            format!("the token has {found}, and JwtVerifier::access_tokens_only requires `at+jwt`"),
            "send the access token, not the ID token; if the provider does not write `at+jwt`, set the RFC 9068 profile there, \
             or remove access_tokens_only",
        ),
        (Types::Only(wanted), _) => Advice::new(
            format!("the token has {found}, and JwtVerifier::token_type requires {}", quoted(wanted)),
            "send a token of this type, or change JwtVerifier::token_type",
        ),
        (Types::Usual, _) => Advice::new(
            format!("the token has {found}, which marks another kind of token than an access token"),
            "send an access token; if you expect this type, set JwtVerifier::token_type",
        ),
    }
}

pub(crate) fn id_token() -> Advice {
    Advice::new(
        "the token is an ID token, which is only for the client that signed the user in",
        "send the access token instead: the member `access_token` of the provider's response",
    )
}

pub(crate) fn refresh_token() -> Advice {
    Advice::new(
        "the token is a refresh token, which is only for the provider",
        "send the access token instead; exchange the refresh token for one at the provider's token endpoint",
    )
}

/// Returns the advice for a kind whose circumstances are not known.
pub(crate) fn kind(kind: AuthErrorKind, source: Option<&str>) -> Advice {
    let cause = source.map_or_else(|| kind.to_string(), |source| format!("{kind}: {source}"));
    Advice::new(cause, cure_of(kind))
}

pub(super) fn cure_of(kind: AuthErrorKind) -> &'static str {
    match kind {
        AuthErrorKind::MissingCredential => {
            "send `Authorization: Bearer TOKEN`, or set JwtAuthLayer::token_source"
        }
        AuthErrorKind::MalformedCredential => "send a single token without quotation marks or white space",
        AuthErrorKind::MultipleCredentials => {
            "send one credential, or set JwtAuthLayer::prefer_first_token_source"
        }
        AuthErrorKind::TokenTooLarge => "use a smaller token, or raise JwtVerifier::max_token_bytes",
        AuthErrorKind::MalformedToken => "send the whole JWT and nothing else",
        AuthErrorKind::UnsupportedToken => "configure the provider to issue signed tokens without extensions",
        AuthErrorKind::WrongTokenType => "send an access token, or set JwtVerifier::token_type",
        AuthErrorKind::UnsupportedAlgorithm => {
            "use a key for the algorithm of the token, and list it in JwtVerifier::algorithms"
        }
        AuthErrorKind::UnknownKey => "use the keys of the token's issuer",
        AuthErrorKind::InvalidSignature => "use the keys of the token's issuer, and send the token unchanged",
        AuthErrorKind::InvalidClaims => {
            "change the claims type of the application, or the claims at the issuer"
        }
        AuthErrorKind::WrongIssuer => "send a token of the expected issuer, or set JwtVerifier::issuer",
        AuthErrorKind::WrongAudience => "request a token for this API, or set JwtVerifier::audience",
        AuthErrorKind::WrongClaim => {
            "request a token with the required claim, or change JwtVerifier::require_claim"
        }
        AuthErrorKind::SenderConstrained => {
            "accept the binding with JwtVerifier::dpop or JwtVerifier::mtls, and send the token as it is bound: with the scheme \
             `DPoP` and a proof, or over mutual TLS"
        }
        AuthErrorKind::MissingBinding => {
            "have the client request a bound token: with a DPoP proof at the token endpoint, or over mutual TLS"
        }
        AuthErrorKind::MissingProof => "send a DPoP proof for this request in the header `DPoP`",
        AuthErrorKind::MalformedProof => {
            "use a DPoP library in the client, and an algorithm that Dpop::algorithms lists"
        }
        AuthErrorKind::InvalidProofSignature => "sign the proof with the key in its header",
        AuthErrorKind::WrongProofRequest => {
            "sign the proof for the method and the URL of the request, and set Dpop::new to the public URL of the service"
        }
        AuthErrorKind::WrongProofToken => "sign the proof for the token that is sent: `ath` is its SHA-256",
        AuthErrorKind::WrongProofTime => {
            "set the clocks of the client and of this machine, make a new proof for each request, or raise Dpop::max_age"
        }
        AuthErrorKind::WrongProofNonce => {
            "repeat the request with a proof that has the nonce in `DPoP-Nonce` of the response"
        }
        AuthErrorKind::WrongProofKey => "sign the proof with the key that the token was requested with",
        AuthErrorKind::ReplayedProof => "make a new proof with a new `jti` for each request",
        AuthErrorKind::MissingCertificate => {
            "connect with the client certificate that the token was requested with; behind a proxy that ends TLS, add a \
             ClientCertificateLayer"
        }
        AuthErrorKind::WrongCertificate => {
            "connect with the client certificate that the token was requested with, or request a new token after a renewal"
        }
        AuthErrorKind::MissingExpiry => {
            "have the issuer set `exp`, or set JwtVerifier::insecure_allow_missing_expiry"
        }
        AuthErrorKind::NotYetValid => {
            "set the clocks of the issuer and of this machine, or raise JwtVerifier::leeway"
        }
        AuthErrorKind::Expired => "get a new token",
        AuthErrorKind::Revoked => "sign in again, to get a token of a new session",
        AuthErrorKind::MalformedApiKey => "copy the whole API key",
        AuthErrorKind::InvalidToken => "get a new token or key",
        AuthErrorKind::UnknownPrincipal => "create the user in the application",
        AuthErrorKind::InsufficientScope => {
            "request a token with more scopes, or have the provider grant the role"
        }
        AuthErrorKind::KeysUnavailable => "check that this machine reaches the provider, and try again",
        AuthErrorKind::RevocationsUnavailable => {
            "check that this machine reaches the store of SharedRevocations, and try again"
        }
        AuthErrorKind::PrincipalUnavailable => {
            "check that this machine reaches the database of users, and try again"
        }
        AuthErrorKind::Unavailable => {
            "check that this machine reaches the service that checks tokens, and try again"
        }
        AuthErrorKind::MissingLayer => "put a JwtAuthLayer outside the service that reads claims",
    }
}

#[cfg(test)]
mod tests;
