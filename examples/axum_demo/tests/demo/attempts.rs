//! Limits on sign-in attempts.

use std::fs;
use std::time::Duration;

use sqlx::{Connection, SqliteConnection};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::http::{
    JSON, answer, post_request, request_with, signin_request, signin_request_from, signup_body,
};
use crate::scenarios;
use crate::support::{Demo, ScratchFile, TestClock, change, proxied_settings, read, settings};

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_for_parallel_attempts() {
    let file = ScratchFile::new("parallel_attempts.sqlite3");
    scenarios::parallel_attempts(proxied_settings(&file.url())).await;
}

#[tokio::test]
async fn processes_share_the_count() {
    let file = ScratchFile::new("two_processes.sqlite3");
    scenarios::two_processes(settings(&file.url())).await;
}

#[tokio::test]
async fn failures_are_counted_in_windows() {
    scenarios::windows(settings("sqlite::memory:")).await;
}

#[tokio::test]
async fn wrong_clock_locks_nobody_out() {
    let file = ScratchFile::new("clock_ahead.sqlite3");
    scenarios::clock_that_was_ahead(|| proxied_settings(&file.url())).await;
}

#[tokio::test]
async fn attackers_cannot_lock_users_out() {
    scenarios::known_address(proxied_settings("sqlite::memory:")).await;
}

/// Sign-up and refresh count, not only sign-in.
#[tokio::test]
async fn sign_up_and_refresh_make_addresses_known() {
    let mut settings = proxied_settings("sqlite::memory:");
    let _clock = TestClock::set_into(&mut settings);
    settings.limits.account_failures = 2;
    let demo = Demo::start_with(settings).await;
    let (office, train, guesser) = ("192.0.2.1", "192.0.2.2", "198.51.100.1");
    let (email, password) = ("ada@example.com", "purple lattice umbrella");
    let content_type = format!("{JSON}\r\nX-Forwarded-For: {office}");
    let body = signup_body(email, password, "Ada", "Lovelace");
    let signed_up = demo.exchange(&post_request("/signup", &content_type, body.as_bytes())).await;
    let headers = [("Cookie", signed_up.cookie()), ("X-Forwarded-For", train.to_owned())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(demo.exchange(&request_with("POST", "/refresh", &headers)).await.status, 200);

    for expected in [401, 401, 429] {
        assert_eq!(demo.signin_from(guesser, email, "wrong").await.status, expected);
    }
    for (address, status) in [(office, 200), (train, 200), ("203.0.113.1", 429)] {
        assert_eq!(demo.signin_from(address, email, password).await.status, status, "{address}");
    }
}

#[tokio::test]
async fn remembers_the_latest_addresses_of_an_account() {
    let mut settings = proxied_settings("sqlite::memory:");
    let clock = TestClock::set_into(&mut settings);
    settings.limits.account_failures = 2;
    let demo = Demo::start_with(settings).await;
    let home = |number: u64| format!("192.0.2.{number}");
    for number in 0..6 {
        assert_eq!(demo.signin_from(&home(number), "eze@example.com", "okon").await.status, 200);
        clock.forward(1);
    }
    for expected in [401, 401, 429] {
        assert_eq!(demo.signin_from("198.51.100.1", "eze@example.com", "wrong").await.status, expected);
    }
    for (number, status) in [(0, 429), (1, 200), (5, 200)] {
        let answer = demo.signin_from(&home(number), "eze@example.com", "okon").await;
        assert_eq!(answer.status, status, "{number}");
    }
}

/// A delayed address takes no place and costs no query.
#[tokio::test]
async fn delayed_addresses_cost_no_query() {
    let file = ScratchFile::new("held_back.sqlite3");
    let mut settings = proxied_settings(&file.url());
    let clock = TestClock::set_into(&mut settings);
    settings.limits.address_failures = 2;
    let demo = Demo::start_with(settings).await;
    for status in [401, 401, 429] {
        assert_eq!(demo.signin_from("192.0.2.1", "a@example.com", "wrong").await.status, status);
    }
    change(&file.url(), "ALTER TABLE counts RENAME TO away").await;
    let answer = demo.signin_from("192.0.2.1", "eze@example.com", "okon").await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("60")));
    assert_eq!(demo.signin_from("192.0.2.2", "eze@example.com", "okon").await.status, 503);
    change(&file.url(), "ALTER TABLE away RENAME TO counts").await;
    clock.forward(60);
    assert_eq!(demo.signin_from("192.0.2.1", "eze@example.com", "okon").await.status, 200);
}

