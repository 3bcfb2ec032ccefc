//! Shared by all benches: tokens as an identity provider issues them, and requests that carry them.

#![allow(dead_code, unused_imports, reason = "each bench uses a part of it")]

mod requests;
mod tokens;

pub(crate) use self::requests::{HOST_NAME, PATH, authorization, request, scoped_service, send, service};
pub(crate) use self::tokens::{ISSUER, Issuer, ScopedUser, User, for_peer};

/// Returns the median of the measurements.
pub(crate) fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
