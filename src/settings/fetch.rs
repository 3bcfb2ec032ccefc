//! The limits of fetched keys.

use std::time::Duration;

use super::names::Names;
use super::values::FetchValues;
use crate::config_error::ConfigError;
use crate::jwks::RemoteKeys;

/// The defaults of `RemoteKeys`.
const REFRESH_MIN: u64 = 60;
const REFRESH_MAX: u64 = 60 * 60;

pub(super) fn check(values: &FetchValues, names: &Names) -> Result<(), ConfigError> {
    let FetchValues { refresh_min_secs, refresh_max_secs, .. } = values;
    if refresh_min_secs.unwrap_or(REFRESH_MIN) > refresh_max_secs.unwrap_or(REFRESH_MAX) {
        let reason = "the shortest time is longer than the longest; change one";
        return Err(names.conflict("fetch.refresh_min_secs", "fetch.refresh_max_secs", reason));
    }
    Ok(())
}

pub(super) fn limited(mut keys: RemoteKeys, values: &FetchValues) -> RemoteKeys {
    let seconds = Duration::from_secs;
    if values.refresh_min_secs.is_some() || values.refresh_max_secs.is_some() {
        let floor = values.refresh_min_secs.unwrap_or(REFRESH_MIN);
        keys = keys.refresh_between(seconds(floor), seconds(values.refresh_max_secs.unwrap_or(REFRESH_MAX)));
    }
    if let Some(cooldown) = values.cooldown_secs {
        keys = keys.cooldown(seconds(cooldown));
    }
    if let Some(timeout) = values.timeout_secs {
        keys = keys.fetch_timeout(seconds(timeout));
    }
    if let Some(limit) = values.outage_limit_secs {
        keys = keys.outage_limit(seconds(limit));
    }
    keys
}
