//! Replaces `tls` if its feature is off.

use redis::Client;

/// The requirement of `rediss://` URLs.
pub(super) const NEEDED: &str = "`rediss://` needs TLS; enable the feature `redis-tls`";

pub(super) fn prepare(_: &Client) {}
