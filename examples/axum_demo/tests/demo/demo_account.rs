//! The demo account, whose password is public.

use axum_demo::{Settings, app};

use crate::support::{Demo, change, read, settings};

const STRONG: &str = "purple lattice umbrella";

/// Settings with a public URL.
fn public(database: &str) -> Settings {
    read(&[
        ("DEMO_ADDR", "127.0.0.1:0"),
        ("DATABASE_URL", database),
        ("PUBLIC_URL", "https://demo.example.com"),
        ("TRUSTED_PROXIES", "1"),
    ])
    .unwrap()
}

/// Starts the demo, and stops it after a sign-in to the demo account. Returns the status.
async fn status_of_signin(settings: Settings) -> u16 {
    let demo = Demo::start_with(settings).await;
    let answer = demo.signin("eze@example.com", "okon").await;
    demo.stop().await.unwrap();
    answer.status
}

/// One of several processes creates the account in a new database. A public URL deletes it.
pub(crate) async fn public_url_deletes_it(url: &str) {
    let shared = settings(url);
    let start = || async { app(&shared).await.unwrap().notice };
    let notices: [_; 4] = tokio::join!(start(), start(), start(), start()).into();
    let created: Vec<_> = notices.into_iter().flatten().collect();
    assert_eq!(created, ["created the demo account: email eze@example.com, password okon"]);
    assert_eq!(start().await, None);
    assert_eq!(status_of_signin(settings(url)).await, 200);
    assert_eq!(status_of_signin(public(url)).await, 401);
    assert_eq!(status_of_signin(settings(url)).await, 401);
}

/// A new database with a public URL has no users at all. The database is new.
pub(crate) async fn public_url_prevents_it(url: &str) {
    assert_eq!(app(&public(url)).await.unwrap().notice, None);
    assert_eq!(status_of_signin(settings(url)).await, 401);
    let demo = Demo::start_with(settings(url)).await;
    assert_eq!(demo.signup("eze@example.com", STRONG).await.status, 201);
}

/// Earlier versions created the account in each database. The database is new.
pub(crate) async fn migration_deletes_it(url: &str) {
    assert_eq!(status_of_signin(settings(url)).await, 200);
    let undo = "DELETE FROM _sqlx_migrations WHERE description = 'no first user'";
    change(url, undo).await;
    let demo = Demo::start_with(settings(url)).await;
    assert_eq!(demo.signin("eze@example.com", "okon").await.status, 401);
    // Another account with the same email.
    assert_eq!(demo.signup("eze@example.com", STRONG).await.status, 201);
    demo.stop().await.unwrap();
    change(url, undo).await;
    let demo = Demo::start_with(settings(url)).await;
    assert_eq!(demo.signin("eze@example.com", STRONG).await.status, 200);
}
