//! Bringing a database up to date, by sqlx's migrator: the files are in `migrations`, and once run must not change.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, Error, SqlSafeStr};

/// Both kinds of database know the same versions.
macro_rules! migrations {
    ($kind:literal) => {
        [
            ("users", include_str!(concat!("../migrations/", $kind, "/0001_users.sql"))),
            ("ended sessions", include_str!(concat!("../migrations/", $kind, "/0002_ended_sessions.sql"))),
            ("sessions", include_str!(concat!("../migrations/", $kind, "/0003_sessions.sql"))),
            ("attempts", include_str!(concat!("../migrations/", $kind, "/0004_attempts.sql"))),
        ]
    };
}

/// Why a database cannot be used.
#[derive(Debug)]
pub(crate) enum MigrationFailure {
    Database(Error),
    /// It holds what is not ours.
    Foreign,
}

/// The migrator holds a lock meanwhile: of several processes that start at once, the others wait.
pub(crate) async fn run_on_postgres(pool: &AnyPool) -> Result<(), MigrationFailure> {
    Ok(migrator(&migrations!("postgres")).run(pool).await?)
}

pub(crate) async fn run_on_sqlite(pool: &AnyPool) -> Result<(), MigrationFailure> {
    let migrator = migrator(&migrations!("sqlite"));
    // The migrator knows no lock for SQLite. Immediate: of two processes that start at once, the second waits here and then
    // finds the work done.
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    if let Some(done) = earlier_version(&mut transaction).await? {
        migrator.skip(&mut *transaction, Some(done)).await?;
    }
    migrator.run(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// The version of a database from the time before the migrator, which is that of its last migration.
async fn earlier_version(database: &mut AnyConnection) -> Result<Option<i64>, MigrationFailure> {
    let count = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    if sqlx::query_scalar::<_, i64>(count).fetch_one(&mut *database).await? > 0 {
        return Ok(None);
    }
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *database).await?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *database).await?;
    match (version, tables) {
        (0, 0) => Ok(None),
        (1 | 2, 1..) => Ok(Some(version)),
        _ => Err(MigrationFailure::Foreign),
    }
}

fn migrator(migrations: &[(&'static str, &'static str)]) -> Migrator {
    let numbered = (1..).zip(migrations).map(|(version, (name, sql))| {
        Migration::new(version, (*name).into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(numbered.collect())
}

impl From<Error> for MigrationFailure {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<MigrateError> for MigrationFailure {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => Self::Foreign,
            MigrateError::Execute(error) => Self::Database(error),
            other => Self::Database(other.into()),
        }
    }
}
