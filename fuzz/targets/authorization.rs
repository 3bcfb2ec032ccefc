//! The `Authorization` header, compared to a simple reader of RFC 9110, section 11.4 and RFC 6750, section
//! 2.1.
//!
//! An input has a line for each header, with `{}` for the good token.
#![no_main]

use std::sync::LazyLock;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;
use tower_jwt_auth::verifiers::Scheme;
use tower_jwt_auth::{JwtAuthLayer, JwtVerifier, TokenSource};
use tower_jwt_auth_fuzz::{Outcome, Reading, ask, good_source, header_lines, hs256, verifier};

type Auth = JwtAuthLayer<JwtVerifier<Value>>;

/// A scheme, and a layer that accepts its tokens.
static LAYERS: LazyLock<[(&str, Auth); 2]> = LazyLock::new(|| {
    ["Bearer", "Token"].map(|scheme| {
        let layer = JwtAuthLayer::new(verifier(hs256().public.clone().into()));
        let source = TokenSource::header_with_scheme(AUTHORIZATION, Scheme::new(scheme).unwrap());
        (scheme, if scheme == "Bearer" { layer } else { layer.token_source(source) })
    })
});

fn read<'a>(values: &'a [HeaderValue], scheme: &str) -> Reading<'a> {
    let value = match values {
        [] => return Reading::Nothing,
        [value] => value.as_bytes(),
        _ => return Reading::Several,
    };
    let (word, rest) = match value.iter().position(|byte| *byte == b' ') {
        Some(space) => value.split_at(space),
        None => (value, &[][..]),
    };
    let is_word = word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte));
    match word {
        [] if rest.is_empty() => Reading::Nothing,
        [_, ..] if !is_word => Reading::Broken,
        [] => Reading::Broken,
        _ if !word.eq_ignore_ascii_case(scheme.as_bytes()) => Reading::Nothing,
        _ => Reading::token(&rest[rest.iter().take_while(|byte| **byte == b' ').count()..]),
    }
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(values) = header_lines(input) else {
        return Corpus::Reject;
    };
    for (scheme, layer) in &*LAYERS {
        let reading = read(&values, scheme);
        let (status, challenge) = reading.answer();
        let all: Vec<_> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        let (good, none) = (status == 200, reading == Reading::Nothing);

        let rejected = Outcome { inside: None, claims: false, status, challenge };
        let passed = |values: Vec<Vec<u8>>| Outcome {
            inside: Some(values),
            claims: good,
            status: 200,
            challenge: None,
        };
        let expected = if good { passed(all.clone()) } else { rejected.clone() };
        assert_eq!(ask(layer, &AUTHORIZATION, &values), expected, "{scheme}");

        let optional = layer.clone().optional();
        let expected = if good || none { passed(all.clone()) } else { rejected.clone() };
        assert_eq!(ask(&optional, &AUTHORIZATION, &values), expected, "{scheme}, optional");

        // The credential is removed, and a credential of another scheme is not.
        let everybody = layer.clone().allow_invalid().strip_credential();
        let is_other = |value: &&HeaderValue| read(std::slice::from_ref(value), scheme) == Reading::Nothing;
        let left: Vec<_> = values.iter().filter(is_other).map(|value| value.as_bytes().to_vec()).collect();
        assert_eq!(ask(&everybody, &AUTHORIZATION, &values), passed(left.clone()), "{scheme}, everybody");

        // Two headers are rejected with every order of preference.
        let accepted = |values| Outcome { inside: Some(values), claims: true, status: 200, challenge: None };
        let expected = if good || none { accepted(all) } else { rejected.clone() };
        let header_first = layer.clone().add_token_source(good_source()).prefer_first_token_source();
        assert_eq!(ask(&header_first, &AUTHORIZATION, &values), expected, "{scheme}, header first");

        let expected = if reading == Reading::Several { rejected } else { accepted(left) };
        let source = TokenSource::header_with_scheme(AUTHORIZATION, Scheme::new(scheme).unwrap());
        let header_last = layer.clone().token_source(good_source()).add_token_source(source);
        let header_last = header_last.prefer_first_token_source().strip_credential();
        assert_eq!(ask(&header_last, &AUTHORIZATION, &values), expected, "{scheme}, header last");
    }
    Corpus::Keep
});
