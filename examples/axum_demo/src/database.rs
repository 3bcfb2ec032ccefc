//! The database, in SQLite: opened, and brought up to date.

use std::fs::OpenOptions;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use crate::settings::SettingError;

/// What makes each version of the database of the one before; `PRAGMA user_version` says which have run.
const MIGRATIONS: [&str; 2] = [include_str!("schema.sql"), include_str!("sessions.sql")];

/// Opens the database, which is created on the first start.
pub(crate) async fn open(database: SqliteConnectOptions) -> Result<SqlitePool, SettingError> {
    create_private(&database);
    // One connection, never closed: with `sqlite::memory:` the database lives as long as its connection. It is
    // enough for a file too, where a look-up takes microseconds. No test before use: there is no network that
    // could fail, and sqlx closes a connection when a client goes away during its test.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(database)
        .await?;
    bring_up_to_date(&pool).await?;
    Ok(pool)
}

async fn bring_up_to_date(pool: &SqlitePool) -> Result<(), SettingError> {
    // Immediate: of two processes that start at once, the second waits here and then finds the work done.
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
    let missing = usize::try_from(version).ok().and_then(|version| MIGRATIONS.get(version..));
    let Some(missing) = missing else {
        return Err(SettingError::new("DATABASE_URL", "the database belongs to another program"));
    };
    for migration in missing {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// Creates the file, as it will hold hashes of passwords, so that on Unix no other user can read it. SQLite gives the
/// files that it puts next to it the same mode.
fn create_private(database: &SqliteConnectOptions) {
    let path = database.get_filename();
    // So sqlx calls a database in memory.
    if path.to_string_lossy().starts_with("file:sqlx-in-memory-") {
        return;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // If it fails, the file is there already, or SQLite will tell what is wrong.
    let _ = options.open(path);
}
