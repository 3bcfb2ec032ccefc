//! How long a response may be kept, and how often the library fetches it.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, DATE};

use crate::duration::shown;

/// The defaults of `RemoteKeys::refresh_between`, and its interval if the provider states none.
const FLOOR: Duration = Duration::from_secs(60);
const CEILING: Duration = Duration::from_secs(60 * 60);
const UNSTATED: Duration = Duration::from_secs(10 * 60);

/// Says how often the library will fetch, and why.
pub(crate) fn interval(headers: &HeaderMap) -> String {
    let interval = lifetime(headers).unwrap_or(UNSTATED).min(CEILING).max(FLOOR);
    let stated = match cache_control(headers) {
        Some(text) => format!("`Cache-Control: {text}`"),
        None => "no `Cache-Control`".to_owned(),
    };
    let age = headers.get(AGE).map(|age| format!(", `Age: {}`", String::from_utf8_lossy(age.as_bytes())));
    format!("every {} or up to a fifth earlier: {stated}{}", shown(interval), age.unwrap_or_default())
}

/// Returns how far the provider's clock is from this one. Positive if the provider is ahead.
pub(crate) fn skew(headers: &HeaderMap, now: SystemTime) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    // A cache has kept the response for this long (RFC 9111, section 5.1).
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.parse().ok()).unwrap_or_default();
    let date = date.checked_add(Duration::from_secs(age))?;
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).ok();
    match date.duration_since(now) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => seconds(behind.duration()).map(|seconds| -seconds),
    }
}

fn cache_control(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(CACHE_CONTROL).iter();
    let texts: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!texts.is_empty()).then(|| texts.join(", ").chars().take(100).collect())
}

/// Returns the remaining lifetime as the library reads it (RFC 9111, section 4.2). `None` if none is stated.
fn lifetime(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    let mut max_age = None;
    for directive in values.flat_map(|value| value.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" if max_age.is_none() => max_age = seconds(value.trim().trim_matches('"')),
            _ => {}
        }
    }
    let age = headers.get(AGE).and_then(|age| seconds(age.to_str().ok()?)).unwrap_or_default();
    max_age.map(|max_age| max_age.saturating_sub(age))
}

fn seconds(text: &str) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    /// Returns headers from lines of name and value.
    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        lines.iter().copied().map(header).collect()
    }

    #[test]
    fn interval_is_that_of_library() {
        for (lines, expected) in [
            (&[][..], "every 10 min or up to a fifth earlier: no `Cache-Control`"),
            (&[("cache-control", "max-age=300")], "every 5 min"),
            (
                &[("cache-control", "max-age=300"), ("age", "100")],
                "every 3 min or up to a fifth earlier: `Cache-Control: max-age=300`, `Age: 100`",
            ),
            (&[("cache-control", "max-age=86400")], "every 60 min"),
            (&[("cache-control", "no-store, max-age=300")], "every 60 s"),
            (&[("cache-control", "public"), ("cache-control", "Max-Age=\"600\"")], "every 10 min"),
            (&[("cache-control", "max-age=x")], "every 10 min"),
        ] {
            let text = interval(&headers(lines));
            assert!(text.starts_with(expected), "{lines:?}: {text}");
        }
    }

    #[test]
    fn skew_counts_age_of_response() {
        let date = ("date", "Fri, 15 Jan 2027 08:00:00 GMT");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        for (lines, expected) in [
            (&[date][..], Some(0)),
            (&[date, ("age", "100")], Some(100)),
            (&[("date", "Fri, 15 Jan 2027 07:59:00 GMT")], Some(-60)),
            (&[("date", "soon")], None),
            (&[date, ("age", "18446744073709551615")], None),
            (&[], None),
        ] {
            assert_eq!(skew(&headers(lines), now), expected, "{lines:?}");
        }
    }
}
