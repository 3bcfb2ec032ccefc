//! The cause and the cure of each problem with the key or the signature of a token.

use super::advice::refresh_token;
use super::payload::Purpose;
use super::shown::{list, quoted};
use super::step::Advice;
use crate::algorithm::Algorithm;
use crate::key_type::KeyType;

/// A problem with the key or the signature.
#[derive(Debug)]
pub(crate) enum KeyProblem<'f> {
    NoKeys,
    /// The key is in the set but cannot be used.
    Skipped {
        reasons: &'f str,
    },
    /// The key with the token's `kid` has another algorithm.
    OtherAlgorithm {
        algorithm: Algorithm,
        held: &'f [Algorithm],
        is_assumed: bool,
    },
    /// No key has the `kid` of the token, or no key has its algorithm.
    Unknown(UnknownKey<'f>),
    Unavailable {
        reason: &'f str,
    },
    Signature(WrongSignature),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct UnknownKey<'f> {
    pub(crate) kid: Option<&'f str>,
    pub(crate) algorithm: Algorithm,
    pub(crate) held: &'f [Algorithm],
    /// True if the source fetches keys.
    pub(crate) can_refresh: bool,
    /// The `iss` of the token, if the verifier does not accept it.
    pub(crate) other_issuer: Option<&'f str>,
    /// True if a key without `kid` could serve only tokens without one.
    pub(crate) has_nameless: bool,
    pub(crate) purpose: Purpose,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct WrongSignature {
    pub(crate) algorithm: Algorithm,
    pub(crate) purpose: Purpose,
    /// The number of keys that serve the token, if not all of them were tried.
    pub(crate) untried: Option<usize>,
    pub(crate) has_kid: bool,
    /// True if the signature is shorter than all signatures of the algorithm.
    pub(crate) is_cut_off: bool,
}

pub(crate) fn key(problem: &KeyProblem<'_>) -> Advice {
    match problem {
        KeyProblem::NoKeys => Advice::new(
            "the verifier has no keys",
            "add the issuer's keys: KeySet::jwks, KeySet::pem or RemoteKeys; with RemoteKeys, await RemoteKeys::ready at start-up \
             and see RemoteKeys::last_error",
        ),
        KeyProblem::Skipped { reasons } => Advice::new(
            format!("the key that the token names is in the key set, but cannot be used: {reasons}"),
            "have the provider publish a usable signing key; JwksRules allow some keys that are skipped by default",
        ),
        KeyProblem::OtherAlgorithm { algorithm, held, is_assumed } => {
            other_algorithm(*algorithm, held, *is_assumed)
        }
        KeyProblem::Unknown(unknown) => unknown_key(*unknown),
        KeyProblem::Unavailable { reason } if reason.contains("issuer mismatch") => Advice::new(
            format!("the keys of the issuer could not be fetched: {reason}"),
            "give RemoteKeys::discover the issuer exactly as its discovery document spells it; `jwt-doctor provider` shows it",
        ),
        KeyProblem::Unavailable { reason } => Advice::new(
            format!(
                "the verifier does not hold the key of the token and could not fetch newer keys: {reason}"
            ),
            "check that this machine reaches the provider: address, DNS, proxy (HttpsClient::proxy) and private CAs \
             (HttpsClient::add_root_certificates); await RemoteKeys::ready at start-up",
        ),
        KeyProblem::Signature(signature) => wrong_signature(*signature),
    }
}

fn other_algorithm(algorithm: Algorithm, held: &[Algorithm], is_assumed: bool) -> Advice {
    let cause = format!(
        "the token is signed with {algorithm}, and the key with its `kid` serves {}",
        algorithms(held)
    );
    if is_assumed && algorithm.key_type() == KeyType::Rsa {
        return Advice::new(
            format!("{cause}: an RSA key without `alg` serves a single algorithm"),
            "set JwksRules::rsa_algorithm to the algorithm of the tokens, or have the provider publish the `alg` of its key",
        );
    }
    Advice::new(
        cause,
        "configure the key for the algorithm of the token, or the provider to sign with that of the key",
    )
}

fn unknown_key(unknown: UnknownKey<'_>) -> Advice {
    let UnknownKey { kid, algorithm, held, can_refresh, other_issuer, has_nameless, purpose } = unknown;
    if purpose == Purpose::Refresh {
        return refresh_token();
    }
    let is_secret = |algorithm: &Algorithm| algorithm.key_type() == KeyType::Secret;
    if !is_secret(&algorithm) && held.iter().all(is_secret) {
        return Advice::new(
            format!(
                "the token is signed with a private key ({algorithm}), and the verifier has only secrets"
            ),
            "use the issuer's public keys: RemoteKeys::discover, KeySet::jwks or KeySet::pem instead of KeySet::hmac",
        );
    }
    if is_secret(&algorithm) && !held.iter().any(is_secret) {
        return Advice::new(
            format!(
                "the token is signed with a shared secret ({algorithm}), and the verifier has only public keys"
            ),
            "set the provider to sign with RS256 or ES256, at Auth0 in the settings of the API; or use KeySet::hmac with the secret",
        );
    }
    if let Some(issuer) = other_issuer {
        return Advice::new(
            format!(
                "no key fits the token, which another issuer has signed: its `iss` is {}",
                quoted(issuer)
            ),
            "send a token of the expected issuer, realm, tenant and environment, or use the keys of this issuer",
        );
    }
    let rotated = if can_refresh {
        "check that the token is of the provider whose keys are fetched, and not of another tenant or environment"
    } else {
        "the provider may have rotated its keys: use RemoteKeys, which fetches them, or add the key to the KeySet; check that \
         the token is not of another tenant or environment"
    };
    match kid {
        Some(kid) if has_nameless => Advice::new(
            format!(
                "no key has the `kid` {}, and a key without `kid` in a JWK set serves only tokens without one",
                quoted(kid)
            ),
            "write the `kid` of the tokens into the JWK set",
        ),
        Some(kid) => Advice::new(format!("no key has the `kid` {} of the token", quoted(kid)), rotated),
        None => Advice::new(
            format!(
                "the token has no `kid`, and no key serves {algorithm}; the keys serve {}",
                algorithms(held)
            ),
            "configure a key for this algorithm, or the provider to sign with that of the key",
        ),
    }
}

fn wrong_signature(signature: WrongSignature) -> Advice {
    let WrongSignature { algorithm, purpose, untried, has_kid, is_cut_off } = signature;
    if is_cut_off {
        return Advice::new(
            format!("the signature is too short for {algorithm}, so the token is cut off"),
            "copy the whole token, up to the end of its third part; check limits of cookies, columns and log lines",
        );
    }
    if let Some(serving) = untried {
        return Advice::new(
            format!("{serving} keys may have signed the token, and the verifier tries only a few of them"),
            match has_kid {
                true => "give each key its own `kid`",
                false => "give each key a `kid`, and have the issuer write it into the header",
            },
        );
    }
    match purpose {
        Purpose::Graph => Advice::new(
            "the token is for Microsoft Graph, and only Graph can verify its signature",
            "request a token for your own API, with a scope such as `api://APPLICATION_ID/.default`",
        ),
        _ if algorithm.key_type() == KeyType::Secret => Advice::new(
            format!(
                "no secret of the verifier has signed the token with {algorithm}, or the token was changed"
            ),
            "compare the secret with that of the issuer; one that is shown in Base64 may have to be decoded before Key::hmac, or \
             not; check for a line break at its end",
        ),
        _ => Advice::new(
            "the key has not signed this token, or the token was changed",
            "check that the token is of the same environment as the keys, since others may use the same `kid`; copy the whole token \
             again",
        ),
    }
}

fn algorithms(held: &[Algorithm]) -> String {
    list(held.iter().map(|algorithm| algorithm.as_str()))
}
