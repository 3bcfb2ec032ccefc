//! The list that tokens are held against: of this process, or shared by Redis.

use std::time::Duration;

use tokio::time::sleep;
use tower_jwt_auth::revocation::{Revocations, SharedRevocations};

use crate::settings::{SettingError, Settings};

/// How often it is looked whether Redis answers, and how old what it last said may be. The list asks it all the time.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
const AWAY: Duration = Duration::from_secs(3);

/// Waits for Redis, but not for long: sign-ins need none of it, and tokens are answered with 503 until it is there.
pub(crate) async fn list(settings: &Settings) -> Result<Revocations, SettingError> {
    let revocations = match &settings.redis {
        None => Revocations::new(),
        Some(store) => {
            shared(SharedRevocations::new(store.clone()).ready_timeout(settings.limits.redis_start)).await?
        }
    };
    // Where it is the system's, the list sees by itself that it was put ahead.
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

/// Says on standard error when Redis goes away, and when it is back.
async fn watch(revocations: Revocations, mut answers: bool) {
    loop {
        sleep(BETWEEN_LOOKS).await;
        let age = revocations.shared_stats().and_then(|stats| stats.age());
        match (answers, age.is_some_and(|age| age < AWAY)) {
            (true, false) => report_away(&revocations),
            (false, true) => eprintln!("REDIS_URL: Redis answers again"),
            _ => continue,
        }
        answers = !answers;
    }
}

fn report_away(revocations: &Revocations) {
    let cause = revocations.shared_stats().and_then(|stats| stats.last_error());
    let cause = cause.map_or_else(|| "no answer yet".to_owned(), |error| error.to_string());
    let consequence = match revocations.is_ready() {
        true => {
            "sign-outs do not reach other processes, and in a minute tokens are refused with 503 until it does"
        }
        false => "tokens are refused with 503 until it does",
    };
    eprintln!("REDIS_URL: Redis does not answer ({cause}): {consequence}");
}
