//! DPoP proofs that several processes accept once.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower_jwt_auth::dpop::{ProofId, RedisReplayStore, ReplayStore};

use super::execute;
use super::server::Server;

/// The deadline that a verifier sets by default.
const DEADLINE: Duration = Duration::from_millis(250);
const SINCE: &str = "{tower-jwt-auth}:proofs-since";
const LOST: &str = "Redis has restarted or lost its data; proofs from before cannot be checked";

fn store(server: &Server) -> RedisReplayStore {
    RedisReplayStore::new(&server.url()).unwrap()
}

/// A proof that is newer than any loss of records in a test.
fn new_proof(jti: &str) -> ProofId {
    ProofId::new(&[7; 32], jti, SystemTime::now() + Duration::from_secs(60))
}

/// A proof that a client makes now. By default, its clock may be five seconds ahead.
fn proof_of_now(jti: &str) -> ProofId {
    ProofId::new(&[7; 32], jti, SystemTime::now() - Duration::from_secs(5))
}

/// Records a proof like a verifier. The error is the text.
async fn record(store: &RedisReplayStore, proof: ProofId) -> Result<bool, String> {
    match timeout(DEADLINE, store.record(proof, Duration::from_secs(60))).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(elapsed) => Err(elapsed.to_string()),
    }
}

