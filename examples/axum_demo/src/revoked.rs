//! The list that tokens are held against: of this process, or shared by Redis.

use tower_jwt_auth::{Revocations, SharedRevocations};

use crate::error::report_redis;
use crate::settings::{SettingError, Settings};

/// Waits for Redis, but not for long: sign-ins need none of it, and tokens are answered with 503 until it is there.
pub(crate) async fn list(settings: &Settings) -> Result<Revocations, SettingError> {
    let revocations = match &settings.redis {
        None => Revocations::new(),
        Some(store) => {
            let shared = SharedRevocations::new(store.clone()).ready_limit(settings.limits.redis_start);
            shared.start().map_err(|error| SettingError::new("REDIS_URL", error.to_string()))?
        }
    };
    if let Err(error) = revocations.ready().await {
        report_redis(&error);
    }
    let clock = settings.clock.clone();
    Ok(revocations.clock(move || clock.now()))
}
