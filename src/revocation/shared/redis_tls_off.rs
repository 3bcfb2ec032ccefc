//! Replaces `redis_tls` if its feature is off.

use redis::Client;

/// What a `rediss://` URL needs.
pub(super) const NEEDED: &str = "`rediss://` needs TLS, which is off; switch on the feature `redis-tls`";

pub(super) fn prepare(_: &Client) {}
