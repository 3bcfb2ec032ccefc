//! Scenarios that pass on every database.

use std::time::Duration;

use axum_demo::Settings;
use sqlx::{AnyConnection, Connection};
use tokio::time::sleep;

use crate::http::{Answer, JSON, answer, post_request, request, request_with, signin_request, signup_body};
use crate::support::{Demo, TestClock};

const DAY: u64 = 24 * 60 * 60;

/// Each use of a refresh token issues a new one. A second use ends the session.
pub(crate) async fn refresh(settings: Settings) {
    let demo = Demo::start_with(settings).await;
    let (first, others) = (demo.sign_in().await, demo.sign_in().await);
    let second = demo.refresh(&first.cookie()).await;
    assert_eq!(second.status, 200, "{}", second.body);
    assert_ne!(second.cookie(), first.cookie());
    for answer in [&first, &second] {
        assert_eq!(demo.protected(&[&answer.bearer()]).await.status, 200);
    }

    let again = demo.refresh(&first.cookie()).await;
    assert_eq!((again.status, again.error().as_str()), (401, "refresh_invalid"));
    assert_eq!(again.cookie(), "refresh=");
    assert_eq!(demo.refresh(&second.cookie()).await.status, 401);
    for answer in [first, second] {
        assert_eq!(demo.protected(&[&answer.bearer()]).await.status, 401);
    }
    assert_eq!(demo.protected(&[&others.bearer()]).await.status, 200);
    assert_eq!(demo.refresh(&others.cookie()).await.status, 200);
}

/// Many parallel requests with one token: one succeeds, then the session ends.
pub(crate) async fn parallel_refresh(settings: Settings) {
    let demo = Demo::start_with(settings).await;
    let signed_in = demo.sign_in().await;
    let request = request_with("POST", "/refresh", &[("Cookie", &signed_in.cookie())]);
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(demo.send(&request).await);
    }
    let mut answers = Vec::new();
    for stream in streams {
        answers.push(answer(stream).await);
    }
    let (good, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(good.len(), 1);
    assert!(refused.iter().all(|answer| answer.status == 401), "{refused:?}");
    assert_eq!(demo.refresh(&good[0].cookie()).await.status, 401);
    assert_eq!(demo.protected(&[&good[0].bearer()]).await.status, 401);
}

/// The same with two processes.
pub(crate) async fn parallel_refresh_of_two_processes(settings: impl Fn() -> Settings) {
    let demos = [Demo::start_with(settings()).await, Demo::start_with(settings()).await];
    let signed_in = demos[0].sign_in().await;
    let request = request_with("POST", "/refresh", &[("Cookie", &signed_in.cookie())]);
    let mut streams = Vec::new();
    for turn in 0..20 {
        streams.push(demos[turn % 2].send(&request).await);
    }
    let mut good = Vec::new();
    for stream in streams {
        let answer = answer(stream).await;
        match answer.status {
            200 => good.push(answer),
            status => assert_eq!(status, 401),
        }
    }
    assert_eq!(good.len(), 1);
    for demo in demos {
        assert_eq!(demo.refresh(&good[0].cookie()).await.status, 401);
    }
}

pub(crate) async fn sign_out_everywhere(settings: Settings) {
    let demo = Demo::start_with(settings).await;
    let (mine, others) = (demo.sign_in().await, demo.sign_in().await);
    let answer = demo.sign_out("/signout/everywhere", &mine.bearer()).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(answer.cookie(), "refresh=");
    let next = demo.sign_in().await;
    for ended in [mine, others] {
        assert_eq!(demo.protected(&[&ended.bearer()]).await.status, 401);
        assert_eq!(demo.refresh(&ended.cookie()).await.status, 401);
    }
    assert_eq!(demo.protected(&[&next.bearer()]).await.status, 200, "signed in within the same second");
    assert_eq!(demo.refresh(&next.cookie()).await.status, 200);
}

