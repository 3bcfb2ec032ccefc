//! Sessions: refresh, expiry and end.

use std::sync::Arc;

use sqlx::{Connection, SqliteConnection};
use tokio::task::JoinSet;

use crate::http::{answer, request_with};
use crate::scenarios;
use crate::support::{Demo, ScratchFile, TestClock, change, proxied_settings, settings};

#[tokio::test]
async fn refresh_tokens_work_once() {
    scenarios::refresh(settings("sqlite::memory:")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_use_of_a_token_ends_the_session() {
    let file = ScratchFile::new("parallel.sqlite3");
    scenarios::parallel_refresh(settings(&file.url())).await;
    scenarios::parallel_refresh(settings("sqlite::memory:")).await;
    scenarios::parallel_refresh_of_two_processes(|| settings(&file.url())).await;
}

#[tokio::test]
async fn sign_out_everywhere_ends_all_sessions() {
    scenarios::sign_out_everywhere(settings("sqlite::memory:")).await;
}

#[tokio::test]
async fn ended_sessions_stay_ended_after_restart() {
    let file = ScratchFile::new("restarted.sqlite3");
    scenarios::restart(|| settings(&file.url())).await;
}

#[tokio::test]
async fn sessions_of_a_user_are_bounded() {
    scenarios::too_many_sessions(settings("sqlite::memory:")).await;
}

#[tokio::test]
async fn refreshes_of_a_session_are_limited() {
    scenarios::refreshes_in_a_minute(settings("sqlite::memory:")).await;
}

#[tokio::test]
async fn sign_in_ends_the_session_that_it_replaces() {
    scenarios::replaced_sessions(settings("sqlite::memory:")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_out_during_a_lock_is_never_lost() {
    let file = ScratchFile::new("locked.sqlite3");
    scenarios::sign_out_during_a_lock(|| settings(&file.url()), &file.url(), "BEGIN IMMEDIATE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_out_everywhere_ends_sessions_of_both_users() {
    let file = ScratchFile::new("two_users.sqlite3");
    scenarios::sign_out_of_two_users(settings(&file.url()), &file.url(), "BEGIN IMMEDIATE").await;
}

#[tokio::test]
async fn dead_tokens_end_no_other_sessions() {
    scenarios::dead_tokens(settings("sqlite::memory:")).await;
}

#[tokio::test]
async fn sessions_expire() {
    scenarios::expiry(settings("sqlite::memory:")).await;
}

#[tokio::test]
async fn rejects_unknown_refresh_tokens() {
    let demo = Demo::start().await;
    let cookie = demo.sign_in().await.cookie();
    for (name, headers) in [
        ("no cookie", &[][..]),
        ("an empty one", &[("Cookie", "refresh=")]),
        ("an invented one", &[("Cookie", "refresh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]),
        ("another cookie name", &[("Cookie", &cookie.replace("refresh", "__Host-refresh"))]),
        ("an encoded name", &[("Cookie", &cookie.replace("refresh", "%72efresh"))]),
        ("part of one", &[("Cookie", &cookie[..cookie.len() - 1])]),
    ] {
        let answer = demo.exchange(&request_with("POST", "/refresh", headers)).await;
        assert_eq!((answer.status, answer.error().as_str()), (401, "refresh_invalid"), "{name}");
    }
    let mut cookie = cookie;
    for others in ["theme=dark; {}; lang=en", "name=dämo; {}", "{}; \u{2003}=;;;", "refresh=ä; {}"] {
        let answer = demo.refresh(&others.replace("{}", &cookie)).await;
        assert_eq!(answer.status, 200, "{others}");
        cookie = answer.cookie();
    }
}

#[tokio::test]
async fn refreshes_of_a_session_are_bounded() {
    let file = ScratchFile::new("refreshes.sqlite3");
    let demo = Demo::start_with(settings(&file.url())).await;
    let cookie = demo.sign_in().await.cookie();
    change(&file.url(), "UPDATE sessions SET refreshes = 2999").await;
    let last = demo.refresh(&cookie).await;
    assert_eq!(last.status, 200);
    assert_eq!(demo.refresh(&last.cookie()).await.status, 401);
}

/// A made-up token does not wait for writers of the database, nor delay them.
#[tokio::test]
async fn made_up_tokens_start_no_transaction() {
    let file = ScratchFile::new("made_up.sqlite3");
    let demo = Demo::start_with(settings(&file.url())).await;
    let mut other = SqliteConnection::connect(&file.url()).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let answer = demo.refresh("refresh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await;
    assert_eq!((answer.status, answer.error().as_str()), (401, "refresh_invalid"));
}

/// A refresh from another address gets a place while all wait for the database.
#[tokio::test(flavor = "multi_thread")]
async fn refreshes_of_one_address_leave_places() {
    const FLOOD: usize = 100;
    let file = ScratchFile::new("refresh_places.sqlite3");
    let demo = Demo::start_with(proxied_settings(&file.url())).await;
    let (flooding, staying) = (demo.sign_in().await.cookie(), demo.sign_in().await.cookie());
    let refresh = |address, cookie: &str| {
        request_with("POST", "/refresh", &[("Cookie", cookie), ("X-Forwarded-For", address)])
    };
    let mut database = SqliteConnection::connect(&file.url()).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut database).await.unwrap();
    let mut flood = JoinSet::new();
    for _ in 0..FLOOD {
        flood.spawn(answer(demo.send(&refresh("192.0.2.1", &flooding)).await));
    }
    // Only requests without a place and without room in the queue get a response.
    let refused = flood.join_next().await.unwrap().unwrap();
    assert_eq!((refused.status, refused.error().as_str()), (429, "too_many_at_once"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    let other = demo.send(&refresh("198.51.100.1", &staying)).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut database).await.unwrap();
    assert_eq!(answer(other).await.status, 200);

    let answers = flood.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_tokens_do_not_delay_users() {
    let file = ScratchFile::new("made_up_flood.sqlite3");
    let demo = Arc::new(Demo::start_with(proxied_settings(&file.url())).await);
    let refresh = |address: &str, cookie: &str| {
        request_with("POST", "/refresh", &[("Cookie", cookie), ("X-Forwarded-For", address)])
    };
    let mut user = demo.sign_in().await;
    let mut flood = JoinSet::new();
    for _ in 0..80 {
        let (demo, made_up) = (Arc::clone(&demo), refresh("192.0.2.1", "refresh=AAAAAAAAAAAAAAAAAAAAAAAA"));
        flood.spawn(async move {
            loop {
                let status = demo.exchange(&made_up).await.status;
                assert!([401, 429].contains(&status), "{status}");
            }
        });
    }
    for _ in 0..15 {
        user = demo.exchange(&refresh("198.51.100.1", &user.cookie())).await;
        assert_eq!(user.status, 200, "{}", user.body);
    }
    assert!(flood.try_join_next().is_none(), "the flood still runs");
}

#[tokio::test]
async fn database_outage_does_not_end_sessions() {
    let file = ScratchFile::new("no_tokens.sqlite3");
    let demo = Demo::start_with(settings(&file.url())).await;
    let signed_in = demo.sign_in().await;
    change(&file.url(), "ALTER TABLE sessions RENAME TO away").await;
    let answer = demo.refresh(&signed_in.cookie()).await;
    assert_eq!((answer.status, answer.error().as_str()), (503, "unavailable"));
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(demo.protected(&[&signed_in.bearer()]).await.status, 200);

    change(&file.url(), "ALTER TABLE away RENAME TO sessions").await;
    assert_eq!(demo.refresh(&signed_in.cookie()).await.status, 200, "the first try left no trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_survive_disconnected_clients() {
    let file = ScratchFile::new("gone.sqlite3");
    let demo = Demo::start_with(settings(&file.url())).await;
    let signed_in = demo.sign_in().await;
    let request = request_with("POST", "/refresh", &[("Cookie", &signed_in.cookie())]);
    drop(demo.send(&request).await);
    // A used token always has a successor, or the session has ended.
    let answer = answer(demo.send(&request).await).await;
    if answer.status != 200 {
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(demo.protected(&[&signed_in.bearer()]).await.status, 401);
    }
}

#[tokio::test]
async fn expired_sessions_are_deleted() {
    let file = ScratchFile::new("forgotten.sqlite3");
    let mut settings = settings(&file.url());
    let clock = TestClock::set_into(&mut settings);
    let demo = Demo::start_with(settings).await;
    let ended = demo.sign_in().await;
    demo.refresh(&ended.cookie()).await;
    demo.sign_out("/signout", &ended.bearer()).await;
    demo.sign_in().await;
    clock.forward(8 * 24 * 60 * 60);
    demo.sign_in().await;

    let mut database = SqliteConnection::connect(&file.url()).await.unwrap();
    for table in ["SELECT count(*) FROM sessions", "SELECT count(*) FROM refresh_tokens"] {
        let rows: i64 = sqlx::query_scalar(table).fetch_one(&mut database).await.unwrap();
        assert_eq!(rows, 1, "{table}");
    }
}