/// The account does not matter, nor do successful sign-ins in between.
#[tokio::test]
async fn failures_are_counted_by_address() {
    let mut settings = proxied_settings("sqlite::memory:");
    let clock = TestClock::set_into(&mut settings);
    settings.limits.address_failures = 3;
    let demo = Demo::start_with(settings).await;
    for (step, (address, email, password, status)) in [
        ("192.0.2.1", "a@example.com", "wrong", 401),
        ("192.0.2.1", "eze@example.com", "okon", 200),
        ("192.0.2.1", "b@example.com", "wrong", 401),
        ("192.0.2.1", "eze@example.com", "okon", 200),
        ("192.0.2.1", "c@example.com", "wrong", 401),
        ("192.0.2.1", "eze@example.com", "okon", 429),
        ("192.0.2.2", "eze@example.com", "okon", 200),
        ("2001:db8::1", "a@example.com", "wrong", 401),
        ("2001:db8::2", "b@example.com", "wrong", 401),
        ("2001:db8::3", "c@example.com", "wrong", 401),
        ("2001:db8::4", "eze@example.com", "okon", 429),
        ("2001:db8:0:1::1", "eze@example.com", "okon", 200),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = demo.signin_from(address, email, password).await;
        assert_eq!(answer.status, status, "step {step}");
    }
    clock.forward(60);
    assert_eq!(demo.signin_from("192.0.2.1", "eze@example.com", "okon").await.status, 200);
    assert_eq!(
        demo.signin_from("192.0.2.1", "eze@example.com", "okon").await.status,
        200,
        "no failure, no delay"
    );
}

#[tokio::test]
async fn ignores_forwarded_addresses_by_default() {
    let mut settings = settings("sqlite::memory:");
    let _clock = TestClock::set_into(&mut settings);
    settings.limits.address_failures = 2;
    let demo = Demo::start_with(settings).await;
    for (address, status) in [("192.0.2.1", 401), ("192.0.2.2", 401), ("192.0.2.3", 429)] {
        let answer = demo.signin_from(address, "nobody@example.com", "wrong").await;
        assert_eq!(answer.status, status, "{address}");
    }
}

#[test]
fn rejects_invalid_numbers_of_proxies() {
    let problem = "TRUSTED_PROXIES: must be the number of proxies in front of the demo, such as 1";
    for value in ["yes", "-1", "1.5", "256"] {
        assert_eq!(read(&[("TRUSTED_PROXIES", value)]).unwrap_err().to_string(), problem, "{value}");
    }
}

/// Otherwise the proxy would count as the only client.
#[test]
fn public_url_requires_the_number_of_proxies() {
    let public = ("PUBLIC_URL", "https://demo.example.com");
    let problem = "TRUSTED_PROXIES: must be set together with PUBLIC_URL, to the number of proxies in front of the \
                   demo, such as 1 (0 if the TLS proxy sends no X-Forwarded-For)";
    for variables in [&[public][..], &[public, ("TRUSTED_PROXIES", "")]] {
        assert_eq!(read(variables).unwrap_err().to_string(), problem);
    }
    for number in ["0", "1", "2"] {
        read(&[public, ("TRUSTED_PROXIES", number)]).unwrap();
    }
}

/// Each attempt comes from another /64 and is for another account.
#[tokio::test]
async fn failures_are_counted_by_ipv6_site() {
    let mut settings = proxied_settings("sqlite::memory:");
    let _clock = TestClock::set_into(&mut settings);
    settings.limits.network_failures = 3;
    let demo = Demo::start_with(settings).await;
    for (number, status) in [(1, 401), (2, 401), (3, 401), (4, 429)] {
        let answer = demo
            .signin_from(&format!("2001:db8:0:{number}::1"), &format!("{number}@example.com"), "wrong")
            .await;
        assert_eq!(answer.status, status, "{number}");
    }
    assert_eq!(demo.signin_from("2001:db8:1::1", "eze@example.com", "okon").await.status, 200);
}

/// Neighbors in the network of an attacker are not delayed at known addresses.
#[tokio::test]
async fn limit_of_the_network_spares_known_addresses() {
    let mut settings = proxied_settings("sqlite::memory:");
    let _clock = TestClock::set_into(&mut settings);
    settings.limits.network_failures = 2;
    let demo = Demo::start_with(settings).await;
    assert_eq!(demo.signin_from("2001:db8:0:1::1", "eze@example.com", "okon").await.status, 200);
    for (number, status) in [(2, 401), (3, 401), (4, 429)] {
        let address = format!("2001:db8:0:{number}::1");
        assert_eq!(demo.signin_from(&address, "nobody@example.com", "wrong").await.status, status);
    }
    assert_eq!(demo.signin_from("2001:db8:0:1::2", "eze@example.com", "okon").await.status, 200);
}

