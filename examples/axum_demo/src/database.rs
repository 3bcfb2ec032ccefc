//! The database, SQLite or PostgreSQL: opened, and brought up to date.
//!
//! Both understand the same statements, by sqlx's `Any` driver, but for those that make the tables.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{AnyPool, Error};

use crate::database_url::{DatabaseUrl, Kind};
use crate::migrations::{self, MigrationFailure};
use crate::settings::SettingError;

/// Opens the database. A SQLite file is created on the first start, the tables in either.
pub(crate) async fn open(database: &DatabaseUrl) -> Result<AnyPool, SettingError> {
    connect(database).await.map_err(|failure| {
        let problem = match (failure, &database.kind) {
            (MigrationFailure::Foreign, _) => "the database belongs to another program".to_owned(),
            (MigrationFailure::Database(Error::PoolTimedOut), Kind::Postgres) => {
                "needs a PostgreSQL server, and none answers there".to_owned()
            }
            (MigrationFailure::Database(error), Kind::Postgres) => {
                format!("needs a PostgreSQL database in which tables can be made: {error}")
            }
            (MigrationFailure::Database(error), _) => {
                format!("needs a SQLite file that can be read and written: {error}")
            }
        };
        SettingError::new("DATABASE_URL", problem)
    })
}

async fn connect(database: &DatabaseUrl) -> Result<AnyPool, MigrationFailure> {
    install_default_drivers();
    if let Kind::SqliteFile(path) = &database.kind {
        create_private(path);
    }
    let pool = pool_options(&database.kind).connect(&database.url).await?;
    match database.kind {
        Kind::Postgres => migrations::run_on_postgres(&pool).await?,
        Kind::SqliteFile(_) => {
            // So that nobody who reads waits for one who writes. The file remembers it: if somebody else has it open
            // and this fails, it works at the next start.
            let _ = sqlx::query("PRAGMA journal_mode = WAL").execute(&pool).await;
            migrations::run_on_sqlite(&pool).await?;
        }
        Kind::SqliteMemory => migrations::run_on_sqlite(&pool).await?,
    }
    Ok(pool)
}

fn pool_options(kind: &Kind) -> AnyPoolOptions {
    // Shorter than the time limit of a request, so that its client is told what is wrong.
    let options = AnyPoolOptions::new().acquire_timeout(Duration::from_secs(3));
    // No test before use of a SQLite connection: there is no network that could fail, and sqlx closes a connection when a
    // client goes away during its test.
    let sqlite =
        |options: AnyPoolOptions| options.idle_timeout(None).max_lifetime(None).test_before_acquire(false);
    match kind {
        Kind::Postgres => options.max_connections(10),
        Kind::SqliteFile(_) => sqlite(options.max_connections(4)),
        // One connection, never closed: the database lives as long as it does.
        Kind::SqliteMemory => sqlite(options.max_connections(1).min_connections(1)),
    }
}

/// Creates the file, as it will hold hashes of passwords, so that on Unix no other user can read it. SQLite gives the
/// files that it puts next to it the same mode.
fn create_private(path: &Path) {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // If it fails, the file is there already, or SQLite will tell what is wrong.
    let _ = options.open(path);
}
