//! A token in a cookie (RFC 6265, section 4.2).
//!
//! Names are compared byte for byte. Only white space of the header's grammar is trimmed. Browsers enforce the promises
//! of the prefix `__Host-` for the exact prefix only, not for names that look like it.

use std::borrow::Cow;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::{Found, only_token};

pub(super) fn find<'a>(headers: &'a HeaderMap, name: &str) -> Found<'a> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(pairs);
    let values = pairs.filter_map(|pair| value(pair, name)).filter(|value| !value.is_empty());
    only_token(values.map(Cow::Borrowed))
}

/// Removes the cookie from a header. `None` if nothing is left.
pub(super) fn without(header: &HeaderValue, name: &str) -> Option<HeaderValue> {
    let rest: Vec<_> = pairs(header).filter(|pair| value(pair, name).is_none()).collect();
    let mut left =
        HeaderValue::from_bytes(&rest.join(&b"; "[..])).expect("parts of a header value are valid");
    left.set_sensitive(true);
    (!rest.is_empty()).then_some(left)
}

fn pairs(header: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    header.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

/// Returns the value of a cookie if it has this name.
fn value<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}