/// Waits until the store works again. Each attempt uses another proof.
async fn recovers(store: &RedisReplayStore) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = Instant::now();
    loop {
        let jti = format!("recovers {}", NEXT.fetch_add(1, Ordering::Relaxed));
        match record(store, new_proof(&jti)).await {
            Ok(is_new) => return assert!(is_new, "{jti}"),
            Err(error) => assert!(start.elapsed() < Duration::from_secs(5), "{error}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn one_of_100_concurrent_copies_is_new() {
    let server = Server::start("replay-copies");
    let stores = [store(&server), store(&server)];
    for store in &stores {
        store.connect().await.unwrap();
    }
    for round in 0..20 {
        let proof = new_proof(&round.to_string());
        let mut copies = JoinSet::new();
        for n in 0..100 {
            let store = stores[n % 2].clone();
            copies.spawn(async move { record(&store, proof).await });
        }
        let results = copies.join_all().await;
        let count = |expected| results.iter().filter(|result| **result == Ok(expected)).count();
        assert_eq!((count(true), count(false)), (1, 99), "{results:?}");
    }
    let clients: String = execute(&server, &["CLIENT", "LIST", "TYPE", "normal"]);
    assert_eq!(clients.lines().count(), 3, "one connection a store, and the one of this command: {clients}");
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn accepts_nothing_twice_after_losing_records() {
    type Loss = fn(&mut Server);
    let losses: [(&str, Loss); 4] = [
        ("restart-with-data", |server| {
            server.kill();
            server.restart();
        }),
        ("restart-without-data", |server| {
            server.kill();
            server.forget();
            server.restart();
        }),
        // A snapshot from before the last proofs is loaded.
        ("restart-with-old-data", |server| {
            let _: () = execute(server, &["DEL", &key(proof_of_now("recorded"))]);
            server.kill();
            server.restart();
        }),
        ("flush", |server| execute(server, &["FLUSHALL"])),
    ];
    for (name, lose) in losses {
        let mut server = Server::start(&format!("replay-{name}"));
        let (first, second) = (store(&server), store(&server));
        first.connect().await.unwrap();
        has_all_records(&server);
        let [recorded, unseen] = ["recorded", "unseen"].map(proof_of_now);
        assert_eq!(record(&first, recorded).await, Ok(true), "{name}");
        assert_eq!(record(&second, recorded).await, Ok(false), "{name}");
        lose(&mut server);
        // Also until the connections are there again.
        for n in 0..20 {
            for store in [&first, &second] {
                for proof in [recorded, unseen] {
                    let result = record(store, proof).await;
                    assert!(result.is_err(), "{name} {n}: {result:?}");
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(record(&second, unseen).await, Err(LOST.to_owned()), "{name}");
        recovers(&first).await;
        assert_eq!(record(&first, new_proof("new")).await, Ok(true), "{name}");
        assert_eq!(record(&second, new_proof("new")).await, Ok(false), "{name}");
    }
}

/// A server that was a replica for a while has the data of another one, although its process is the same.
#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn accepts_nothing_twice_after_failback() {
    // By default, a primary waits five seconds for more replicas.
    let at_once = ["--repl-diskless-sync-delay", "0"];
    let [primary, other] = ["replay-primary", "replay-other"].map(|name| Server::start_with(name, &at_once));
    let replicate = |server: &Server, of: Option<&Server>| {
        let port = of.map_or("ONE".to_owned(), |of| of.url().rsplit(':').next().unwrap().to_owned());
        let host = if of.is_some() { "127.0.0.1" } else { "NO" };
        execute::<()>(server, &["REPLICAOF", host, &port]);
    };
    let has_caught_up = async |server: &Server| {
        let start = Instant::now();
        while !execute::<String>(server, &["INFO", "replication"]).contains("master_link_status:up") {
            assert!(start.elapsed() < Duration::from_secs(20), "it does not follow its primary");
            sleep(Duration::from_millis(50)).await;
        }
    };
    let store = store(&primary);
    replicate(&other, Some(&primary));
    has_caught_up(&other).await;
    store.connect().await.unwrap();
    has_all_records(&primary);
    let start = Instant::now();
    while execute::<Option<String>>(&other, &["GET", SINCE]).is_none_or(|since| !since.ends_with(" 0")) {
        assert!(start.elapsed() < Duration::from_secs(20), "the record of the history is not replicated");
        sleep(Duration::from_millis(20)).await;
    }
    replicate(&other, None);
    let proof = proof_of_now("a");
    assert_eq!(record(&store, proof).await, Ok(true));
    replicate(&primary, Some(&other));
    let error = record(&store, proof_of_now("b")).await.unwrap_err();
    assert!(error.contains("replica"), "{error}");
    has_caught_up(&primary).await;
    replicate(&primary, None);
    for _ in 0..20 {
        let result = record(&store, proof).await;
        assert!(result.is_err(), "{result:?}");
        sleep(Duration::from_millis(20)).await;
    }
    recovers(&store).await;
}

/// Changes the server as if it had run since 1970.
pub(crate) fn has_all_records(server: &Server) {
    let since: String = execute(server, &["GET", SINCE]);
    let (run_id, _) = since.split_once(' ').unwrap();
    let _: () = execute(server, &["SET", SINCE, &format!("{run_id} 0")]);
}

fn key(proof: ProofId) -> String {
    format!("{{tower-jwt-auth}}:proof:{proof}")
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn new_server_rejects_proofs_from_before() {
    let server = Server::start("replay-new");
    let store_of_a_process = store(&server);
    assert_eq!(record(&store_of_a_process, new_proof("first")).await, Err(LOST.to_owned()), "not connected");
    let since = || execute::<String>(&server, &["GET", SINCE]);
    let before = since();
    let (run_id, millis) = before.split_once(' ').unwrap();
    let another = store(&server);
    another.connect().await.unwrap();
    another.connect().await.unwrap();
    assert_eq!(since(), before, "another process changes nothing");

    // Clocks may differ by five seconds.
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(millis.parse().unwrap());
    let cases = [
        ("a second before", -1, Err(LOST.to_owned())),
        ("the same time", 0, Err(LOST.to_owned())),
        ("four seconds after", 4, Err(LOST.to_owned())),
        ("five seconds after", 5, Ok(true)),
        ("a minute after", 60, Ok(true)),
    ];
    for (name, seconds, expected) in cases {
        let valid_from = start - Duration::from_secs(1) + Duration::from_secs((seconds + 1) as u64);
        assert_eq!(record(&another, ProofId::new(&[7; 32], name, valid_from)).await, expected, "{name}");
    }
    for nonsense in ["", " ", "1", "other 1", &format!("{run_id} -1"), run_id] {
        let _: () = execute(&server, &["SET", SINCE, nonsense]);
        assert_eq!(record(&another, new_proof(nonsense)).await, Err(LOST.to_owned()), "{nonsense}");
        assert_ne!(since(), nonsense);
    }
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn killed_server_fails_requests_fast() {
    let mut server = Server::start("replay-killed");
    let store = store(&server);
    store.connect().await.unwrap();
    assert_eq!(record(&store, new_proof("a")).await, Ok(true));
    server.kill();
    let start = Instant::now();
    for n in 0..1000 {
        let error = record(&store, new_proof(&n.to_string())).await.unwrap_err();
        assert!(error.contains("refused") || n == 0, "{n}: {error}");
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    server.restart();
    recovers(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn broken_server_gets_few_connections() {
    // Accepts connections and closes them at once.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&accepted);
    thread::spawn(move || listener.incoming().for_each(|_| _ = counter.fetch_add(1, Ordering::Relaxed)));
    let store = RedisReplayStore::new(&url).unwrap();
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..50 {
        let store = store.clone();
        clients.spawn(async move {
            for n in 0..100 {
                assert!(record(&store, new_proof(&format!("{client} {n}"))).await.is_err());
                sleep(Duration::from_millis(10)).await;
            }
        });
    }
    clients.join_all().await;
    // The shortest pauses are 0.05 s, 0.1 s, 0.2 s, 0.4 s, and then 0.5 s.
    let (accepted, most) = (accepted.load(Ordering::Relaxed), 5 + start.elapsed().as_millis() / 500);
    assert!((2..=most).contains(&accepted.into()), "{accepted}, at most {most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn hanging_server_fails_requests_until_it_continues() {
    let server = Server::start("replay-hangs");
    let store = store(&server);
    store.connect().await.unwrap();
    assert_eq!(record(&store, new_proof("before")).await, Ok(true));
    server.signal("-STOP");
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut slow = 0;
    while start.elapsed() < Duration::from_secs(4) {
        let began = Instant::now();
        let proof = new_proof(&format!("{:?}", start.elapsed()));
        assert!(record(&store, proof).await.is_err());
        slow += u32::from(began.elapsed() > DEADLINE / 2);
        slowest = slowest.max(began.elapsed());
        sleep(Duration::from_millis(5)).await;
    }
    assert!(slowest < DEADLINE * 4, "{slowest:?}");
    // Those of the first second, and those that wait for the first attempt to connect again.
    assert!(slow <= 12, "{slow}");
    server.signal("-CONT");
    recovers(&store).await;
    assert_eq!(record(&store, new_proof("before")).await, Ok(false), "it has kept the record");
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn closed_idle_connection_fails_no_request() {
    let server = Server::start("replay-idle");
    let store = store(&server);
    store.connect().await.unwrap();
    for n in 0..5 {
        assert_eq!(record(&store, new_proof(&n.to_string())).await, Ok(true));
        let _: u32 = execute(&server, &["CLIENT", "KILL", "TYPE", "normal"]);
    }
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn lost_response_does_not_count_as_replay() {
    let server = Server::start("replay-response");
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", proxy.local_addr().unwrap());
    let address = server.url().replace("redis://", "");
    thread::spawn(move || {
        for client in proxy.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(&address).unwrap());
            thread::spawn(move || forward_until_a_response_is_lost(client, server));
        }
    });
    let through_proxy = RedisReplayStore::new(&url).unwrap();
    through_proxy.connect().await.unwrap();
    assert_eq!(record(&through_proxy, new_proof("a")).await, Ok(true));
    let expected = "the connection to Redis was lost while the proof was recorded";
    assert_eq!(record(&through_proxy, new_proof(LOSE)).await, Err(expected.to_owned()));
    assert_eq!(record(&store(&server), new_proof(LOSE)).await, Ok(false), "it was recorded");
}

/// The `jti` of a proof whose response the proxy loses once.
const LOSE: &str = "lose the response";

fn forward_until_a_response_is_lost(mut client: TcpStream, mut server: TcpStream) {
    static HAS_LOST: AtomicBool = AtomicBool::new(false);
    let key = key(new_proof(LOSE));
    let mut buffer = [0; 64 * 1024];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        let loses = buffer[..length].windows(key.len()).any(|part| part == key.as_bytes());
        server.write_all(&buffer[..length]).unwrap();
        let length = server.read(&mut buffer).unwrap();
        if loses && !HAS_LOST.swap(true, Ordering::Relaxed) {
            return;
        }
        client.write_all(&buffer[..length]).unwrap();
    }
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn prefixes_and_keys_are_apart() {
    let server = Server::start("replay-prefix");
    let stores = [store(&server), store(&server).key_prefix("other")];
    for store in &stores {
        store.connect().await.unwrap();
        assert_eq!(record(store, new_proof("a")).await, Ok(true), "{store:?}");
        assert_eq!(record(store, new_proof("a")).await, Ok(false), "{store:?}");
    }
    let id = new_proof("a").to_string();
    assert_eq!(id.len(), 43);
    let mut keys: Vec<String> = execute(&server, &["KEYS", "*"]);
    keys.sort_unstable();
    let expected = ["{other}:proof:ID", "{other}:proofs-since", "{tower-jwt-auth}:proof:ID", SINCE];
    assert_eq!(keys, expected.map(|key| key.replace("ID", &id)));
    let lifetime: u64 = execute(&server, &["PTTL", &key(new_proof("a"))]);
    assert!((55_000..=60_000).contains(&lifetime), "{lifetime}");
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn replica_is_rejected() {
    let (server, other) = (Server::start("replay-replica"), Server::start("replay-primary"));
    let store = store(&server);
    store.connect().await.unwrap();
    let address = other.url().replace("redis://127.0.0.1:", "");
    // Over a connection that existed before it became a replica.
    let _: () = execute(&server, &["REPLICAOF", "127.0.0.1", &address]);
    let error = record(&store, new_proof("a")).await.unwrap_err();
    assert!(error.contains("read only replica"), "{error}");
    // Longer than the pause after the first failure.
    sleep(Duration::from_millis(200)).await;
    let error = record(&store, new_proof("a")).await.unwrap_err();
    assert_eq!(error, "the server is a replica, which may lag behind");
    let _: () = execute(&server, &["REPLICAOF", "NO", "ONE"]);
    recovers(&store).await;
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn server_that_evicts_records_is_rejected() {
    let server = Server::start_with("replay-evicts", &["--maxmemory", "50mb"]);
    for policy in ["allkeys-lru", "volatile-ttl"] {
        let _: () = execute(&server, &["CONFIG", "SET", "maxmemory-policy", policy]);
        let error = store(&server).connect().await.unwrap_err().to_string();
        let expected = format!("Redis may evict records by `{policy}`; set `maxmemory-policy noeviction`");
        assert_eq!(error, expected);
    }
    let _: () = execute(&server, &["CONFIG", "SET", "maxmemory", "0"]);
    store(&server).connect().await.expect("without a limit, nothing is evicted");
    let _: () = execute(&server, &["CONFIG", "SET", "maxmemory", "50mb"]);
    let _: () = execute(&server, &["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let store = store(&server);
    store.connect().await.unwrap();
    assert_eq!(record(&store, new_proof("a")).await, Ok(true));
    let _: () = execute(&server, &["CONFIG", "SET", "maxmemory", "1"]);
    let error = record(&store, new_proof("b")).await.unwrap_err();
    assert!(error.contains("OOM"), "{error}");
    let _: () = execute(&server, &["CONFIG", "SET", "maxmemory", "0"]);
    recovers(&store).await;
    assert_eq!(record(&store, new_proof("a")).await, Ok(false));
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn documented_commands_are_enough() {
    let server = Server::start("replay-acl");
    let permitted = ["ACL", "SETUSER", "api", "on", ">secret", "~{tower-jwt-auth}:*"];
    let commands = ["-@all", "+info", "+multi", "+exec", "+get", "+set"];
    let _: () = execute(&server, &[&permitted[..], &commands[..]].concat());
    let store = RedisReplayStore::new(&server.url().replace("redis://", "redis://api:secret@")).unwrap();
    store.connect().await.unwrap();
    assert_eq!(record(&store, new_proof("a")).await, Ok(true));
    assert_eq!(record(&store, new_proof("a")).await, Ok(false));
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn errors_name_no_proof_and_no_password() {
    let server = Server::start_with("replay-errors", &["--rename-command", "SET", ""]);
    let store = store(&server);
    for _ in 0..2 {
        let error = record(&store, new_proof("a")).await.unwrap_err();
        assert!(error.contains("unknown command") && !error.contains("proof:"), "{error}");
    }
    let _: () = execute(&server, &["CONFIG", "SET", "requirepass", "secret"]);
    let store = RedisReplayStore::new(&server.url().replace("redis://", "redis://:wrong@")).unwrap();
    for _ in 0..2 {
        let error = record(&store, new_proof("a")).await.unwrap_err();
        assert!(error.to_lowercase().contains("password") && !error.contains("wrong@"), "{error}");
    }
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn errors_while_connecting_name_no_password() {
    let server = Server::start_with("replay-hello", &["--rename-command", "HELLO", ""]);
    let url = server.url().replace("redis://", "redis://alice:hunter2@") + "/?protocol=resp3";
    let store = RedisReplayStore::new(&url).unwrap();
    let errors =
        [store.connect().await.unwrap_err().to_string(), record(&store, new_proof("a")).await.unwrap_err()];
    for error in errors {
        assert!(error.contains("HELLO") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
#[ignore = "needs redis-server: .ci/run runs it"]
fn store_survives_the_runtime_that_connected() {
    let server = Server::start("replay-runtimes");
    let store = store(&server);
    let run = |jti| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            store.connect().await.unwrap();
            record(&store, new_proof(jti)).await
        })
    };
    assert_eq!(run("a"), Ok(true));
    assert_eq!(run("b"), Ok(true));
    assert_eq!(run("a"), Ok(false));
}

#[cfg(feature = "redis-tls")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn replay_store_connects_over_tls() {
    let (_server, port) = super::start_with_tls("replay-tls");
    let store = || RedisReplayStore::new(&format!("rediss://localhost:{port}")).unwrap();
    let error = store().connect().await.unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer") || error.contains("certificate"), "{error}");
    let ca = include_str!("../fixtures/tls-ca.pem");
    let trusting = store().key_prefix("tls").root_certificates(ca).unwrap();
    trusting.connect().await.unwrap();
    assert_eq!(record(&trusting, new_proof("a")).await, Ok(true));
    assert_eq!(record(&trusting, new_proof("a")).await, Ok(false));
    assert!(RedisReplayStore::new("redis://localhost").unwrap().root_certificates(ca).is_err());
}
