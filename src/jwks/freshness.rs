//! Freshness lifetime of a response (RFC 9111, section 4.2).

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};

/// Returns the remaining freshness lifetime. `None` if the response states none.
pub(crate) fn lifetime(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    let mut max_age = None;
    for directive in values.flat_map(|value| value.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return Some(Duration::ZERO);
        }
        if name.eq_ignore_ascii_case("max-age") && max_age.is_none() {
            max_age = seconds(value);
        }
    }
    let age = headers.get(AGE).and_then(|value| value.to_str().ok()).and_then(seconds);
    max_age.map(|max_age| max_age.saturating_sub(age.unwrap_or_default()))
}

/// Parses seconds. A number that overflows counts as the largest (RFC 9111, section 1.2.2).
fn seconds(text: &str) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn computes_remaining_lifetime() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (cache_control, age, expected) in [
            (&[][..], None, None),
            (&["max-age=300"], None, seconds(300)),
            (&["public, Max-Age=300, must-revalidate"], Some("100"), seconds(200)),
            (&["public", "max-age=\"300\""], None, seconds(300)),
            (&["max-age=300, max-age=1"], None, seconds(300)),
            (&["max-age=300"], Some("400"), seconds(0)),
            (&["max-age=300"], Some("soon"), seconds(300)),
            (&["no-store, max-age=300"], None, seconds(0)),
            (&["max-age=300, No-Cache"], None, seconds(0)),
            (&["s-maxage=300"], None, None),
            (&["max-age=-1"], None, None),
            (&["max-age="], None, None),
            (&["max-age"], None, None),
            (&["max-age=99999999999999999999999"], None, seconds(u64::MAX)),
            (&["private"], Some("10"), None),
        ] {
            let mut headers = HeaderMap::new();
            for value in cache_control {
                headers.append(CACHE_CONTROL, HeaderValue::from_static(value));
            }
            if let Some(age) = age {
                headers.insert(AGE, HeaderValue::from_static(age));
            }
            assert_eq!(lifetime(&headers), expected, "{cache_control:?}, {age:?}");
        }
    }
}
