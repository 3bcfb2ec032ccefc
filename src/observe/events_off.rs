//! Replaces `events.rs` if the feature `tracing` is off.

use std::error::Error;
use std::fmt::Display;

use http::StatusCode;

use crate::kind::AuthErrorKind;

#[derive(Clone, Debug, Default)]
pub(crate) struct About(());

impl About {
    #[inline]
    pub(crate) fn new(_: impl FnOnce() -> Option<String>, _: impl FnOnce() -> Option<String>) -> Self {
        Self(())
    }

    #[cfg(feature = "api-keys")]
    #[inline]
    pub(crate) fn api_key(_: &str, _: Option<&str>, _: Option<&str>) -> Self {
        Self(())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        true
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MayBeLogged(());

impl MayBeLogged {
    #[inline]
    pub(crate) fn new(_: impl FnOnce() -> bool, _: impl FnOnce() -> bool) -> Self {
        Self(())
    }

    #[inline]
    pub(crate) fn about<'a>(
        self,
        _: impl FnOnce() -> Option<&'a str>,
        _: impl FnOnce() -> Option<&'a str>,
    ) -> About {
        About(())
    }
}

#[inline]
pub(super) fn refusal_answered(
    _: AuthErrorKind,
    _: StatusCode,
    _: &About,
    _: &dyn Display,
    _: Option<&(dyn Error + 'static)>,
) {
}

#[inline]
pub(super) fn keys_fetched(_: &str, _: usize, _: u32) {}

#[inline]
pub(super) fn fetch_failed(_: &str, _: &(dyn Error + 'static), _: u32, _: bool) {}

#[inline]
pub(super) fn file_read(_: &str, _: u32) {}

#[inline]
pub(super) fn file_failed(_: &str, _: &(dyn Error + 'static), _: u32, _: bool) {}

#[inline]
pub(super) fn renewal_failed(_: &str, _: &(dyn Error + 'static)) {}

#[inline]
pub(crate) fn keys_skipped(_: &str, _: &[impl Display]) {}

#[inline]
pub(super) fn lookups_recovered(_: &str, _: u32) {}

#[inline]
pub(super) fn lookup_failed(_: &str, _: &(dyn Error + 'static), _: u32) {}

#[inline]
pub(super) fn store_answered(_: &str, _: u64) {}

#[inline]
pub(super) fn store_failed(_: &str, _: &(dyn Error + 'static), _: u64) {}
