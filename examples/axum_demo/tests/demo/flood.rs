//! Many requests at once, and clients that do not wait for the answer.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::http::{Answer, JSON, answer, get_request, signin_request};
use crate::support::{Demo, TestClock, proxied_settings, settings};

const SIGN_INS: usize = 200;

/// Sends sign-ins, one in four of them with the right password.
async fn flood(demo: &Demo) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for position in 0..SIGN_INS {
        let password = if position % 4 == 0 { "okon" } else { "wrong" };
        let body = format!(r#"{{"email":"eze@example.com","password":"{password}"}}"#);
        streams.push(demo.send(&signin_request(JSON, body.as_bytes())).await);
    }
    streams
}

/// All on one thread: if passwords were checked there, the protected route would wait for them.
#[tokio::test]
async fn is_answered_in_part_and_leaves_the_rest_alone() {
    let mut settings = settings("sqlite::memory:");
    let clock = TestClock::set_into(&mut settings);
    let demo = Demo::start_with(settings).await;
    let start = Instant::now();
    let authorization = demo.bearer().await;
    let one_check = start.elapsed();

    let mut times = Vec::new();
    // A machine busy with other things may stall, but not in each of them.
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
        "the protected route waits for the flood, if that is still on: {times:?}, a check takes {one_check:?}"
    );
}

/// Each has a share of the places and a line of its own: as an IPv6 address the whole /64.
#[tokio::test(flavor = "multi_thread")]
async fn from_one_address_leaves_places_to_others() {
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

        // Not all of it: those who have places or wait in line take their time.
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

/// The answer to a client that has too many requests here.
#[track_caller]
fn assert_too_many_at_once(answer: &Answer) {
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")), "{answer:?}");
    let message = "many requests from your network are waiting";
    assert_eq!(answer.json(), json!({ "error": "too_many_at_once", "message": message }));
}

#[tokio::test(flavor = "multi_thread")]
async fn from_many_addresses_is_told_that_the_server_is_busy() {
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
        let message = "the server is too busy right now";
        assert_eq!(answer.json(), json!({ "error": "too_busy", "message": message }));
        too_busy += 1;
    }
    assert!(too_busy > 0);
}

/// One more than there are places waits until one of them is free.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_few_more_than_there_are_places_is_answered_in_full() {
    let mut settings = proxied_settings("sqlite::memory:");
    settings.limits.in_line = Duration::from_secs(60);
    let demo = Demo::start_with(settings).await;
    for stream in at_once_from(&demo, &addresses(places() + 1)).await {
        assert_eq!(answer(stream).await.status, 401);
    }
}

/// How many sign-ins may be checked or wait for that.
fn places() -> usize {
    let cores = thread::available_parallelism().unwrap().get();
    9 * (cores - 1).max(1)
}

fn addresses(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("192.0.{}.{}", number / 256, number % 256)).collect()
}

/// Sends a sign-in to an account of its own from each address.
async fn at_once_from(demo: &Demo, addresses: &[String]) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for (number, address) in addresses.iter().enumerate() {
        let body = format!(r#"{{"email":"{number}@example.com","password":"wrong"}}"#);
        let content_type = format!("{JSON}\r\nX-Forwarded-For: {address}");
        streams.push(demo.send(&signin_request(&content_type, body.as_bytes())).await);
    }
    streams
}

#[tokio::test(flavor = "multi_thread")]
async fn of_clients_that_leave_keeps_no_place() {
    let demo = Demo::start().await;
    drop(flood(&demo).await);

    let deadline = Instant::now() + Duration::from_secs(30);
    while demo.signin("eze@example.com", "okon").await.status != 200 {
        assert!(Instant::now() < deadline, "the places should be free again");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The database is in memory, and must not go with a client that leaves while it is asked.
#[tokio::test(flavor = "multi_thread")]
async fn of_clients_that_leave_keeps_the_database() {
    let demo = Demo::start().await;
    let authorization = demo.bearer().await;
    let request = get_request("/protected/", &[&authorization]);
    for _ in 0..1000 {
        drop(demo.send(&request).await);
    }
    assert_eq!(demo.protected(&[&authorization]).await.status, 200);
}
