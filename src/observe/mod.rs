//! Events (feature `tracing`) and metrics (feature `metrics`) for operators.
//!
//! Each comes as a pair of files with the same functions. In one of them they do nothing.

#[cfg(feature = "tracing")]
mod events;
#[cfg(not(feature = "tracing"))]
#[path = "events_off.rs"]
mod events;
#[cfg(feature = "metrics")]
mod meters;
#[cfg(not(feature = "metrics"))]
#[path = "meters_off.rs"]
mod meters;

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use http::StatusCode;

pub(crate) use self::events::{About, MayBeLogged, keys_skipped};
#[cfg(feature = "metrics")]
pub use self::meters::describe_metrics;
pub(crate) use self::meters::{
    HeldKeys, Timer, cache_looked_up, cooldown_hit, rejected_waiter, request_accepted, request_passed,
    request_refused, revocations_held, stale_use,
};
use crate::kind::AuthErrorKind;

/// Records a rejection that was sent, by any part of the crate.
pub(crate) fn refusal_answered(
    kind: AuthErrorKind,
    status: StatusCode,
    about: &About,
    reason: &dyn Display,
    cause: Option<&(dyn Error + 'static)>,
) {
    meters::refusal_answered(kind);
    events::refusal_answered(kind, status, about, reason, cause);
}

/// Records that keys were fetched or found unchanged, after this many failures.
pub(crate) fn keys_fetched(provider: &Arc<str>, keys: usize, failures: u32) {
    meters::keys_fetched(provider);
    events::keys_fetched(provider, keys, failures);
}

/// Records a failed fetch, the last of this many in a row. `serve_on` is true if keys are still held.
pub(crate) fn fetch_failed(
    provider: &Arc<str>,
    error: &(dyn Error + 'static),
    failures: u32,
    serve_on: bool,
) {
    meters::fetch_failed(provider);
    events::fetch_failed(provider, error, failures, serve_on);
}

/// Records that a followed file was read, after this many failures.
pub(crate) fn file_read(path: &Arc<str>, failures: u32) {
    meters::file_read(path);
    events::file_read(path, failures);
}

/// Records that a followed file could not be read or parsed, this many times in a row. `is_new` is true for another error than
/// last time.
pub(crate) fn file_failed(path: &Arc<str>, error: &(dyn Error + 'static), failures: u32, is_new: bool) {
    meters::file_failed(path);
    events::file_failed(path, error, failures, is_new);
}

/// Records that the verifier of a known issuer could not be renewed. It stays in use.
pub(crate) fn renewal_failed(issuer: &str, error: &(dyn Error + 'static)) {
    events::renewal_failed(issuer, error);
}

/// Counts a lookup of a credential in another service.
pub(crate) fn looked_up(service: &'static str, outcome: &'static str) {
    meters::looked_up(service, outcome);
}

/// Records that lookups work, after this many failures.
pub(crate) fn lookups_recovered(service: &str, failures: u32) {
    events::lookups_recovered(service, failures);
}

/// Records a failed lookup, the last of this many in a row. Zero if only this credential has failed.
pub(crate) fn lookup_failed(service: &str, error: &(dyn Error + 'static), failures: u32) {
    events::lookup_failed(service, error, failures);
}

/// Records that the revocation store was read or written, after this many failures.
pub(crate) fn store_answered(call: &'static str, failures: u64) {
    meters::store_answered(call);
    events::store_answered(call, failures);
}

/// Records that the revocation store failed, this many times in a row.
pub(crate) fn store_failed(call: &'static str, error: &(dyn Error + 'static), failures: u64) {
    meters::store_failed(call);
    events::store_failed(call, error, failures);
}
