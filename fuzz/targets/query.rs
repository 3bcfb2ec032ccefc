//! A token in the query, compared to a simple reader of RFC 6750, section 2.3 and of
//! `application/x-www-form-urlencoded`.
//!
//! An input is the query, with `{}` for the good token.
#![no_main]

use std::sync::LazyLock;

use http::Uri;
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;
use tower_jwt_auth::{JwtAuthLayer, JwtVerifier, TokenSource};
use tower_jwt_auth_fuzz::{Outcome, Reading, ask_for, filled, good_source, hs256, verifier};

const NAME: &[u8] = b"access_token";

static LAYER: LazyLock<JwtAuthLayer<JwtVerifier<Value>>> =
    LazyLock::new(|| JwtAuthLayer::new(verifier(hs256().public.clone().into())).token_source(source()));

fn source() -> TokenSource {
    TokenSource::query(std::str::from_utf8(NAME).unwrap())
}

/// The text before the query, and its normal form if there is no path.
const ADDRESSES: [(&str, &str); 3] = [
    ("/access_token={}", "/access_token={}"),
    ("https://api.example.com:8443", "https://api.example.com:8443/"),
    ("http://api.example.com/a", "http://api.example.com/a"),
];

/// Decodes the name and value of a parameter. Invalid encoding stands for itself.
fn parameter(text: &str) -> (Vec<u8>, Vec<u8>) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (decoded(name.as_bytes()), decoded(value.as_bytes()))
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    let mut decoded = Vec::new();
    let mut rest = text;
    while let [first, others @ ..] = rest {
        rest = others;
        decoded.push(match (first, others) {
            (b'+', _) => b' ',
            (b'%', [high, low, others @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = others;
                    high * 16 + low
                }
                _ => b'%',
            },
            (byte, _) => *byte,
        });
    }
    decoded
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let input = filled(input);
    for (address, written) in ADDRESSES {
        let text = [&filled(address.as_bytes()), &b"?"[..], &input].concat();
        let Ok(uri) = Uri::try_from(&text[..]) else {
            return Corpus::Reject;
        };
        let written = String::from_utf8(filled(written.as_bytes())).expect("it is ASCII");
        // The query ends at a `#`.
        let query = uri.query().expect("there is a question mark");
        let parts: Vec<_> = query.split('&').map(|part| (part, parameter(part))).collect();
        let is_own = |(name, _): &(Vec<u8>, Vec<u8>)| name == NAME;
        let own: Vec<_> = parts.iter().map(|(_, pair)| pair).filter(|pair| is_own(pair)).collect();
        let reading = match own[..] {
            [] => Reading::Nothing,
            [(_, value)] => Reading::token(value),
            _ => Reading::Several,
        };
        let (status, challenge) = reading.answer();
        let good = status == 200;
        let rejected = Outcome { inside: None, claims: false, status, challenge };
        let passed = |uri: String| Outcome { inside: Some(uri), claims: good, status: 200, challenge: None };
        let all = || format!("{written}?{query}");

        let expected = if good { passed(all()) } else { rejected.clone() };
        assert_eq!(ask_for(&*LAYER, &uri), expected);

        let expected = if good || reading == Reading::Nothing { passed(all()) } else { rejected.clone() };
        assert_eq!(ask_for(&LAYER.clone().optional(), &uri), expected, "optional");

        let others: Vec<_> = parts.iter().filter(|(_, pair)| !is_own(pair)).map(|(part, _)| *part).collect();
        let left =
            if others.is_empty() { written.clone() } else { format!("{written}?{}", others.join("&")) };
        let everybody = LAYER.clone().allow_invalid().strip_credential();
        assert_eq!(ask_for(&everybody, &uri), passed(left.clone()), "everybody");

        let accepted = |uri| Outcome { inside: Some(uri), claims: true, status: 200, challenge: None };
        let expected = if good || reading == Reading::Nothing { accepted(all()) } else { rejected };
        let query_first = LAYER.clone().add_token_source(good_source()).prefer_first_token_source();
        assert_eq!(ask_for(&query_first, &uri), expected, "query first");

        let query_last = LAYER.clone().token_source(good_source()).add_token_source(source());
        let query_last = query_last.prefer_first_token_source().strip_credential();
        assert_eq!(ask_for(&query_last, &uri), accepted(left.clone()), "query last");

        // The same if the query is not read.
        let unread = LAYER.clone().token_source(good_source()).add_token_source(source().only_if(|_| false));
        assert_eq!(ask_for(&unread.strip_credential(), &uri), accepted(left), "query unread");
    }
    Corpus::Keep
});
