//! Revocations and proofs shared through a real Redis server, which each test starts for itself.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod replay;
mod server;

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::sleep;
use tower_jwt_auth::issue::TokenIssuer;
use tower_jwt_auth::revocation::{
    RedisStore, Revocation, RevocationStore, Revocations, SharedRevocations, check_revocation_store,
};
use tower_jwt_auth::{AuthErrorKind, JwtVerifier};

use self::server::Server;

#[derive(serde::Deserialize, serde::Serialize)]
struct Session {
    sid: String,
}

/// One process: its list and its verifier.
struct Process {
    revocations: Revocations,
    verifier: JwtVerifier<Session>,
}

/// Issues the tokens for all processes.
struct Tokens(TokenIssuer);

impl Tokens {
    fn new() -> Self {
        Self(TokenIssuer::for_tests())
    }

    fn process(&self, server: &Server) -> Process {
        self.process_with(SharedRevocations::new(RedisStore::new(&server.url()).unwrap()))
    }

    fn process_with(&self, shared: SharedRevocations) -> Process {
        let revocations = shared.start().unwrap();
        Process { verifier: self.0.verifier().revocations(revocations.clone()), revocations }
    }

    fn of(&self, sid: &str) -> String {
        self.0.issue(&Session { sid: sid.to_owned() }).unwrap().as_str().to_owned()
    }

    async fn judge(&self, process: &Process, sid: &str) -> Option<AuthErrorKind> {
        process.verifier.verify(&self.of(sid)).await.err().map(|error| error.kind())
    }

    /// Waits up to a second for this verdict.
    async fn within_a_second(&self, process: &Process, sid: &str, expected: Option<AuthErrorKind>) {
        self.within(Duration::from_secs(1), process, sid, expected).await;
    }

    /// Counts attempts, not time: if the machine stalls this process, that counts as one attempt.
    async fn within(&self, limit: Duration, process: &Process, sid: &str, expected: Option<AuthErrorKind>) {
        const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
        let start = Instant::now();
        for _ in 0..limit.as_millis() / BETWEEN_LOOKS.as_millis() {
            if self.judge(process, sid).await == expected {
                return;
            }
            sleep(BETWEEN_LOOKS).await;
        }
        let stats = process.revocations.shared_stats();
        panic!("{sid} is not {expected:?} within {limit:?}, after {:?}: {stats:?}", start.elapsed());
    }

    fn end(&self, process: &Process, sid: &str) -> tower_jwt_auth::revocation::RevocationWrite {
        process.revocations.revoke_session(ISSUER, sid, in_a_while())
    }
}

const ISSUER: &str = "https://issuer.test";

/// In whole seconds, as entries are stored.
fn in_a_while() -> SystemTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    UNIX_EPOCH + Duration::from_secs(now + 900)
}

fn session(sid: &str, expires_at: SystemTime) -> Revocation {
    Revocation::session(ISSUER, sid, expires_at)
}

fn execute<T: redis::FromRedisValue>(server: &Server, command: &[&str]) -> T {
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    redis::cmd(command[0]).arg(&command[1..]).query(&mut connection).unwrap()
}

