//! Explains for logs why a token's form, header or key was rejected. The texts name settings and published `kid`s, and contain
//! nothing else from the token.

use std::error::Error;

use memchr::memchr_iter;
use serde::de::IgnoredAny;

use super::base64url::{Buffer, decode_to_vec, is_canonical};
use super::json;
use super::jws::{Header, Jws, USUAL_HEADER};
use super::key::Key;
use super::key_set::{KeySet, MOST_CANDIDATES};
use super::rules::{Rules, Types};
use crate::algorithm::Algorithm;
use crate::config_error::{MOST_LISTED, SkippedKey, quoted};
use crate::error::{AuthError, FixedCause};
use crate::key_type::KeyType;
use crate::kind::AuthErrorKind;

/// Adds a cause to an error that has none.
#[cold]
pub(crate) fn explain(error: AuthError, rules: &Rules, keys: &KeySet, token: &[u8]) -> AuthError {
    if error.source().is_some() {
        return error;
    }
    match error.kind() {
        AuthErrorKind::TokenTooLarge => {
            error.with_source(format!("JwtVerifier::max_token_bytes allows {} bytes", rules.max_token_bytes))
        }
        AuthErrorKind::MalformedToken | AuthErrorKind::UnsupportedToken => explain_form(error, token),
        AuthErrorKind::InvalidSignature
            if keys.len() <= MOST_CANDIDATES && keys.skipped_keys().is_empty() =>
        {
            error
        }
        AuthErrorKind::WrongTokenType
        | AuthErrorKind::UnsupportedAlgorithm
        | AuthErrorKind::UnknownKey
        | AuthErrorKind::InvalidSignature => {
            let mut buffer = Buffer::<USUAL_HEADER>::new();
            match Jws::split(token).map(|jws| Header::read(jws.header, &mut buffer)) {
                Some(Ok(header)) => explain_header(error, rules, keys, &header),
                _ => error,
            }
        }
        _ => error,
    }
}

fn explain_header(error: AuthError, rules: &Rules, keys: &KeySet, header: &Header<'_>) -> AuthError {
    match error.kind() {
        AuthErrorKind::WrongTokenType => error.with_source(wrong_type(header, &rules.types)),
        AuthErrorKind::UnsupportedAlgorithm => unsupported_algorithm(error, header, rules, keys),
        AuthErrorKind::UnknownKey => error.with_source(unknown_key(header, keys)),
        _ => match invalid_signature(header, keys) {
            Some(cause) => error.with_source(cause),
            None => error,
        },
    }
}

/// Adds a cause to an error about the form of a token.
#[cold]
pub(crate) fn explain_form(error: AuthError, token: &[u8]) -> AuthError {
    let cause = match memchr_iter(b'.', token).count() {
        0 => Some(OPAQUE),
        2 if error.kind() == AuthErrorKind::UnsupportedToken => Some(EXTENSION),
        2 => malformed(token),
        4 => Some(ENCRYPTED),
        _ => Some(OTHER_PARTS),
    };
    match cause {
        Some(cause) => error.because(cause),
        None => error,
    }
}

const OPAQUE: &FixedCause = &FixedCause(
    "the token has no dots, so it is not a JWT but an opaque token: only its provider can check it (RFC 7662); many \
     providers issue a JWT if the client asks for an API or `audience`",
);
const OTHER_PARTS: &FixedCause =
    &FixedCause("the token is not a JWT: expected three parts separated by dots");
const ENCRYPTED: &FixedCause = &FixedCause(
    "the token is encrypted (JWE, RFC 7516): it has five parts; configure the provider to issue signed tokens (JWS)",
);
const EXTENSION: &FixedCause =
    &FixedCause("unsupported token header: it has `crit` or `b64: false` (RFC 7515, RFC 7797)");

/// Finds the error in a token with three parts.
fn malformed(token: &[u8]) -> Option<&'static FixedCause> {
    let has = |bytes: &[u8]| token.iter().any(|byte| bytes.contains(byte));
    if has(b" \t\r\n\"'") {
        return Some(&FixedCause("the token has white space or quotation marks in it"));
    }
    if has(b"=") {
        return Some(&FixedCause(
            "the token is padded with `=`; base64url in a JWT has no padding (RFC 7515, section 2)",
        ));
    }
    if has(b"+/") {
        return Some(&FixedCause(
            "the token is written in base64, with `+` or `/`; a JWT is base64url (RFC 7515, section 2)",
        ));
    }
    let jws = Jws::split(token)?;
    for (part, cause) in [
        (jws.header, &FixedCause("the token's header is not base64url")),
        (jws.payload, &FixedCause("the token's payload is not base64url")),
        (jws.signature, &FixedCause("the token's signature is not base64url")),
    ] {
        if !is_canonical(part) {
            return Some(cause);
        }
    }
    let header = decode_to_vec(jws.header)?;
    if json::object::<IgnoredAny>(&header).is_none() {
        return Some(&FixedCause("the token's header is not a JSON object"));
    }
    let is_read = Header::read(jws.header, &mut Buffer::<USUAL_HEADER>::new()).is_ok();
    (!is_read).then_some(&FixedCause(
        "the token's header has no `alg`, or one of `alg`, `kid`, `typ`, `crit` and `b64` is of the wrong type or appears twice",
    ))
}

