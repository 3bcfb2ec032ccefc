//! Many parallel requests, and clients that disconnect early.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::http::{Answer, JSON, answer, get_request, signin_request, signin_request_from};
use crate::support::{Demo, TestClock, proxied_settings, settings};

const SIGN_INS: usize = 200;

/// Sends sign-ins. One in four has the right password.
async fn flood(demo: &Demo) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for position in 0..SIGN_INS {
        let password = if position % 4 == 0 { "okon" } else { "wrong" };
        let body = format!(r#"{{"email":"eze@example.com","password":"{password}"}}"#);
        streams.push(demo.send(&signin_request(JSON, body.as_bytes())).await);
    }
    streams
}

/// Runs on one thread: if it checked passwords, the protected route would wait for them.
#[tokio::test]
async fn flood_does_not_delay_the_protected_route() {
    let mut settings = settings("sqlite::memory:");
    let clock = TestClock::set_into(&mut settings);
    let demo = Demo::start_with(settings).await;
    let start = Instant::now();
    let authorization = demo.bearer().await;
    let one_check = start.elapsed();

    let mut times = Vec::new();
    // A busy machine may stall in one of them.
    for _ in 0..3 {
        let answers: Vec<_> =
            flood(&demo).await.into_iter().map(|stream| tokio::spawn(answer(stream))).collect();
        let start = Instant::now();
        for _ in 0..10 {
            assert_eq!(demo.protected(&[&authorization]).await.status, 200);
        }
        let taken = start.elapsed();
        let is_still_on = answers.iter().any(|answer| !answer.is_finished());

        let (mut checked, mut held_back, mut too_many) = (0, 0, 0);
        for answer in answers {
            let answer = answer.await.unwrap();
            match answer.status {
                200 | 401 => checked += 1,
                429 if answer.error() == "too_many_attempts" => held_back += 1,
                429 => {
                    assert_too_many_at_once(&answer);
                    too_many += 1;
                }
                other => panic!("{other}: {}", answer.body),
            }
        }
        assert!(checked > 1 && too_many > 0, "{checked} checked, {held_back} held back, {too_many} too many");
        clock.forward(60);
        assert_eq!(demo.signin("eze@example.com", "okon").await.status, 200);

        if taken < one_check * 2 && is_still_on {
            return;
        }
        times.push((taken, is_still_on));
    }
    panic!(
        "the protected route waits for the flood (time, flood still running): {times:?}; one check: {one_check:?}"
    );
}

/// Each client has its share of places and its queue. An IPv6 client is a /64 network.
#[tokio::test(flavor = "multi_thread")]
async fn flood_from_one_address_leaves_places() {
    let mut settings = proxied_settings("sqlite::memory:");
    settings.limits.address_failures = 1000;
    settings.limits.in_line = Duration::from_secs(60);
    let demo = Demo::start_with(settings).await;
    let ipv6 = (0..SIGN_INS).map(|host| format!("2001:db8::{host:x}")).collect();
    for (addresses, other) in
        [(vec!["192.0.2.1".to_owned(); SIGN_INS], "198.51.100.1"), (ipv6, "2001:db8:0:1::1")]
    {
        let checked = Arc::new(AtomicUsize::new(0));
        let mut flood = JoinSet::new();
        for stream in at_once_from(&demo, &addresses).await {
            let checked = Arc::clone(&checked);
            flood.spawn(async move {
                let answer = answer(stream).await;
                checked.fetch_add(usize::from(answer.status == 401), Relaxed);
                answer
            });
        }

        let before = checked.load(Relaxed);
        assert_eq!(demo.signin_from(other, "eze@example.com", "okon").await.status, 200, "{other}");
        let meanwhile = checked.load(Relaxed) - before;
        assert!(meanwhile <= 8, "{other} waits for {meanwhile} sign-ins of the flood");

        // Half is enough: requests with a place or in the queue take longer.
        let mut refused = 0;
        while refused < SIGN_INS / 2 {
            let answer = flood.join_next().await.unwrap().unwrap();
            if answer.status != 401 {
                assert_too_many_at_once(&answer);
                refused += 1;
            }
        }
    }
}

/// Checks the response to a client with too many requests.
#[track_caller]
fn assert_too_many_at_once(answer: &Answer) {
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")), "{answer:?}");
    assert_eq!(answer.error(), "too_many_at_once");
    assert_eq!(answer.json()["title"], "too many requests from your network are waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_from_many_addresses_gets_503() {
    let mut settings = proxied_settings("sqlite::memory:");
    settings.limits.in_line = Duration::ZERO;
    let demo = Demo::start_with(settings).await;
    let mut too_busy = 0;
    for stream in at_once_from(&demo, &addresses(2 * places())).await {
        let answer = answer(stream).await;
        if answer.status == 401 {
            continue;
        }
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
        assert_eq!(answer.error(), "too_busy");
        assert_eq!(answer.json()["title"], "the server is too busy right now");
        too_busy += 1;
    }
    assert!(too_busy > 0);
}

/// One request more than there are places waits until one is free.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_sign_ins_are_answered() {
    let mut settings = proxied_settings("sqlite::memory:");
    settings.limits.in_line = Duration::from_secs(60);
    let demo = Demo::start_with(settings).await;
    for stream in at_once_from(&demo, &addresses(places() + 1)).await {
        assert_eq!(answer(stream).await.status, 401);
    }
}

/// Number of sign-ins that are checked or wait for a worker.
fn places() -> usize {
    let cores = thread::available_parallelism().unwrap().get();
    9 * (cores - 1).max(1)
}

fn addresses(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("192.0.{}.{}", number / 256, number % 256)).collect()
}

/// Sends one sign-in from each address, each to another account.
async fn at_once_from(demo: &Demo, addresses: &[String]) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for (number, address) in addresses.iter().enumerate() {
        let email = format!("{number}@example.com");
        streams.push(demo.send(&signin_request_from(address, &email, "wrong")).await);
    }
    streams
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnected_clients_free_their_places() {
    let demo = Demo::start().await;
    drop(flood(&demo).await);

    let deadline = Instant::now() + Duration::from_secs(30);
    while demo.signin("eze@example.com", "okon").await.status != 200 {
        assert!(Instant::now() < deadline, "the places should become free");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The database is in memory and must survive clients that disconnect during a query.
#[tokio::test(flavor = "multi_thread")]
async fn disconnected_clients_keep_the_database_open() {
    let demo = Demo::start().await;
    let authorization = demo.bearer().await;
    let request = get_request("/protected/", &[&authorization]);
    for _ in 0..1000 {
        drop(demo.send(&request).await);
    }
    assert_eq!(demo.protected(&[&authorization]).await.status, 200);
}