pub(crate) async fn restart(settings: impl Fn() -> Settings) {
    let demo = Demo::start_with(settings()).await;
    let (ended, used_twice, alive) = (demo.sign_in().await, demo.sign_in().await, demo.sign_in().await);
    assert_eq!(demo.sign_out("/signout", &ended.bearer()).await.status, 204);
    assert_eq!(demo.refresh(&used_twice.cookie()).await.status, 200);
    assert_eq!(demo.refresh(&used_twice.cookie()).await.status, 401);
    demo.stop().await.unwrap();

    let demo = Demo::start_with(settings()).await;
    for over in [ended, used_twice] {
        assert_eq!(demo.protected(&[&over.bearer()]).await.status, 401);
        assert_eq!(demo.refresh(&over.cookie()).await.status, 401);
    }
    assert_eq!(demo.protected(&[&alive.bearer()]).await.status, 200);
    assert_eq!(demo.refresh(&alive.cookie()).await.status, 200);
}

/// The oldest session ends.
pub(crate) async fn too_many_sessions(mut settings: Settings) {
    settings.limits.sessions = 2;
    let clock = TestClock::set_into(&mut settings);
    // Skips sessions of other scenarios.
    clock.forward(60);
    let demo = Demo::start_with(settings).await;
    let first = demo.sign_in().await;
    clock.forward(1);
    let second = demo.sign_in().await;
    clock.forward(1);
    let third = demo.sign_in().await;
    assert_eq!(demo.protected(&[&first.bearer()]).await.status, 401);
    assert_eq!(demo.refresh(&first.cookie()).await.status, 401);
    for answer in [second, third] {
        assert_eq!(demo.protected(&[&answer.bearer()]).await.status, 200);
        assert_eq!(demo.refresh(&answer.cookie()).await.status, 200);
    }
}

/// A session lives 30 days with refreshes and seven days without.
pub(crate) async fn expiry(mut settings: Settings) {
    let clock = TestClock::set_into(&mut settings);
    let demo = Demo::start_with(settings).await;
    let (used, idle) = (demo.sign_in().await, demo.sign_in().await);
    clock.forward(15 * 60 + 60);
    assert_eq!(demo.protected(&[&used.bearer()]).await.status, 401, "an access token lives 15 minutes");

    let mut cookie = used.cookie();
    for _ in 0..4 {
        clock.forward(6 * DAY);
        let answer = demo.refresh(&cookie).await;
        assert_eq!(answer.status, 200);
        cookie = answer.cookie();
    }
    assert_eq!(demo.refresh(&idle.cookie()).await.status, 401);
    clock.forward(5 * DAY);
    let answer = demo.refresh(&cookie).await;
    assert_eq!(answer.status, 200);
    let max_age = answer.header("set-cookie").unwrap().split("Max-Age=").nth(1).unwrap();
    assert!(max_age.parse::<u64>().unwrap() < DAY, "{max_age}");
    clock.forward(DAY);
    assert_eq!(demo.refresh(&answer.cookie()).await.status, 401);
}

/// Sends requests in parallel and returns the responses.
pub(crate) async fn at_once(demo: &Demo, requests: &[Vec<u8>]) -> Vec<Answer> {
    let mut streams = Vec::new();
    for request in requests {
        streams.push(demo.send(request).await);
    }
    let mut answers = Vec::new();
    for stream in streams {
        answers.push(answer(stream).await);
    }
    answers
}

