//! A token in the subprotocols of a WebSocket, compared to a simple reader of RFC 6455, section 11.3.4 and
//! to the documentation of `TokenSource::websocket_protocol`.
//!
//! An input has a line for each `Sec-WebSocket-Protocol` header, with `{}` for the good token.
#![no_main]

use std::sync::LazyLock;

use http::HeaderValue;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;
use tower_jwt_auth::{JwtAuthLayer, JwtVerifier, TokenSource};
use tower_jwt_auth_fuzz::{Outcome, Reading, ask, good_source, header_lines, hs256, verifier};

const MARKER: &[u8] = b"bearer";

static LAYER: LazyLock<JwtAuthLayer<JwtVerifier<Value>>> =
    LazyLock::new(|| JwtAuthLayer::new(verifier(hs256().public.clone().into())).token_source(source()));

fn source() -> TokenSource {
    TokenSource::websocket_protocol(std::str::from_utf8(MARKER).unwrap()).unwrap()
}

/// Returns the entries of the list. Several lines count as one.
fn entries(values: &[HeaderValue]) -> Vec<Vec<u8>> {
    let lines: Vec<_> = values.iter().map(HeaderValue::as_bytes).collect();
    let mut entries = Vec::new();
    for part in lines.join(&b","[..]).split(|byte| *byte == b',') {
        let is_blank = |byte: &&u8| b" \t".contains(*byte);
        let start = part.iter().take_while(is_blank).count();
        let end = part.iter().rev().take_while(is_blank).count();
        if start < part.len() {
            entries.push(part[start..part.len() - end].to_vec());
        }
    }
    entries
}

/// Returns the tokens of a list, and the entries that neither are nor contain one.
fn tokens(entries: &[Vec<u8>]) -> (Vec<&[u8]>, Vec<&[u8]>) {
    let (mut tokens, mut others) = (Vec::new(), Vec::new());
    for (position, entry) in entries.iter().enumerate() {
        let is_named = position > 0 && entries[position - 1] == MARKER;
        if entry.len() > MARKER.len() && entry.starts_with(MARKER) && entry[MARKER.len()] == b'.' {
            tokens.push(&entry[MARKER.len() + 1..]);
        } else if is_named && entry != MARKER {
            tokens.push(&entry[..]);
        } else {
            others.push(&entry[..]);
        }
    }
    (tokens, others)
}

/// Returns the list that the inner service sees.
fn left(tokens: &[&[u8]], others: &[&[u8]]) -> Vec<Vec<u8>> {
    // If there are several tokens, any entry may be a part of one.
    let is_left = |entry: &&&[u8]| tokens.len() <= 1 && !tokens.contains(entry);
    let left: Vec<_> = others.iter().filter(is_left).copied().collect();
    if left.is_empty() { Vec::new() } else { vec![left.join(&b", "[..])] }
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(values) = header_lines(input) else {
        return Corpus::Reject;
    };
    let entries = entries(&values);
    let (tokens, others) = tokens(&entries);
    let reading = match tokens[..] {
        [] if others.contains(&MARKER) => Reading::Broken,
        [] => Reading::Nothing,
        [token] => Reading::token(token),
        _ => Reading::Several,
    };
    let (status, challenge) = reading.answer();
    let good = status == 200;
    let rejected = Outcome { inside: None, claims: false, status, challenge };
    let passed = Outcome { inside: Some(left(&tokens, &others)), claims: good, status: 200, challenge: None };

    let expected = if good { &passed } else { &rejected };
    assert_eq!(ask(&*LAYER, &SEC_WEBSOCKET_PROTOCOL, &values), *expected);

    let expected = if good || reading == Reading::Nothing { &passed } else { &rejected };
    assert_eq!(ask(&LAYER.clone().optional(), &SEC_WEBSOCKET_PROTOCOL, &values), *expected, "optional");

    for everybody in [LAYER.clone().allow_invalid(), LAYER.clone().allow_invalid().strip_credential()] {
        assert_eq!(ask(&everybody, &SEC_WEBSOCKET_PROTOCOL, &values), passed, "everybody");
    }

    let accepted = Outcome { claims: true, ..passed };
    let expected = if good || reading == Reading::Nothing { &accepted } else { &rejected };
    let list_first = LAYER.clone().add_token_source(good_source()).prefer_first_token_source();
    assert_eq!(ask(&list_first, &SEC_WEBSOCKET_PROTOCOL, &values), *expected, "list first");

    let list_last = LAYER.clone().token_source(good_source()).add_token_source(source());
    let list_last = list_last.prefer_first_token_source();
    assert_eq!(ask(&list_last, &SEC_WEBSOCKET_PROTOCOL, &values), accepted, "list last");
    Corpus::Keep
});