fn wrong_type(header: &Header<'_>, types: &Types) -> String {
    let expected = match types {
        Types::Usual => {
            "the verifier expects no `typ`, or `JWT` or `at+jwt`: JwtVerifier::token_type accepts another"
                .to_owned()
        }
        Types::AccessTokens => {
            "the verifier expects the `typ` `at+jwt`, by JwtVerifier::access_tokens_only".to_owned()
        }
        Types::Only(typ) => format!("the verifier expects the `typ` `{typ}`, by JwtVerifier::token_type"),
    };
    let none = if header.typ.is_none() { "; the token has none" } else { "" };
    expected + none
}

const UNSUPPORTED_ALGORITHM: &FixedCause = &FixedCause(
    "the token's `alg` is not supported by this crate; names are case-sensitive (RFC 7515, section 4.1.1)",
);

fn unsupported_algorithm(error: AuthError, header: &Header<'_>, rules: &Rules, keys: &KeySet) -> AuthError {
    let Some(algorithm) = Algorithm::named(&header.alg) else {
        if header.alg.eq_ignore_ascii_case("none") {
            return error.because(&FixedCause("the token is not signed: its `alg` is `none`"));
        }
        return match skipped_of(keys, header) {
            Some(skipped) => error.with_source(format!(
                "{}; the key that the token names is skipped: {skipped}",
                UNSUPPORTED_ALGORITHM.0
            )),
            None => error.because(UNSUPPORTED_ALGORITHM),
        };
    };
    if rules.algorithms.is_empty() {
        return error.because(&FixedCause(
            "JwtVerifier::algorithms is empty: every token is rejected; list at least one algorithm",
        ));
    }
    if !rules.algorithms.contain(algorithm) {
        return error.with_source(format!("JwtVerifier::algorithms accepts only {}", rules.algorithms));
    }
    let named = |key: &&Key| header.kid.as_deref().is_some_and(|kid| key.is_named(kid));
    let named = || keys.keys().iter().filter(named);
    let (list, hint) = (listed(named(), shown), assumption(algorithm, named()));
    let skipped = skipped_of(keys, header).map(|list| format!("; skipped: {list}")).unwrap_or_default();
    error.with_source(format!("the key that the token names serves another algorithm: {list}{hint}{skipped}"))
}

fn unknown_key(header: &Header<'_>, keys: &KeySet) -> String {
    if let Some(skipped) = skipped_of(keys, header) {
        return format!("the key that the token names is skipped: {skipped}");
    }
    if keys.is_empty() {
        return "the verifier has no keys".to_owned();
    }
    let problem = match &header.kid {
        Some(_) => "no key has the `kid` of the token",
        None => "the token has no `kid`, and no key serves its algorithm",
    };
    let all = keys.keys();
    let held = listed(all.iter(), shown);
    let hint = Algorithm::named(&header.alg).map(|algorithm| assumption(algorithm, all.iter()));
    let hint = hint.unwrap_or_default();
    let is_nameless = |key: &Key| key.kid().is_none() && !key.serves(header.kid.as_deref());
    let nameless = match all.iter().any(is_nameless) {
        true => "; a key without `kid` in a JWK set serves only tokens without one",
        false => "",
    };
    let skipped = match keys.skipped_keys() {
        [] => String::new(),
        skipped => format!("; skipped: {}", listed(skipped.iter(), SkippedKey::to_string)),
    };
    format!("{problem}; the verifier has {held}{hint}{nameless}{skipped}")
}

fn invalid_signature(header: &Header<'_>, keys: &KeySet) -> Option<String> {
    if let Some(skipped) = skipped_of(keys, header) {
        return Some(format!("another key with the `kid` of the token is skipped: {skipped}"));
    }
    let (algorithm, kid) = (Algorithm::named(&header.alg)?, header.kid.as_deref());
    let serving = keys.keys().iter().filter(|key| key.algorithm() == algorithm && key.serves(kid)).count();
    let of = if kid.is_some() { "and `kid` of the token" } else { "of the token, which has no `kid`" };
    (serving > MOST_CANDIDATES).then(|| {
        format!(
            "{serving} keys serve the algorithm {of}: only {MOST_CANDIDATES} were tried, which is the limit"
        )
    })
}

/// Names the setting that chose the algorithm of a key.
fn assumption<'k>(algorithm: Algorithm, mut keys: impl Iterator<Item = &'k Key>) -> String {
    match keys.find(|key| key.algorithm_is_assumed()) {
        Some(key) if algorithm.key_type() == KeyType::Rsa => format!(
            "; an RSA key without `alg` serves {}, which JwksRules::rsa_algorithm sets",
            key.algorithm()
        ),
        _ => String::new(),
    }
}

/// Lists the skipped keys with the token's `kid`. The provider published them, so their `kid` may be logged.
fn skipped_of(keys: &KeySet, header: &Header<'_>) -> Option<String> {
    let kid = header.kid.as_deref()?;
    let mut named = keys.skipped_keys().iter().filter(|key| key.kid() == Some(kid)).peekable();
    named.peek()?;
    Some(listed(named, SkippedKey::to_string))
}

fn shown(key: &Key) -> String {
    match key.kid() {
        Some(kid) => format!("{} ({})", quoted(kid), key.algorithm()),
        None => format!("one without `kid` ({})", key.algorithm()),
    }
}

/// Formats the first items and the number of the others.
fn listed<T>(mut items: impl Iterator<Item = T>, show: fn(T) -> String) -> String {
    let first: Vec<_> = items.by_ref().take(MOST_LISTED).map(show).collect();
    match items.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
