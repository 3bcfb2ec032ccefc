//! A token in a cookie, compared to a simple reader of RFC 6265, section 4.2.1.
//!
//! An input has a line for each `Cookie` header, with `{}` for the good token.
#![no_main]

use std::sync::LazyLock;

use http::HeaderValue;
use http::header::COOKIE;
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;
use tower_jwt_auth::{JwtAuthLayer, JwtVerifier, TokenSource};
use tower_jwt_auth_fuzz::{Outcome, Reading, ask, good_source, header_lines, hs256, verifier};

const NAME: &[u8] = b"__Host-token";

static LAYER: LazyLock<JwtAuthLayer<JwtVerifier<Value>>> =
    LazyLock::new(|| JwtAuthLayer::new(verifier(hs256().public.clone().into())).token_source(source()));

fn source() -> TokenSource {
    TokenSource::cookie(std::str::from_utf8(NAME).unwrap()).unwrap()
}

/// Splits a header into cookies, each into the parts before and after the first `=`.
fn cookies(header: &[u8]) -> Vec<(&[u8], Option<&[u8]>)> {
    let is_blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let mut cookies = Vec::new();
    for part in header.split(|byte| *byte == b';') {
        let Some(start) = part.iter().position(|byte| !is_blank(byte)) else {
            continue;
        };
        let end = part.iter().rposition(|byte| !is_blank(byte)).expect("there is a first one");
        let part = &part[start..=end];
        cookies.push(match part.iter().position(|byte| *byte == b'=') {
            Some(sign) => (&part[..sign], Some(&part[sign + 1..])),
            None => (part, None),
        });
    }
    cookies
}

fn read(values: &[HeaderValue]) -> Reading<'_> {
    let all = values.iter().flat_map(|value| cookies(value.as_bytes()));
    let own: Vec<_> = all.filter(|(name, _)| *name == NAME).filter_map(|(_, value)| value).collect();
    // A sign-out leaves an empty cookie.
    match *own.into_iter().filter(|value| !value.is_empty()).collect::<Vec<_>>() {
        [] => Reading::Nothing,
        // The token may have any form.
        [value] => Reading::Token(value),
        _ => Reading::Several,
    }
}

/// Returns the header without the cookie, or `None` if nothing is left.
fn without(header: &[u8]) -> Option<Vec<u8>> {
    let is_own = |(name, value): &(&[u8], Option<&[u8]>)| *name == NAME && value.is_some();
    let others = cookies(header).into_iter().filter(|cookie| !is_own(cookie));
    let text = |(name, value): (&[u8], Option<&[u8]>)| match value {
        Some(value) => [name, b"=", value].concat(),
        None => name.to_vec(),
    };
    let others: Vec<_> = others.map(text).collect();
    (!others.is_empty()).then(|| others.join(&b"; "[..]))
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(values) = header_lines(input) else {
        return Corpus::Reject;
    };
    let reading = read(&values);
    let (status, challenge) = reading.answer();
    let good = status == 200;
    let passed =
        |values: Vec<Vec<u8>>| Outcome { inside: Some(values), claims: good, status: 200, challenge: None };
    let rejected = Outcome { inside: None, claims: false, status, challenge };
    let all = || values.iter().map(|value| value.as_bytes().to_vec()).collect();

    let expected = if good { passed(all()) } else { rejected.clone() };
    assert_eq!(ask(&*LAYER, &COOKIE, &values), expected);

    let expected = if good || reading == Reading::Nothing { passed(all()) } else { rejected.clone() };
    assert_eq!(ask(&LAYER.clone().optional(), &COOKIE, &values), expected, "optional");

    let expected = passed(values.iter().filter_map(|value| without(value.as_bytes())).collect());
    assert_eq!(
        ask(&LAYER.clone().allow_invalid().strip_credential(), &COOKIE, &values),
        expected,
        "everybody"
    );

    let accepted = |values| Outcome { inside: Some(values), claims: true, status: 200, challenge: None };
    let expected = if good || reading == Reading::Nothing { accepted(all()) } else { rejected };
    let cookie_first = LAYER.clone().add_token_source(good_source()).prefer_first_token_source();
    assert_eq!(ask(&cookie_first, &COOKIE, &values), expected, "cookie first");

    let cookie_last = LAYER.clone().token_source(good_source()).add_token_source(source());
    let cookie_last = cookie_last.prefer_first_token_source().strip_credential();
    let left = values.iter().filter_map(|value| without(value.as_bytes())).collect();
    assert_eq!(ask(&cookie_last, &COOKIE, &values), accepted(left), "cookie last");
    Corpus::Keep
});