use AuthErrorKind::{RevocationsUnavailable, Revoked};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn passes_the_conformance_test_for_stores() {
    let server = Server::start("conformance");
    check_revocation_store(|| RedisStore::new(&server.url()).unwrap()).await;
    let store = RedisStore::new(&server.url()).unwrap().key_prefix("other");
    check_revocation_store(|| store.clone()).await;
    let mut keys: Vec<String> = execute(&server, &["KEYS", "*"]);
    keys.sort_unstable();
    assert_eq!(keys, ["{other}:held", "{other}:news", "{tower-jwt-auth}:held", "{tower-jwt-auth}:news"]);
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn revocation_reaches_others_within_a_second() {
    let (server, tokens) = (Server::start("within-a-second"), Tokens::new());
    let (first, second) = (tokens.process(&server), tokens.process(&server));
    // Nothing passes before the list has been read.
    assert_eq!(tokens.judge(&first, "a").await, Some(RevocationsUnavailable));
    first.revocations.ready().await.unwrap();
    second.revocations.ready().await.unwrap();
    for sid in ["a", "b", "c"] {
        assert_eq!(tokens.judge(&second, sid).await, None);
        let recorded = tokens.end(&first, sid);
        assert_eq!(tokens.judge(&first, sid).await, Some(Revoked), "at once");
        recorded.await.unwrap();
        tokens.within_a_second(&second, sid, Some(Revoked)).await;
    }
    let third = tokens.process(&server);
    third.revocations.ready().await.unwrap();
    assert_eq!(tokens.judge(&third, "a").await, Some(Revoked), "a revocation before its start");
    assert_eq!(tokens.judge(&third, "d").await, None);
    let age = third.revocations.shared_stats().unwrap().age().unwrap();
    assert!(age < Duration::from_secs(2), "{age:?}");
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn server_crash_loses_no_revocation() {
    let (mut server, tokens) = (Server::start("crash"), Tokens::new());
    let (first, second) = (tokens.process(&server), tokens.process(&server));
    first.revocations.ready().await.unwrap();
    second.revocations.ready().await.unwrap();
    for round in ["one", "two"] {
        let (before, during, after) =
            (format!("before {round}"), format!("during {round}"), format!("after {round}"));
        // The server may not have saved this entry yet.
        tokens.end(&first, &before).await.unwrap();
        server.kill();
        let error = tokens.end(&first, &during).await.unwrap_err();
        assert!(
            error.to_string().starts_with("the shared store has not confirmed the revocation"),
            "{error}"
        );
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(first.revocations.shared_stats().unwrap().waiting(), 1);
        assert_eq!(tokens.judge(&first, &during).await, Some(Revoked));
        assert_eq!(tokens.judge(&second, &during).await, None, "it keeps serving during the outage");
        server.restart();
        tokens.within_a_second(&second, &during, Some(Revoked)).await;
        tokens.end(&second, &after).await.unwrap();
        tokens.within_a_second(&first, &after, Some(Revoked)).await;
        let third = tokens.process(&server);
        third.revocations.ready().await.unwrap();
        for sid in [&before, &during, &after] {
            tokens.within_a_second(&third, sid, Some(Revoked)).await;
        }
    }
    assert_eq!(first.revocations.shared_stats().unwrap().waiting(), 0);
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn running_processes_keep_what_the_server_loses() {
    let (mut server, tokens) = (Server::start("forgets"), Tokens::new());
    let (first, second) = (tokens.process(&server), tokens.process(&server));
    first.revocations.ready().await.unwrap();
    second.revocations.ready().await.unwrap();
    tokens.end(&first, "a").await.unwrap();
    tokens.within_a_second(&second, "a", Some(Revoked)).await;
    let _: () = execute(&server, &["FLUSHALL"]);
    tokens.end(&first, "b").await.unwrap();
    tokens.within_a_second(&second, "b", Some(Revoked)).await;
    server.kill();
    server.forget();
    server.restart();
    tokens.end(&second, "c").await.unwrap();
    for process in [&first, &second] {
        for sid in ["a", "b", "c"] {
            tokens.within_a_second(process, sid, Some(Revoked)).await;
        }
    }
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn outdated_list_rejects_unknown_tokens() {
    let (server, tokens) = (Server::start("outage"), Tokens::new());
    let store = RedisStore::new(&server.url()).unwrap();
    let process = tokens.process_with(SharedRevocations::new(store).outage_limit(Duration::ZERO));
    process.revocations.ready().await.unwrap();
    tokens.end(&process, "a").await.unwrap();
    // The server hangs with open connections.
    server.signal("-STOP");
    // At most four seconds, counted in attempts: a stall of this process counts as one.
    let mut looks = 0;
    while tokens.judge(&process, "b").await.is_none() {
        assert!(looks < 80, "the list never becomes outdated");
        sleep(Duration::from_millis(50)).await;
        looks += 1;
    }
    let age = process.revocations.shared_stats().unwrap().age().unwrap();
    assert!(age >= Duration::from_secs(2), "the list is outdated too soon: {age:?}");
    assert_eq!(tokens.judge(&process, "b").await, Some(RevocationsUnavailable));
    assert_eq!(tokens.judge(&process, "a").await, Some(Revoked), "known revocations stay");
    assert!(!process.revocations.is_ready());
    server.signal("-CONT");
    tokens.within_a_second(&process, "b", None).await;
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn list_recovers_as_soon_as_its_store_answers() {
    let (server, tokens) = (Server::start("soon"), Tokens::new());
    let start = async || {
        let store = RedisStore::new(&server.url()).unwrap();
        let process = tokens.process_with(SharedRevocations::new(store).outage_limit(Duration::ZERO));
        let began = Instant::now();
        process.revocations.ready().await.unwrap();
        (began.elapsed(), process)
    };
    let (mut soonest, process) = start().await;
    for _ in 0..3 {
        soonest = soonest.min(start().await.0);
    }
    assert!(soonest < Duration::from_millis(400), "the first read waits for new entries: {soonest:?}");

    // Short outages without a failed attempt, but with responses that come too late to be current.
    const OUTAGE: Duration = Duration::from_millis(1600);
    let (mut looks, mut rejected) = (0, 0);
    for _ in 0..4 {
        let _: () = execute(&server, &["CLIENT", "PAUSE", &OUTAGE.as_millis().to_string(), "ALL"]);
        sleep(OUTAGE).await;
        let back = Instant::now();
        while back.elapsed() < Duration::from_millis(1300) {
            looks += 1;
            rejected += u32::from(tokens.judge(&process, "a").await.is_some());
            sleep(Duration::from_millis(5)).await;
        }
    }
    // At most one second of more than five.
    assert!(rejected * 5 < looks, "{rejected} of {looks} in four outages");
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn lagging_reader_reads_everything_again() {
    let server = Server::start("missed");
    let (reading, writing) =
        (RedisStore::new(&server.url()).unwrap(), RedisStore::new(&server.url()).unwrap());
    writing.write(vec![session("first", in_a_while())]).await.unwrap();
    let position = read_on(&reading, None).await.0;
    // More entries than the stream keeps.
    let missed: Vec<_> = (0..6000).map(|n| session(&format!("missed {n}"), in_a_while())).collect();
    for batch in missed.chunks(500) {
        writing.write(batch.to_vec()).await.unwrap();
    }
    let (_, seen) = read_on(&reading, Some(position.clone())).await;
    assert_eq!(seen.len(), 6000, "everything, including new entries");
    let others = "for n = 1, 110000 do redis.call('XADD', KEYS[1], '*', 'other', n) end";
    let _: () = execute(&server, &["EVAL", others, "1", "{tower-jwt-auth}:news"]);
    for sid in ["second", "third"] {
        // Each write removes some of the surplus.
        writing.write(vec![session(sid, in_a_while())]).await.unwrap();
    }
    let kept: u64 = execute(&server, &["XLEN", "{tower-jwt-auth}:news"]);
    assert!(kept < 100_500, "the stream has a limit: {kept}");
    let (position, seen) = read_on(&reading, Some(position)).await;
    assert!(missed.iter().all(|one| seen.contains(one)), "{}", seen.len());

    // Midway the server is replaced by one that has lost the stream.
    let page = reading.read(None).await.unwrap();
    assert!(page.next_position().starts_with("held "), "{}", page.next_position());
    let run_id = page.next_position().split(' ').nth(1).unwrap();
    let elsewhere = page.next_position().replace(run_id, &"0".repeat(run_id.len()));
    assert!(read_on(&reading, Some(elsewhere)).await.1.len() >= 6003);
    // The last entry has the same id but is another one: the server lost it and used the id again.
    assert!(position.starts_with("news "), "{position}");
    let digit = if position.ends_with('1') { "2" } else { "1" };
    let another = format!("{}{digit}", &position[..position.len() - 1]);
    assert!(read_on(&reading, Some(another)).await.1.len() >= 6003);
    let _: () = execute(&server, &["DEL", "{tower-jwt-auth}:news"]);
    let (position, seen) = read_on(&reading, Some(position)).await;
    assert!(seen.len() >= 6003);
    writing.write(vec![session("last", in_a_while())]).await.unwrap();
    assert_eq!(read_on(&reading, Some(position)).await.1.len(), 1);
}

async fn read_on(store: &RedisStore, mut position: Option<String>) -> (String, HashSet<Revocation>) {
    let mut seen = HashSet::new();
    loop {
        let page = store.read(position).await.unwrap();
        seen.extend(page.revocations().iter().cloned());
        if !page.has_more() {
            return (page.next_position().to_owned(), seen);
        }
        position = Some(page.next_position().to_owned());
    }
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn server_keeps_an_entry_one_hour_past_expiry() {
    let server = Server::start("expiry");
    let store = RedisStore::new(&server.url()).unwrap();
    let ago = |minutes: u64| SystemTime::now() - Duration::from_secs(60 * minutes);
    let old: Vec<_> = (0..500).map(|n| session(&format!("old {n}"), ago(62))).collect();
    let recent: Vec<_> = (0..500).map(|n| session(&format!("recent {n}"), ago(58))).collect();
    store.write(old).await.unwrap();
    store.write(recent).await.unwrap();
    let held: u64 = execute(&server, &["ZCARD", "{tower-jwt-auth}:held"]);
    assert_eq!(held, 500);
    for member in ["not JSON", "{\"iss\":\"a\"}", "{\"iss\":\"a\",\"jti\":\"b\",\"sid\":\"c\",\"exp\":1}"] {
        let _: () = execute(&server, &["ZADD", "{tower-jwt-auth}:held", "4000000000", member]);
        let _: () = execute(&server, &["XADD", "{tower-jwt-auth}:news", "*", "revocation", member]);
    }
    let bytes = "redis.call('ZADD', KEYS[1], 4000000000, '\\255\\254'); redis.call('ZADD', KEYS[1], 1, '\\255'); \
                 redis.call('XADD', KEYS[2], '*', 'revocation', '\\255\\254', '\\255', 'x')";
    let _: () = execute(&server, &["EVAL", bytes, "2", "{tower-jwt-auth}:held", "{tower-jwt-auth}:news"]);
    let (position, seen) = read_on(&store, None).await;
    assert_eq!(seen.len(), 500, "foreign entries are skipped");
    store.write(vec![session("after it", in_a_while())]).await.unwrap();
    assert_eq!(read_on(&store, Some(position)).await.1.len(), 1);
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn ending_list_writes_its_last_entries() {
    let (server, tokens) = (Server::start("last"), Tokens::new());
    let (first, second) = (tokens.process(&server), tokens.process(&server));
    second.revocations.ready().await.unwrap();
    for n in 0..2000 {
        drop(tokens.end(&first, &n.to_string()));
    }
    drop(first);
    for n in [0, 1000, 1999] {
        // The list tries for half a minute. Another test checks that a second is enough normally.
        tokens.within(Duration::from_secs(10), &second, &n.to_string(), Some(Revoked)).await;
    }
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn explains_why_the_server_cannot_be_read() {
    let server = Server::start("password");
    let _: () = execute(&server, &["CONFIG", "SET", "requirepass", "secret"]);
    let store = RedisStore::new(&server.url().replace("redis://", "redis://:wrong@")).unwrap();
    let revocations =
        SharedRevocations::new(store).ready_timeout(Duration::from_millis(500)).start().unwrap();
    let start = Instant::now();
    while revocations.shared_stats().unwrap().failed_reads() == 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "the password is not rejected");
        sleep(Duration::from_millis(5)).await;
    }
    let error = revocations.ready().await.unwrap_err();
    assert_eq!(error.kind(), RevocationsUnavailable);
    let stats = revocations.shared_stats().unwrap();
    let cause = stats.last_error().unwrap().to_string();
    assert!(cause.to_lowercase().contains("password") && !cause.contains("wrong@"), "{cause}");
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn rejects_a_replica() {
    let (server, other) = (Server::start("replica"), Server::start("primary"));
    let store = RedisStore::new(&server.url()).unwrap();
    let address = other.url().replace("redis://127.0.0.1:", "");
    let _: () = execute(&server, &["REPLICAOF", "127.0.0.1", &address]);
    let error = store.read(None).await.unwrap_err().to_string();
    assert_eq!(error, "the server is a replica, which may lag behind");
    let _: () = execute(&server, &["REPLICAOF", "NO", "ONE"]);
    let (position, _) = read_on(&store, None).await;
    // Over a connection that existed before it became a replica.
    let _: () = execute(&server, &["REPLICAOF", "127.0.0.1", &address]);
    let error = store.read(Some(position)).await.unwrap_err().to_string();
    assert_eq!(error, "the server is a replica, which may lag behind");
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn error_omits_the_command_that_a_server_repeats() {
    let server = Server::start_with("unknown", &["--rename-command", "ZADD", ""]);
    let store = RedisStore::new(&server.url()).unwrap();
    let error = store.write(vec![session("a secret", in_a_while())]).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("unknown command") && !shown.contains("secret"), "{shown}");
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn writes_entries_without_permission_to_clean_up() {
    let server = Server::start("acl");
    let _: () = execute(&server, &["ACL", "SETUSER", "default", "-zrangebyscore"]);
    let store = RedisStore::new(&server.url()).unwrap();
    for n in 0..3 {
        store.write(vec![session(&n.to_string(), in_a_while())]).await.unwrap();
    }
    assert_eq!(read_on(&store, None).await.1.len(), 3);
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn store_clones_do_not_wait_for_each_other() {
    let (server, tokens) = (Server::start("clones"), Tokens::new());
    let store = RedisStore::new(&server.url()).unwrap();
    let shared = || SharedRevocations::new(store.clone()).outage_limit(Duration::ZERO);
    let processes: Vec<_> = (0..12).map(|_| tokens.process_with(shared())).collect();
    for process in &processes {
        process.revocations.ready().await.unwrap();
    }
    let mut last = Instant::now();
    for n in 0..50 {
        sleep(Duration::from_millis(60)).await;
        if last.elapsed() > Duration::from_millis(500) {
            // The machine stalled this process, so a list may be outdated until the store responds again.
            for process in &processes {
                process.revocations.ready().await.unwrap();
            }
        }
        assert!(processes.iter().all(|process| process.revocations.is_ready()), "{n}");
        last = Instant::now();
    }
    drop(tokens.end(&processes[0], "a"));
    for process in &processes {
        tokens.within_a_second(process, "a", Some(Revoked)).await;
    }
}

/// Starts a server that also accepts TLS on the next port, with a certificate for `localhost`.
#[cfg(feature = "redis-tls")]
fn start_with_tls(name: &str) -> (Server, u16) {
    let port = server::free_port();
    let [certificate, key, ca] = ["tls-localhost.pem", "tls-localhost.private.pem", "tls-ca.pem"]
        .map(|file| format!("{}/tests/fixtures/{file}", env!("CARGO_MANIFEST_DIR")));
    let options = [
        ["--tls-port", &port.to_string()],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &ca],
        ["--tls-auth-clients", "no"],
    ];
    (Server::start_with(name, options.as_flattened()), port)
}

#[cfg(feature = "redis-tls")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn connects_over_tls() {
    let (_server, port) = start_with_tls("tls");
    let store = |host: &str| RedisStore::new(&format!("rediss://{host}:{port}")).unwrap();
    let ca = include_str!("../fixtures/tls-ca.pem");
    let other = include_str!("../fixtures/rsa2048.certificate.pem");
    let error = store("localhost").read(None).await.unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer") || error.contains("certificate"), "{error}");
    let error = store("localhost").root_certificates(other).unwrap().read(None).await.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    // An address that the certificate does not contain.
    let error = store("127.0.0.2").root_certificates(ca).unwrap().read(None).await.unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");

    let trusted = store("localhost").root_certificates(ca).unwrap().key_prefix("tls");
    check_revocation_store(|| trusted.clone()).await;
    let (tokens, by_address) = (Tokens::new(), store("127.0.0.1").root_certificates(ca).unwrap());
    let [first, second] = [0, 1].map(|_| tokens.process_with(SharedRevocations::new(by_address.clone())));
    second.revocations.ready().await.unwrap();
    tokens.end(&first, "a").await.unwrap();
    tokens.within_a_second(&second, "a", Some(Revoked)).await;
}
