//! What whoever runs a service is told: events (feature `tracing`) and measurements (feature `metrics`).
//!
//! Each is a pair of files with the same functions, of which one does nothing.

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

/// A refusal is answered, by whatever part of the crate.
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

/// The keys of a provider were fetched, or found to be as they were, after so many failures.
pub(crate) fn keys_fetched(provider: &Arc<str>, keys: usize, failures: u32) {
    meters::keys_fetched(provider);
    events::keys_fetched(provider, keys, failures);
}

/// They could not be fetched, for so many times in a row. Those that are held may serve on.
pub(crate) fn fetch_failed(
    provider: &Arc<str>,
    error: &(dyn Error + 'static),
    failures: u32,
    serve_on: bool,
) {
    meters::fetch_failed(provider);
    events::fetch_failed(provider, error, failures, serve_on);
}

/// The verifier of a known issuer could not be renewed. It serves on.
pub(crate) fn renewal_failed(issuer: &str, error: &(dyn Error + 'static)) {
    events::renewal_failed(issuer, error);
}

/// A store of revocations was read or written, after so many failures.
pub(crate) fn store_answered(call: &'static str, failures: u64) {
    meters::store_answered(call);
    events::store_answered(call, failures);
}

/// It could not be, for so many times in a row.
pub(crate) fn store_failed(call: &'static str, error: &(dyn Error + 'static), failures: u64) {
    meters::store_failed(call);
    events::store_failed(call, error, failures);
}
