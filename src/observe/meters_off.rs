//! Replaces `meters.rs` if the feature `metrics` is off.

use std::pin::Pin;
use std::sync::Arc;

use crate::kind::AuthErrorKind;

#[inline]
pub(crate) fn request_accepted() {}

#[inline]
pub(crate) fn request_passed(_: AuthErrorKind) {}

#[inline]
pub(crate) fn request_refused(_: AuthErrorKind) {}

#[inline]
pub(super) fn refusal_answered(_: AuthErrorKind) {}

pub(crate) struct Timer;

impl Timer {
    #[inline]
    pub(crate) fn start() -> Self {
        Self
    }

    #[inline]
    pub(crate) fn stop<T, E>(self, _: &Result<T, E>) {}

    #[inline]
    pub(crate) fn until<T, E>(self, verdict: Waiting<T, E>) -> Waiting<T, E> {
        verdict
    }
}

type Waiting<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

#[inline]
pub(crate) fn cache_looked_up(_: bool) {}

#[inline]
pub(super) fn keys_fetched(_: &Arc<str>) {}

#[inline]
pub(super) fn fetch_failed(_: &Arc<str>) {}

pub(crate) struct HeldKeys;

impl HeldKeys {
    #[inline]
    pub(crate) fn new(_: &Arc<str>) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn are(&self, _: impl FnOnce() -> usize, _: impl FnOnce() -> usize) {}

    #[inline]
    pub(crate) fn end(&self) {}
}

#[inline]
pub(crate) fn stale_use(_: &Arc<str>) {}

#[inline]
pub(crate) fn cooldown_hit(_: &Arc<str>) {}

#[inline]
pub(crate) fn rejected_waiter(_: &Arc<str>) {}

#[inline]
pub(crate) fn revocations_held(_: isize) {}

#[inline]
pub(super) fn store_answered(_: &'static str) {}

#[inline]
pub(super) fn store_failed(_: &'static str) {}

#[inline]
pub(super) fn looked_up(_: &'static str, _: &'static str) {}

#[inline]
pub(super) fn file_read(_: &Arc<str>) {}

#[inline]
pub(super) fn file_failed(_: &Arc<str>) {}
