//! A token in the list of subprotocols of a WebSocket (RFC 6455, section 11.3.4).

use std::borrow::Cow;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue};

use super::{Found, only_token};
use crate::kind::AuthErrorKind;

pub(super) fn find<'a>(headers: &'a HeaderMap, marker: &str) -> Found<'a> {
    let is_marker = |entry: &[u8]| entry == marker.as_bytes();
    let found = only_token(entries(headers, marker).filter_map(|(_, token)| token).map(Cow::Borrowed))?;
    match found {
        None if entries(headers, marker).any(|(entry, _)| is_marker(entry)) => {
            Err(AuthErrorKind::MalformedCredential)
        }
        found => Ok(found),
    }
}

/// Removes the token. The other entries stay, in one header line.
pub(super) fn take_out(headers: &mut HeaderMap, marker: &str) {
    let tokens: Vec<_> = entries(headers, marker).filter_map(|(_, token)| token).take(2).collect();
    let rest: Vec<_> = match tokens[..] {
        // The layer rejects or ignores such a list. Any entry may be part of a token, so nothing is kept.
        [_, _, ..] => Vec::new(),
        // The token may also appear as a protocol.
        _ => entries(headers, marker)
            .filter(|(entry, token)| token.is_none() && !tokens.contains(entry))
            .map(|(entry, _)| entry)
            .collect(),
    };
    let mut list =
        HeaderValue::from_bytes(&rest.join(&b", "[..])).expect("parts of a header value are valid");
    list.set_sensitive(true);
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if !list.is_empty() {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, list);
    }
}

/// Iterates over the entries of the list, each with the token that it is or contains.
fn entries<'a>(headers: &'a HeaderMap, marker: &str) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let entries = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let mut follows_marker = false;
    entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty()).map(move |entry| {
        let is_marker = entry == marker.as_bytes();
        let follows = std::mem::replace(&mut follows_marker, is_marker);
        let joined = entry.strip_prefix(marker.as_bytes()).and_then(|rest| rest.strip_prefix(b"."));
        (entry, joined.or((follows && !is_marker).then_some(entry)))
    })
}