pub(crate) fn statuses(answers: &[Answer]) -> Vec<u16> {
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

/// Builds a sign-in with a separate address for each number, because those of one address wait for each other.
fn signin(number: usize, email: &str, password: &str) -> Vec<u8> {
    let body = format!(r#"{{"email":"{email}","password":"{password}"}}"#);
    signin_request(&from_address(number), body.as_bytes())
}

fn from_address(number: usize) -> String {
    format!("{JSON}\r\nX-Forwarded-For: 192.0.2.{number}")
}

/// Parallel attempts cannot exceed the limit. A right password among them succeeds.
pub(crate) async fn parallel_attempts(mut settings: Settings) {
    let _clock = TestClock::set_into(&mut settings);
    settings.limits.account_failures = 3;
    let demo = Demo::start_with(settings).await;
    let wrong: Vec<_> = (0..8).map(|number| signin(number, "unknown@example.com", "wrong")).collect();
    let answers = at_once(&demo, &wrong).await;
    assert_eq!(statuses(&answers), [401, 401, 401, 429, 429, 429, 429, 429]);

    let attempts = ["wrong", "okon", "wrong"].iter().enumerate();
    let attempts: Vec<_> =
        attempts.map(|(number, password)| signin(number, "eze@example.com", password)).collect();
    let answers = at_once(&demo, &attempts).await;
    assert_eq!(statuses(&answers), [200, 401, 401]);
}

/// Two processes share the count.
pub(crate) async fn two_processes(mut settings: Settings) {
    // Both use this clock.
    let _clock = TestClock::set_into(&mut settings);
    settings.limits.account_failures = 2;
    let (first, second) = (Demo::start_with(settings.clone()).await, Demo::start_with(settings).await);
    for status in [401, 429] {
        for demo in [&first, &second] {
            assert_eq!(demo.signin("shared@example.com", "wrong").await.status, status);
        }
    }
}

/// Failures are counted in windows of a minute. Rejected attempts do not extend them.
pub(crate) async fn windows(mut settings: Settings) {
    let clock = TestClock::set_into(&mut settings);
    settings.limits.account_failures = 2;
    // Skips the counts of other scenarios.
    clock.forward(60);
    let demo = Demo::start_with(settings).await;
    for email in ["EZE@example.com", "nobody@example.com"] {
        for (step, (forward, password, status, retry_after)) in [
            (0, "wrong", 401, None),
            (10, "wrong", 401, None),
            (0, "wrong", 429, Some("50")),
            (49, "okon", 429, Some("1")),
            (1, "wrong", 401, None),
            (0, "wrong", 401, None),
            (0, "wrong", 429, Some("60")),
        ]
        .into_iter()
        .enumerate()
        {
            clock.forward(forward);
            let answer = demo.signin(email, password).await;
            let found = (answer.status, answer.header("retry-after"));
            assert_eq!(found, (status, retry_after), "{email}, step {step}");
        }
    }
    clock.forward(60);
    for (password, status) in [("okon", 200), ("wrong", 401), ("okon", 200), ("wrong", 401), ("okon", 429)] {
        assert_eq!(demo.signin("eze@example.com", password).await.status, status, "a success does not count");
    }
}

/// What a clock stored that was a year ahead counts for nothing after it has been put right.
pub(crate) async fn clock_that_was_ahead(settings: impl Fn() -> Settings) {
    const YEAR: u64 = 365 * DAY;
    let start = async |minutes: u64| {
        let mut settings = settings();
        settings.limits.account_failures = 2;
        let clock = TestClock::set_into(&mut settings);
        clock.forward(minutes * 60);
        (Demo::start_with(settings).await, clock)
    };
    let (home, guesser) = ("192.0.2.1", "198.51.100.1");
    let (demo, clock) = start(2).await;
    clock.forward(YEAR);
    let early = demo.signin_from(home, "eze@example.com", "okon").await;
    for (status, retry_after) in [(401, None), (401, None), (429, Some("60"))] {
        let answer = demo.signin_from(guesser, "eze@example.com", "wrong").await;
        assert_eq!((answer.status, answer.header("retry-after")), (status, retry_after));
    }
    clock.back(YEAR);
    let (restarted, _clock) = start(3).await;
    for demo in [demo, restarted] {
        // The first address is not known any more, so its failures and those of others count together.
        for (address, status, retry_after) in
            [(home, 401, None), (guesser, 401, None), (home, 429, Some("60")), (guesser, 429, Some("60"))]
        {
            let answer = demo.signin_from(address, "eze@example.com", "wrong").await;
            assert_eq!((answer.status, answer.header("retry-after")), (status, retry_after), "{address}");
        }
        assert_eq!(demo.refresh(&early.cookie()).await.status, 401, "a session from the future");
    }
}

/// Locks the database for writers while sessions end. They end at once, and stay ended. Others notice nothing.
pub(crate) async fn sign_out_during_a_lock(settings: impl Fn() -> Settings, url: &str, lock: &'static str) {
    let demo = Demo::start_with(settings()).await;
    let [staying, leaving, retrying, reused] =
        [demo.sign_in().await, demo.sign_in().await, demo.sign_in().await, demo.sign_in().await];
    let next = demo.refresh(&reused.cookie()).await;
    let mut database = AnyConnection::connect(url).await.unwrap();
    sqlx::raw_sql(lock).execute(&mut database).await.unwrap();
    let mut requests = vec![
        request_with("POST", "/signout", &[("Cookie", &retrying.cookie())]),
        request_with("POST", "/refresh", &[("Cookie", &reused.cookie())]),
    ];
    requests.resize(14, request("POST", "/signout", &[&leaving.bearer()]));
    let mut streams = Vec::new();
    for request in requests {
        streams.push(demo.send(&request).await);
    }
    while demo.protected(&[&leaving.bearer()]).await.status != 401 {}
    assert_eq!(demo.protected(&[&staying.bearer()]).await.status, 200);
    for stream in streams {
        let answer = answer(stream).await;
        assert_eq!((answer.status, answer.error().as_str()), (503, "unavailable"));
        assert_eq!(answer.header("set-cookie"), None, "the browser can try again");
    }
    for ended in [&leaving, &retrying, &next] {
        assert_eq!(demo.protected(&[&ended.bearer()]).await.status, 401);
        let refused = demo.refresh(&ended.cookie()).await;
        assert_eq!(
            (refused.status, refused.header("set-cookie")),
            (503, None),
            "no tokens that are rejected"
        );
    }
    assert_eq!(demo.protected(&[&staying.bearer()]).await.status, 200);
    sqlx::raw_sql("ROLLBACK").execute(&mut database).await.unwrap();
    assert_eq!(demo.sign_out_with_cookie("/signout", &retrying.cookie()).await.status, 204, "repeated");
    assert_eq!(demo.sign_out("/signout", &retrying.bearer()).await.status, 204, "repeated");
    demo.stop().await.unwrap();

    let demo = Demo::start_with(settings()).await;
    for ended in [leaving, retrying, next] {
        assert_eq!(demo.protected(&[&ended.bearer()]).await.status, 401);
        assert_eq!(demo.refresh(&ended.cookie()).await.status, 401);
    }
    assert_eq!(demo.refresh(&staying.cookie()).await.status, 200);
}

/// The cookie and the token are of two users. All their sessions end, although the database is locked for a while.
pub(crate) async fn sign_out_of_two_users(settings: Settings, url: &str, lock: &'static str) {
    let demo = Demo::start_with(settings).await;
    let (mine, hers) =
        (demo.sign_in().await, demo.signup("grace@example.com", "purple lattice umbrella").await);
    let elsewhere = demo.signin("grace@example.com", "purple lattice umbrella").await;
    let mut database = AnyConnection::connect(url).await.unwrap();
    sqlx::raw_sql(lock).execute(&mut database).await.unwrap();
    let headers = [("Authorization", hers.bearer()), ("Cookie", mine.cookie())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(demo.exchange(&request_with("POST", "/signout/everywhere", &headers)).await.status, 503);
    sqlx::raw_sql("ROLLBACK").execute(&mut database).await.unwrap();
    for ended in [mine, hers, elsewhere] {
        while demo.protected(&[&ended.bearer()]).await.status != 401 {
            sleep(Duration::from_millis(20)).await;
        }
        while demo.refresh(&ended.cookie()).await.status != 401 {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A used refresh token, and the tokens of an ended session, end no other sessions.
pub(crate) async fn dead_tokens(settings: Settings) {
    let demo = Demo::start_with(settings).await;
    let first = demo.sign_in().await;
    let second = demo.refresh(&first.cookie()).await;
    let other = demo.sign_in().await;
    assert_eq!(demo.sign_out_with_cookie("/signout/everywhere", &first.cookie()).await.status, 204, "used");
    assert_eq!(demo.protected(&[&second.bearer()]).await.status, 401);
    for dead in [&first, &second] {
        assert_eq!(demo.sign_out("/signout/everywhere", &dead.bearer()).await.status, 204);
        assert_eq!(demo.sign_out_with_cookie("/signout/everywhere", &dead.cookie()).await.status, 204);
    }
    assert_eq!(demo.protected(&[&other.bearer()]).await.status, 200);
    assert_eq!(demo.refresh(&other.cookie()).await.status, 200);
}

/// Signing in over a session, and signing out with the token of another one, leave none behind.
pub(crate) async fn replaced_sessions(settings: Settings) {
    let demo = Demo::start_with(settings).await;
    let first = demo.sign_in().await;
    let second = demo.sign_in_over("eze@example.com", "okon", &first.cookie()).await;
    assert_eq!(second.status, 200);
    assert_eq!(demo.protected(&[&first.bearer()]).await.status, 401);
    assert_eq!(demo.refresh(&first.cookie()).await.status, 401);
    assert_eq!(demo.protected(&[&second.bearer()]).await.status, 200);

    // Two tabs with two accounts share one cookie.
    let other = demo.sign_in().await;
    let headers = [("Authorization", other.bearer()), ("Cookie", second.cookie())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = demo.exchange(&request_with("POST", "/signout", &headers)).await;
    assert_eq!((answer.status, answer.cookie().as_str()), (204, "refresh="));
    for ended in [second, other] {
        assert_eq!(demo.protected(&[&ended.bearer()]).await.status, 401);
        assert_eq!(demo.refresh(&ended.cookie()).await.status, 401);
    }
}

/// The limit counts refreshes of one session, and the token stays good.
pub(crate) async fn refreshes_in_a_minute(mut settings: Settings) {
    let clock = TestClock::set_into(&mut settings);
    settings.limits.session_refreshes = 2;
    let demo = Demo::start_with(settings).await;
    let (mut busy, other) = (demo.sign_in().await, demo.sign_in().await);
    for _ in 0..2 {
        busy = demo.refresh(&busy.cookie()).await;
        assert_eq!(busy.status, 200);
    }
    for _ in 0..2 {
        let answer = demo.refresh(&busy.cookie()).await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("60")));
        assert_eq!(answer.error(), "too_many_refreshes");
    }
    assert_eq!(demo.refresh(&other.cookie()).await.status, 200);
    clock.forward(60);
    assert_eq!(demo.refresh(&busy.cookie()).await.status, 200);
}

/// Guesses from another address do not delay users who signed in recently.
pub(crate) async fn known_address(mut settings: Settings) {
    let clock = TestClock::set_into(&mut settings);
    settings.limits.account_failures = 2;
    // Skips the counts of other scenarios.
    clock.forward(8 * 60);
    let demo = Demo::start_with(settings).await;
    let (home, guesser) = ("192.0.2.1", "198.51.100.1");
    assert_eq!(demo.signin_from(home, "eze@example.com", "okon").await.status, 200);
    for expected in [401, 401, 429] {
        assert_eq!(demo.signin_from(guesser, "eze@example.com", "wrong").await.status, expected);
    }
    for (address, status) in [(guesser, 429), ("203.0.113.1", 429), (home, 200)] {
        let answer = demo.signin_from(address, "eze@example.com", "okon").await;
        assert_eq!(answer.status, status, "{address}");
    }
    // A known address has its own count. Otherwise anyone at that address could guess without limit.
    for expected in [401, 401, 429] {
        assert_eq!(demo.signin_from(home, "eze@example.com", "wrong").await.status, expected);
    }
    clock.forward(91 * DAY);
    for expected in [401, 401, 429] {
        assert_eq!(demo.signin_from(guesser, "eze@example.com", "wrong").await.status, expected);
    }
    assert_eq!(demo.signin_from(home, "eze@example.com", "okon").await.status, 429, "three months later");
}

/// One parallel sign-up gets the email.
pub(crate) async fn parallel_sign_up(settings: Settings) {
    let demo = Demo::start_with(settings).await;
    let body = signup_body("race@example.com", "purple lattice umbrella", "Ada", "Lovelace");
    let sign_ups: Vec<_> =
        (0..4).map(|number| post_request("/signup", &from_address(number), body.as_bytes())).collect();
    let answers = at_once(&demo, &sign_ups).await;
    assert_eq!(statuses(&answers), [201, 409, 409, 409]);
}
