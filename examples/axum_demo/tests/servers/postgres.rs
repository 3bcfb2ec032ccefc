//! The demo with PostgreSQL.

use axum_demo::app;
use sqlx::{Connection, PgConnection};

use crate::demo_account;
use crate::http::request;
use crate::postgres_server::PostgresServer;
use crate::scenarios;
use crate::support::{Demo, TestClock, proxied_settings, settings};

#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test(flavor = "multi_thread")]
async fn attempts_and_sign_ups_work() {
    let server = PostgresServer::start();
    let url = server.url();
    scenarios::parallel_attempts(proxied_settings(&url)).await;
    scenarios::two_processes(settings(&url)).await;
    scenarios::windows(settings(&url)).await;
    scenarios::known_address(proxied_settings(&url)).await;
    scenarios::parallel_sign_up(proxied_settings(&url)).await;
}

#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test(flavor = "multi_thread")]
async fn sessions_work() {
    let server = PostgresServer::start();
    let url = server.url();
    scenarios::refresh(settings(&url)).await;
    scenarios::parallel_refresh(settings(&url)).await;
    scenarios::parallel_refresh_of_two_processes(|| settings(&url)).await;
    scenarios::sign_out_everywhere(settings(&url)).await;
    scenarios::restart(|| settings(&url)).await;
    scenarios::too_many_sessions(settings(&url)).await;
    scenarios::expiry(settings(&url)).await;
    scenarios::refreshes_in_a_minute(settings(&url)).await;
    scenarios::replaced_sessions(settings(&url)).await;
    let lock = "BEGIN; LOCK TABLE sessions IN SHARE ROW EXCLUSIVE MODE";
    scenarios::sign_out_during_a_lock(|| settings(&url), &url, lock).await;
    let rows = "BEGIN; SELECT sid FROM sessions FOR UPDATE";
    scenarios::sign_out_during_a_lock(|| settings(&url), &url, rows).await;
    scenarios::sign_out_of_two_users(settings(&url), &url, lock).await;
    scenarios::dead_tokens(settings(&url)).await;
}

#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test(flavor = "multi_thread")]
async fn wrong_clock_locks_nobody_out() {
    let server = PostgresServer::start();
    scenarios::clock_that_was_ahead(|| proxied_settings(&server.url())).await;
}

#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test(flavor = "multi_thread")]
async fn several_processes_can_start_together() {
    let server = PostgresServer::start();
    let start = || Demo::start_with(settings(&server.url()));
    let demos: [Demo; 4] = tokio::join!(start(), start(), start(), start()).into();
    let authorization = demos[0].bearer().await;
    for demo in &demos {
        let answer = demo.protected(&[&authorization]).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["email"], "eze@example.com");
    }
    assert_eq!(demos[0].signin("EZE@Example.Com", "okon").await.status, 200);
    assert_eq!(demos[0].signin("eze@example.com", "wrong").await.status, 401);
}

#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test(flavor = "multi_thread")]
async fn demo_account_needs_a_new_private_database() {
    let servers = [PostgresServer::start(), PostgresServer::start(), PostgresServer::start()];
    let [private, public, migrated] = servers.each_ref().map(PostgresServer::url);
    demo_account::public_url_deletes_it(&private).await;
    demo_account::public_url_prevents_it(&public).await;
    demo_account::migration_deletes_it(&migrated).await;
}

/// PostgreSQL text cannot contain NUL.
#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test]
async fn email_with_a_nul_is_unknown() {
    let server = PostgresServer::start();
    let mut settings = settings(&server.url());
    let _clock = TestClock::set_into(&mut settings);
    settings.limits.account_failures = 2;
    let demo = Demo::start_with(settings).await;
    for (status, error) in
        [(401, "wrong_credentials"), (401, "wrong_credentials"), (429, "too_many_attempts")]
    {
        let answer = demo.signin("eze\0@example.com", "okon").await;
        assert_eq!((answer.status, answer.error().as_str()), (status, error));
    }
}

#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test]
async fn reports_unusable_databases() {
    let server = PostgresServer::start();
    let mut database = PgConnection::connect(&server.url()).await.unwrap();
    sqlx::raw_sql("CREATE DATABASE other").execute(&mut database).await.unwrap();
    let other = server.url().replace("/postgres", "/other");
    let mut database = PgConnection::connect(&other).await.unwrap();
    sqlx::raw_sql("CREATE TABLE users (id TEXT)").execute(&mut database).await.unwrap();

    let unusable = "DATABASE_URL: cannot open the PostgreSQL database or create its tables: ";
    for (url, expected) in [
        (other, unusable),
        (server.url().replace("/postgres", "/missing"), unusable),
        (
            "postgres://demo@127.0.0.1:1/demo".to_owned(),
            "DATABASE_URL: cannot connect to PostgreSQL: no response",
        ),
    ] {
        let error = app(&settings(&url)).await.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test]
async fn recovers_after_a_restart_of_the_server() {
    let server = PostgresServer::start();
    let demo = Demo::start_with(settings(&server.url())).await;
    let authorization = demo.bearer().await;
    server.stop();
    assert_eq!(demo.protected(&[&authorization]).await.status, 503);
    assert_eq!(demo.signin("eze@example.com", "okon").await.status, 503);
    server.start_again();
    assert_eq!(demo.protected(&[&authorization]).await.status, 200);
    let answer = demo.exchange(&request("POST", "/signout", &[&authorization])).await;
    assert_eq!(answer.status, 204);
}
