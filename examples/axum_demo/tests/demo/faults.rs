//! Internal errors: clients get a generic response, standard error gets the cause.

use std::process::Command;
use std::{env, fs};

use crate::support::{Demo, ScratchFile, change, settings};

/// Set in the child process whose standard error the test reads.
const ALONE: &str = "AXUM_DEMO_TEST_ALONE";

#[tokio::test]
async fn database_errors_go_to_standard_error() {
    if env::var_os(ALONE).is_some() {
        return break_database().await;
    }
    // The harness captures the output of tests, so this test runs itself in a child process.
    let name = "faults::database_errors_go_to_standard_error";
    let mut again = Command::new(env::current_exe().unwrap());
    let output = again.args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let line = "database error: error returned from database: (code: 1) no such table: users\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), line.repeat(2));
}

async fn break_database() {
    let file = ScratchFile::new("no_table.sqlite3");
    let url = file.url();
    let demo = Demo::start_with(settings(&url)).await;
    let authorization = demo.bearer().await;
    change(&url, "DROP TABLE users").await;

    let answer = demo.protected(&[&authorization]).await;
    assert_eq!(
        (answer.status, &answer.json()["title"]),
        (503, &"the user of the token cannot be looked up".into())
    );
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("retry-after"), Some("5"));
    let answer = demo.signin("eze@example.com", "okon").await;
    assert_eq!((answer.status, answer.error().as_str()), (503, "unavailable"));
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn clients_do_not_see_internal_errors() {
    let file = ScratchFile::new("broken_hash.sqlite3");
    let url = file.url();
    let demo = Demo::start_with(settings(&url)).await;
    change(&url, "UPDATE users SET password_hash = '$2b$12$cut off'").await;
    let answer = demo.signin("eze@example.com", "okon").await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.error(), "internal");
    assert_eq!(answer.json()["title"], "something went wrong on our side");
}

/// Connections to a deleted file keep working. A sign-up would be lost.
#[cfg(unix)]
#[tokio::test]
async fn deleted_database_gets_503() {
    for (name, parameters) in [("deleted", ""), ("deleted_rwc", "?mode=rwc")] {
        let file = ScratchFile::new(&format!("{name}.sqlite3"));
        let demo = Demo::start_with(settings(&format!("{}{parameters}", file.url()))).await;
        let authorization = demo.bearer().await;
        fs::remove_file(&file.0).unwrap();
        assert_is_unavailable(&demo, &authorization).await;
        assert!(!file.0.exists(), "{name}: a new file would have no tables");
        fs::write(&file.0, "").unwrap();
        assert_is_unavailable(&demo, &authorization).await;
    }
}

async fn assert_is_unavailable(demo: &Demo, authorization: &str) {
    let answer = demo.signup("ada@example.com", "purple lattice umbrella").await;
    assert_eq!((answer.status, answer.error().as_str()), (503, "unavailable"), "{answer:?}");
    assert_eq!(demo.signin("eze@example.com", "okon").await.status, 503);
    assert_eq!(demo.protected(&[authorization]).await.status, 503);
}