#[tokio::test]
async fn locked_account_costs_its_owner_no_failures() {
    let mut settings = proxied_settings("sqlite::memory:");
    let _clock = TestClock::set_into(&mut settings);
    (settings.limits.account_failures, settings.limits.address_failures) = (1, 2);
    let demo = Demo::start_with(settings).await;
    assert_eq!(demo.signin_from("198.51.100.1", "eze@example.com", "wrong").await.status, 401);
    for _ in 0..4 {
        assert_eq!(demo.signin_from("192.0.2.1", "eze@example.com", "okon").await.status, 429);
    }
    assert_eq!(demo.signin_from("192.0.2.1", "nobody@example.com", "wrong").await.status, 401);
}

/// Attempts from many addresses of one IPv6 /48 share places.
#[tokio::test(flavor = "multi_thread")]
async fn one_network_leaves_places() {
    let mut settings = proxied_settings("sqlite::memory:");
    settings.limits.network_failures = 1000;
    settings.limits.in_line = Duration::from_secs(60);
    let demo = Demo::start_with(settings).await;
    let mut crowd = JoinSet::new();
    for number in 0..120 {
        let (address, email) = (format!("2001:db8:0:{number:x}::1"), format!("{number}@example.com"));
        crowd.spawn(answer(demo.send(&signin_request_from(&address, &email, "wrong")).await));
    }
    while crowd.join_next().await.unwrap().unwrap().status != 429 {}
    assert_eq!(demo.signin_from("192.0.2.1", "eze@example.com", "okon").await.status, 200);
}

/// Attempts from many networks take all places for strangers.
#[tokio::test(flavor = "multi_thread")]
async fn crowd_leaves_places_for_known_addresses() {
    let demo = Demo::start_with(proxied_settings("sqlite::memory:")).await;
    assert_eq!(demo.signin_from("192.0.2.1", "eze@example.com", "okon").await.status, 200);
    let mut crowd = JoinSet::new();
    for number in 0..120 {
        let (address, email) = (format!("2001:db8:{number}::1"), format!("{number}@example.com"));
        crowd.spawn(answer(demo.send(&signin_request_from(&address, &email, "wrong")).await));
    }
    while crowd.join_next().await.unwrap().unwrap().status != 503 {}
    assert_eq!(demo.signin_from("192.0.2.1", "eze@example.com", "okon").await.status, 200);
}

/// A client that disconnects waits for its checks, as others do. So few of its attempts count in a second.
#[tokio::test(flavor = "multi_thread")]
async fn leaving_does_not_save_the_check() {
    let file = ScratchFile::new("leaving.sqlite3");
    let mut settings = settings(&file.url());
    settings.limits.address_failures = 1000;
    let demo = Demo::start_with(settings).await;
    for number in 0..200 {
        let body = format!(r#"{{"email":"{number}@example.com","password":"wrong"}}"#);
        let stream = demo.send(&signin_request(JSON, body.as_bytes())).await;
        sleep(Duration::from_millis(3)).await;
        drop(stream);
    }
    let counted = rows(&file).await;
    assert!((2..40).contains(&counted), "{counted}");
}

/// A check goes on when its request has run out of time, and keeps its place. So few attempts count meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn abandoned_checks_keep_their_places() {
    let file = ScratchFile::new("abandoned.sqlite3");
    let mut settings = settings(&file.url());
    settings.limits.request = Duration::from_millis(50);
    let demo = Demo::start_with(settings).await;
    for number in 0..10 {
        let status = demo.signin(&format!("{number}@example.com"), "wrong").await.status;
        assert!([401, 408].contains(&status), "{status}");
    }
    let counted = rows(&file).await;
    assert!(counted < 8, "{counted}");
}

#[tokio::test]
async fn counts_expire() {
    let file = ScratchFile::new("attempts.sqlite3");
    let mut settings = settings(&file.url());
    settings.limits.account_failures = 1000;
    let clock = TestClock::set_into(&mut settings);
    let demo = Demo::start_with(settings).await;
    for name in ["a", "b", "a", "secret-typed-as-an-email"] {
        assert_eq!(demo.signin(name, "wrong").await.status, 401);
    }
    assert_eq!(rows(&file).await, 4, "three accounts and an address");
    assert!(!fs::read(&file.0).unwrap().windows(12).any(|text| text == b"secret-typed"));
    clock.forward(60);
    demo.signin("f", "wrong").await;
    assert_eq!(rows(&file).await, 2);
}

async fn rows(file: &ScratchFile) -> i64 {
    let mut database = SqliteConnection::connect(&file.url()).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM counts").fetch_one(&mut database).await.unwrap()
}
