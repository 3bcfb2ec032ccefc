//! Opens the database, SQLite or PostgreSQL, and migrates it.
//!
//! sqlx's `Any` driver runs the same SQL on both. Only the migrations differ.

use std::fs::{self, OpenOptions};
use std::future::ready;
use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::migrate::MigrateError;
use sqlx::{AnyPool, Error};

use crate::database_url::{DatabaseUrl, Kind};
use crate::migrations;
use crate::settings::SettingError;

/// Opens the database. The first start creates the tables, and the file for SQLite. Then also returns true.
pub(crate) async fn open(database: &DatabaseUrl) -> Result<(AnyPool, bool), SettingError> {
    connect(database).await.map_err(|error| {
        let what = match database.kind {
            Kind::Postgres => "cannot open the PostgreSQL database or create its tables",
            Kind::SqliteFile(_) | Kind::SqliteMemory => "cannot read or write the SQLite file",
        };
        let problem = match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => {
                "the database belongs to another program".to_owned()
            }
            MigrateError::Execute(Error::PoolTimedOut) if matches!(database.kind, Kind::Postgres) => {
                "cannot connect to PostgreSQL: no response".to_owned()
            }
            MigrateError::Execute(error) => format!("{what}: {error}"),
            error => format!("{what}: {error}"),
        };
        SettingError::new("DATABASE_URL", problem)
    })
}

async fn connect(database: &DatabaseUrl) -> Result<(AnyPool, bool), MigrateError> {
    install_default_drivers();
    if let Kind::SqliteFile(path) = &database.kind {
        create_private(path);
    }
    let pool = pool_options(&database.kind).connect(&database.url).await?;
    if let Kind::SqliteFile(_) = database.kind {
        // Readers then do not wait for writers. The file keeps the mode. If this fails because another process has
        // the file open, the next start sets it.
        let _ = sqlx::query("PRAGMA journal_mode = WAL").execute(&pool).await;
    }
    let is_new = migrations::run(&pool, &database.kind).await?;
    Ok((pool, is_new))
}

fn pool_options(kind: &Kind) -> AnyPoolOptions {
    // Shorter than the request timeout, so the client gets the specific error.
    let options = AnyPoolOptions::new().acquire_timeout(Duration::from_secs(3));
    // SQLite connections need no test before use, because there is no network. Also, sqlx closes a connection if the
    // client leaves during the test.
    let sqlite =
        |options: AnyPoolOptions| options.idle_timeout(None).max_lifetime(None).test_before_acquire(false);
    match kind {
        // A request that waits for a lock must not keep its connection for long. Others need it.
        Kind::Postgres => options.max_connections(10).after_connect(|connection, _| {
            Box::pin(
                async move { sqlx::query("SET lock_timeout = '2s'").execute(connection).await.map(drop) },
            )
        }),
        Kind::SqliteFile(path) => {
            // A connection to a deleted or replaced file still works, but its changes are lost. A new one then fails.
            let (path, opened) = (path.clone(), file_id(path));
            let deleted = || Error::Io(io::Error::other("the file was deleted or replaced"));
            let is_here = move || file_id(&path) == opened;
            let check = is_here.clone();
            sqlite(options.max_connections(4))
                .before_acquire(move |_, _| Box::pin(ready(Ok(is_here()))))
                .after_connect(move |_, _| Box::pin(ready(check().then_some(()).ok_or_else(deleted))))
        }
        // One connection that is never closed, because the database ends with it.
        Kind::SqliteMemory => sqlite(options.max_connections(1).min_connections(1)),
    }
}

/// Creates the file so that on Unix no other user can read it: it will hold password hashes.
///
/// SQLite gives its other files the same mode.
fn create_private(path: &Path) {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // On failure the file exists already, or SQLite reports the problem.
    let _ = options.open(path);
}

/// Returns a number that identifies the file at this path, or `None` if there is no file.
fn file_id(path: &Path) -> Option<u64> {
    let file = fs::metadata(path).ok()?;
    #[cfg(unix)]
    let id = std::os::unix::fs::MetadataExt::ino(&file);
    // Other systems do not delete open files.
    #[cfg(not(unix))]
    let id = u64::from(file.is_file());
    Some(id)
}
