//! The refresh cookie. Scripts cannot read it, and pages of other sites cannot send it.

use std::time::Duration;

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName};
use cookie::{Cookie, SameSite};

use crate::refresh_tokens::RefreshToken;

/// Sets and finds the refresh cookie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefreshCookie {
    /// True if users connect by https.
    pub(crate) secure: bool,
}

impl RefreshCookie {
    pub(crate) fn set(self, token: &RefreshToken, lasts: Duration) -> [(HeaderName, String); 1] {
        self.header(token.as_str(), lasts)
    }

    pub(crate) fn remove(self) -> [(HeaderName, String); 1] {
        self.header("", Duration::ZERO)
    }

    pub(crate) fn find(self, headers: &HeaderMap) -> Option<RefreshToken> {
        headers
            .get_all(COOKIE)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
            // Skips other cookies, which may hold anything. ASCII also rules out whitespace that browsers do not trim.
            .filter(|pair| pair.is_ascii())
            .filter_map(|pair| Cookie::parse(str::from_utf8(pair).ok()?).ok())
            .find(|cookie| cookie.name() == self.name())
            .map(|cookie| RefreshToken::presented(cookie.value()))
    }

    /// Browsers accept the `__Host-` prefix only by https and from this host. A sibling domain cannot set it.
    fn name(self) -> &'static str {
        if self.secure { "__Host-refresh" } else { "refresh" }
    }

    fn header(self, value: &str, lasts: Duration) -> [(HeaderName, String); 1] {
        let cookie = Cookie::build((self.name(), value))
            .http_only(true)
            .same_site(SameSite::Strict)
            .secure(self.secure)
            .path("/")
            .max_age(cookie::time::Duration::seconds(lasts.as_secs() as i64));
        [(SET_COOKIE, cookie.to_string())]
    }
}
