//! Opens the revocation list, in memory or shared through Redis.

use std::time::Duration;

use tokio::time::sleep;
use tower_jwt_auth::revocation::{Revocations, SharedRevocations};

use crate::settings::{SettingError, Settings};

/// Time between two checks of the connection to Redis.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Age of the last response from Redis that counts as an outage. The list polls more often.
const AWAY: Duration = Duration::from_secs(3);

/// Opens the list and waits briefly for Redis. Sign-in works without Redis; tokens get 503 until it responds.
pub(crate) async fn list(settings: &Settings) -> Result<Revocations, SettingError> {
    let revocations = match &settings.redis {
        None => Revocations::new(),
        Some(store) => {
            shared(SharedRevocations::new(store.clone()).ready_timeout(settings.limits.redis_start)).await?
        }
    };
    // The list uses the system clock by default, and then detects clock jumps itself.
    if settings.clock.is_the_systems() {
        return Ok(revocations);
    }
    let clock = settings.clock.clone();
    Ok(revocations.clock(move || clock.now()))
}

async fn shared(list: SharedRevocations) -> Result<Revocations, SettingError> {
    let revocations = list.start().map_err(|error| SettingError::new("REDIS_URL", error.to_string()))?;
    let answers = revocations.ready().await.is_ok();
    if !answers {
        report_away(&revocations);
    }
    tokio::spawn(watch(revocations.clone(), answers));
    Ok(revocations)
}

/// Logs the start and the end of Redis outages to standard error.
async fn watch(revocations: Revocations, mut answers: bool) {
    loop {
        sleep(BETWEEN_LOOKS).await;
        let age = revocations.shared_stats().and_then(|stats| stats.age());
        match (answers, age.is_some_and(|age| age < AWAY)) {
            (true, false) => report_away(&revocations),
            (false, true) => eprintln!("REDIS_URL: Redis responds again"),
            _ => continue,
        }
        answers = !answers;
    }
}

fn report_away(revocations: &Revocations) {
    let cause = revocations.shared_stats().and_then(|stats| stats.last_error());
    let cause = cause.map_or_else(|| "no response yet".to_owned(), |error| error.to_string());
    let consequence = match revocations.is_ready() {
        true => {
            "sign-outs do not reach other processes; after a minute, tokens are rejected with 503 until it does"
        }
        false => "tokens are rejected with 503 until it does",
    };
    eprintln!("REDIS_URL: Redis does not respond ({cause}): {consequence}");
}
