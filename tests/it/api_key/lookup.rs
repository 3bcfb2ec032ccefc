//! API keys in a database.

use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::{Instant, advance, sleep};
use tower_jwt_auth::AuthErrorKind::{self, *};
use tower_jwt_auth::api_key::{ApiKey, ApiKeyRecord, ApiKeys};
use tower_jwt_auth::revocation::Revocations;
use tower_jwt_auth::verifiers::LookupSettings;
use tower_jwt_auth::{ConfigErrorKind, JwtAuthLayer, Verdict, Verify};

use super::{ID, INVALID, KEY, KEY_HASH, error_of, forged, kind_of, record};
use crate::support::*;

/// A database that counts its queries.
#[derive(Clone)]
struct Database(Arc<Inner>);

struct Inner {
    rows: Mutex<Rows>,
    delay: Mutex<Duration>,
    queries: AtomicUsize,
    began: Instant,
}

#[derive(Clone)]
enum Rows {
    Are(Vec<ApiKeyRecord<Value>>),
    /// Returned for every ID.
    Always(ApiKeyRecord<Value>),
    Away,
}

impl Database {
    fn new() -> Self {
        Self(Arc::new(Inner {
            rows: Mutex::new(Rows::Are(vec![record().name("ci")])),
            delay: Mutex::default(),
            queries: AtomicUsize::new(0),
            began: Instant::now(),
        }))
    }

    fn set(&self, rows: Rows) {
        *self.0.rows.lock().unwrap() = rows;
    }

    fn set_delay(&self, delay: Duration) {
        *self.0.delay.lock().unwrap() = delay;
    }

    fn queries(&self) -> usize {
        self.0.queries.load(Ordering::Relaxed)
    }

    async fn find(self, id: String) -> io::Result<Option<ApiKeyRecord<Value>>> {
        self.0.queries.fetch_add(1, Ordering::Relaxed);
        let delay = *self.0.delay.lock().unwrap();
        sleep(delay).await;
        let rows = self.0.rows.lock().unwrap().clone();
        match rows {
            Rows::Are(records) => Ok(records.into_iter().find(|record| record.id == id)),
            Rows::Always(record) => Ok(Some(record)),
            Rows::Away => Err(io::Error::other("the database is away")),
        }
    }

