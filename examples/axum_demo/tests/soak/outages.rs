//! Outages of Redis, the database and the provider, one after the other.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::postgres_server::PostgresServer;
use crate::process::Process;
use crate::redis_server::Server as RedisServer;
use crate::site::{Site, Until};

/// Duration after which an outage of Redis can cause 503. The limit is a minute since the last response from Redis,
/// which came shortly before the outage.
const LONG: Duration = Duration::from_secs(58);

#[derive(Default)]
pub(crate) struct Outages {
    pub(crate) redis: Outage,
    pub(crate) database: Outage,
    pub(crate) provider: Outage,
}

/// All outages of one server.
#[derive(Default)]
pub(crate) struct Outage(Mutex<Vec<Times>>);

#[derive(Clone, Copy)]
struct Times {
    began: Instant,
    ended: Option<Instant>,
}

impl Outage {
    fn begin(&self) {
        self.0.lock().unwrap().push(Times { began: Instant::now(), ended: None });
    }

    fn end(&self) {
        self.0.lock().unwrap().last_mut().unwrap().ended = Some(Instant::now());
    }

    /// Returns whether there was an outage since then, or one that ended shortly before.
    pub(crate) fn touches(&self, since: Instant, aftermath: Duration) -> bool {
        self.last().is_some_and(|times| times.ended.is_none_or(|ended| ended + aftermath > since))
    }

    /// Like `touches`, for an outage that started before `begun_by`.
    pub(crate) fn began_and_touches(&self, begun_by: Instant, since: Instant, aftermath: Duration) -> bool {
        let all = self.0.lock().unwrap();
        all.iter()
            .any(|times| times.began <= begun_by && times.ended.is_none_or(|ended| ended + aftermath > since))
    }

    fn last(&self) -> Option<Times> {
        self.0.lock().unwrap().last().copied()
    }

    /// Like `touches`, for an outage after which the revocation list is too old.
    pub(crate) fn lasts_long(&self, since: Instant, aftermath: Duration) -> bool {
        self.touches(since, aftermath)
            && self.last().is_some_and(|times| times.ended.unwrap_or_else(Instant::now) - times.began > LONG)
    }
}

/// The servers with outages.
pub(crate) struct Servers {
    pub(crate) redis: RedisServer,
    pub(crate) postgres: PostgresServer,
    pub(crate) processes: Arc<[Process; 2]>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    RedisHangs,
    RedisCrashes,
    RedisForgets,
    RedisIsAwayForLong,
    DatabaseStops,
    DatabaseIsLocked,
    ProviderIsAway,
}

/// All kinds except the long one.
const ALL: [Kind; 6] = [
    Kind::RedisHangs,
    Kind::DatabaseIsLocked,
    Kind::ProviderIsAway,
    Kind::RedisCrashes,
    Kind::DatabaseStops,
    Kind::RedisForgets,
];

impl Servers {
    /// Causes one outage after the other, with equally long pauses, until the time is up.
    pub(crate) async fn go_and_come(&mut self, site: &Site, each: Duration, until: Until) {
        for kind in ALL.into_iter().cycle() {
            sleep(each.min(until.left())).await;
            // Recovery takes some time.
            if until.left() < 2 * each {
                return;
            }
            self.suffer(kind, site, each).await;
        }
    }

    /// Causes a Redis outage that exceeds the outage limit of the revocation list.
    pub(crate) async fn lose_redis_for_long(&mut self, site: &Site) {
        self.suffer(Kind::RedisIsAwayForLong, site, LONG + Duration::from_secs(12)).await;
    }

    async fn suffer(&mut self, kind: Kind, site: &Site, time: Duration) {
        let outage = match kind {
            Kind::DatabaseStops | Kind::DatabaseIsLocked => &site.outages.database,
            Kind::ProviderIsAway => &site.outages.provider,
            _ => &site.outages.redis,
        };
        outage.begin();
        match kind {
            Kind::RedisHangs => {
                self.redis.signal("-STOP");
                sleep(time).await;
                self.redis.signal("-CONT");
            }
            Kind::RedisCrashes | Kind::RedisForgets | Kind::RedisIsAwayForLong => {
                block_in_place(|| self.redis.kill());
                sleep(time).await;
                if matches!(kind, Kind::RedisForgets) {
                    self.redis.forget();
                }
                block_in_place(|| self.redis.restart());
            }
            Kind::DatabaseStops => {
                block_in_place(|| self.postgres.stop());
                sleep(time).await;
                block_in_place(|| self.postgres.start_again());
            }
            Kind::DatabaseIsLocked => self.lock_database(time).await,
            Kind::ProviderIsAway => {
                self.processes.iter().for_each(|process| process.tell("provider away"));
                sleep(time).await;
                self.processes.iter().for_each(|process| process.tell("provider back"));
            }
        }
        outage.end();
        site.tally.count("outages", format!("{kind:?}"));
    }

    /// Locks the database, so writers wait.
    async fn lock_database(&self, time: Duration) {
        let mut database = PgConnection::connect(&self.postgres.url()).await.unwrap();
        let mut transaction = database.begin().await.unwrap();
        let lock = "LOCK TABLE sessions, refresh_tokens, counts IN EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut *transaction).await.unwrap();
        sleep(time).await;
        transaction.rollback().await.unwrap();
    }
}