    /// Returns a verifier whose clock moves with the paused one.
    fn keys(&self) -> ApiKeys<Value> {
        let (database, began) = (self.clone(), self.0.began);
        let keys = ApiKeys::lookup("acme", move |id| database.clone().find(id)).unwrap();
        keys.clock(move || at(NOW) + began.elapsed())
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A made-up key, with a right checksum.
fn made_up(number: usize) -> String {
    forged(&format!("{number:012}"))
}

#[test]
fn lookup_needs_a_prefix() {
    let error = ApiKeys::<Value>::lookup("acme_!", async |_| Ok::<_, io::Error>(None)).unwrap_err();
    assert_eq!(error.kind(), ConfigErrorKind::InvalidName);
    assert!(ApiKeys::<Value>::new("acme", []).unwrap().lookup_stats().is_none());
}

#[tokio::test(start_paused = true)]
async fn layer_answers_keys_from_a_database() {
    let database = Database::new();
    let layer = JwtAuthLayer::new(database.keys());
    let invalid = format!("{INVALID}\"the token is not valid\"");
    let malformed = format!("{INVALID}\"the API key is mistyped or incomplete\"");
    for _ in 0..2 {
        assert_eq!(ask(&layer, bearer(KEY)).await.body(), "Hello eze@example.com");
        let response = ask(&layer, bearer(&forged(ID))).await;
        assert_rejected("wrong secret", &response, 401, InvalidToken, &[("www-authenticate", &invalid)]);
        let response = ask(&layer, bearer(&made_up(1))).await;
        assert_rejected("unknown", &response, 401, InvalidToken, &[("www-authenticate", &invalid)]);
        let response = ask(&layer, bearer(&KEY.replace("0qOmv9", "0qOmv8"))).await;
        assert_rejected("mistyped", &response, 401, MalformedApiKey, &[("www-authenticate", &malformed)]);
    }
    // One for each ID. Wrong secrets and mistyped keys cost none.
    assert_eq!(database.queries(), 2);
}

#[tokio::test(start_paused = true)]
async fn wrong_secret_costs_no_lookup() {
    let database = Database::new();
    let keys = database.keys();
    // Also if it comes first.
    for _ in 0..100 {
        assert_eq!(kind_of(&keys, &forged(ID)).await, Some(InvalidToken));
    }
    assert_eq!(kind_of(&keys, KEY).await, None);
    assert_eq!(database.queries(), 1);
    assert_eq!(keys.lookup_stats().unwrap().accepted(), 1);
}

#[tokio::test(start_paused = true)]
async fn failed_lookups_are_never_401() {
    let other = ApiKey::generate("acme").unwrap();
    let hash = |hash: &str| Rows::Always(ApiKeyRecord::from_parts(ID, hash, Value::Null));
    for (name, rows, delay, cause) in [
        ("away", Rows::Away, 0, "the database is away"),
        (
            "hangs",
            Rows::Are(vec![record()]),
            1000,
            "the lookup takes too long; LookupSettings::timeout sets the limit",
        ),
        (
            "unusable hash",
            hash(&KEY_HASH[1..]),
            0,
            "invalid record of the API key `4vJ8kQ2mX7Zp`: its hash is not 43 characters of base64url; \
             ApiKey::hash returns the right one",
        ),
        (
            "another key",
            Rows::Always(ApiKeyRecord::new(&other, Value::Null)),
            0,
            "the lookup returned the record of a key with another ID; compare IDs exactly, with upper and lower case",
        ),
    ] {
        let database = Database::new();
        database.set(rows);
        database.set_delay(seconds(delay));
        let keys = database.keys();
        let layer = JwtAuthLayer::new(keys.clone());
        for key in [KEY, &forged(ID)] {
            let began = Instant::now();
            let response = ask(&layer, bearer(key)).await;
            assert_rejected(name, &response, 503, Unavailable, &[("retry-after", "1")]);
            assert!(began.elapsed() <= seconds(2), "{name}");
        }
        sleep(seconds(40)).await;
        let error = error_of(&keys, KEY).await;
        assert_eq!((error.kind(), &*error.source().unwrap().to_string()), (Unavailable, cause), "{name}");
        database.set(Rows::Are(vec![record()]));
        database.set_delay(Duration::ZERO);
        sleep(seconds(40)).await;
        assert_eq!(kind_of(&keys, KEY).await, None, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn remembered_keys_survive_an_outage() {
    let database = Database::new();
    let keys = database.keys();
    assert_eq!(kind_of(&keys, KEY).await, None);
    database.set(Rows::Away);
    for _ in 0..59 {
        advance(seconds(1)).await;
        assert_eq!(kind_of(&keys, KEY).await, None);
        assert_eq!(kind_of(&keys, &made_up(1)).await, Some(Unavailable));
    }
    advance(seconds(1)).await;
    assert_eq!(kind_of(&keys, KEY).await, Some(Unavailable));
}

#[tokio::test(start_paused = true)]
async fn unknown_ids_are_remembered_for_a_while() {
    let database = Database::new();
    database.set(Rows::Are(Vec::new()));
    let keys = database.keys();
    for _ in 0..100 {
        assert_eq!(kind_of(&keys, KEY).await, Some(InvalidToken));
    }
    database.set(Rows::Are(vec![record()]));
    advance(Duration::from_millis(4_999)).await;
    assert_eq!(kind_of(&keys, KEY).await, Some(InvalidToken));
    assert_eq!(database.queries(), 1);
    advance(Duration::from_millis(1)).await;
    assert_eq!(kind_of(&keys, KEY).await, None);
}

#[tokio::test(start_paused = true)]
async fn deleted_keys_are_rejected_after_the_age() {
    for (name, settings, age) in [("default", None, 60), ("set", Some(10), 10)] {
        let database = Database::new();
        let mut keys = database.keys();
        if let Some(age) = settings {
            keys = keys.lookup_settings(LookupSettings::new().max_age(seconds(age)));
        }
        assert_eq!(kind_of(&keys, KEY).await, None);
        database.set(Rows::Are(Vec::new()));
        advance(seconds(age) - Duration::from_millis(1)).await;
        assert!(matches!(keys.verify(KEY.into()), Verdict::Ready(Ok(_))), "{name}");
        advance(Duration::from_millis(1)).await;
        assert_eq!(kind_of(&keys, KEY).await, Some(InvalidToken), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn forgotten_keys_are_looked_up_at_once() {
    let database = Database::new();
    let keys = database.keys();
    assert_eq!(kind_of(&keys, KEY).await, None);
    database.set(Rows::Are(Vec::new()));
    keys.forget("000000000000");
    keys.forget("");
    assert_eq!(kind_of(&keys, KEY).await, None);
    keys.clone().forget(ID);
    assert_eq!(kind_of(&keys, KEY).await, Some(InvalidToken));
    // The same for unknown ones.
    database.set(Rows::Are(vec![record()]));
    assert_eq!(kind_of(&keys, KEY).await, Some(InvalidToken));
    keys.forget(ID);
    assert_eq!(kind_of(&keys, KEY).await, None);
}

#[tokio::test(start_paused = true)]
async fn one_lookup_serves_a_thousand_requests() {
    let database = Database::new();
    database.set_delay(seconds(1));
    let keys = database.keys();
    let wrong = forged(ID);
    let key = |n: usize| if n.is_multiple_of(2) { KEY } else { &wrong };
    let kinds = join_all((0..1000).map(|n| kind_of(&keys, key(n)))).await;
    for (n, kind) in kinds.into_iter().enumerate() {
        let expected: Option<AuthErrorKind> = (!n.is_multiple_of(2)).then_some(InvalidToken);
        assert_eq!(kind, expected, "{n}");
    }
    assert_eq!(database.queries(), 1);
}

#[tokio::test(start_paused = true)]
async fn flood_of_made_up_ids_is_bounded() {
    let database = Database::new();
    let settings = LookupSettings::new().max_in_flight(8).max_waiting(100).max_entries(1000);
    let keys = database.keys().lookup_settings(settings);
    assert_eq!(kind_of(&keys, KEY).await, None);
    database.set_delay(seconds(1));
    let flood = (0..10_000).map(|n| {
        let (keys, key) = (keys.clone(), made_up(n));
        async move { kind_of(&keys, &key).await }
    });
    let kinds = join_all(flood).await;
    let rejected = kinds.iter().filter(|kind| **kind == Some(InvalidToken)).count();
    assert!(kinds.iter().all(|kind| [Some(InvalidToken), Some(Unavailable)].contains(kind)));
    // Two rounds of six within the timeout, at most: two calls are reserved.
    assert!((6..=12).contains(&rejected), "{rejected}");
    assert!(database.queries() <= 1 + 16, "{}", database.queries());
    // The known key did not notice.
    assert!(matches!(keys.verify(KEY.into()), Verdict::Ready(Ok(_))));
}

#[tokio::test(start_paused = true)]
async fn expiry_and_revocation_hold_for_remembered_keys() {
    let database = Database::new();
    database.set(Rows::Are(vec![record().expires_at(at(NOW + 30))]));
    let revocations = Revocations::new();
    let keys = database.keys();
    let guarded = keys.clone().revocations(revocations.clone());
    assert_eq!(kind_of(&keys, KEY).await, None);
    assert_eq!(kind_of(&guarded, KEY).await, None);
    drop(revocations.revoke_token("acme", ID, at(NOW + 30)));
    assert_eq!(kind_of(&guarded, KEY).await, Some(Revoked));
    advance(seconds(30)).await;
    // An expired key costs no lookup for each request.
    for _ in 0..100 {
        assert_eq!(kind_of(&keys, KEY).await, Some(Expired));
        assert_eq!(kind_of(&keys, &forged(ID)).await, Some(InvalidToken));
    }
    assert_eq!(database.queries(), 1);
}

#[cfg(feature = "tracing")]
#[tokio::test(start_paused = true)]
async fn logs_of_lookups_name_only_known_keys() {
    let database = Database::new();
    let layer = JwtAuthLayer::new(database.keys());
    let log = crate::events::Log::begin();
    ask(&layer, bearer(&forged(ID))).await;
    ask(&layer, bearer(&made_up(7))).await;
    let rejected = " INFO tower_jwt_auth: request rejected: the token is not valid kind=\"invalid_token\" status=401 issuer=\"acme\"";
    assert_eq!(
        log.take(),
        format!(
            "{rejected} kid=\"{ID}\" key_name=\"ci\" cause=\"the secret of the API key is wrong\"\n\
             {rejected} cause=\"no API key has this ID\"\n"
        )
    );
    database.set(Rows::Away);
    ask(&layer, bearer(&made_up(8))).await;
    let logged = log.take();
    assert!(logged.contains("the database is away") && !logged.contains("000000000008"), "{logged}");
}
