//! Runs the files in `migrations` with sqlx's migrator. A released file must not change.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, Error, SqlSafeStr};

/// Both kinds of database have the same versions.
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

/// The reason why a database cannot be used.
#[derive(Debug)]
pub(crate) enum MigrationFailure {
    Database(Error),
    /// It belongs to another program.
    Foreign,
}

/// Migrates PostgreSQL. The migrator holds a lock, so processes that start together wait for each other.
pub(crate) async fn run_on_postgres(pool: &AnyPool) -> Result<(), MigrationFailure> {
    Ok(migrator(&migrations!("postgres")).run(pool).await?)
}

pub(crate) async fn run_on_sqlite(pool: &AnyPool) -> Result<(), MigrationFailure> {
    let migrator = migrator(&migrations!("sqlite"));
    // The migrator has no lock for SQLite. With an immediate transaction, a second process waits here and then finds
    // the work done.
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    if let Some(done) = earlier_version(&mut transaction).await? {
        migrator.skip(&mut *transaction, Some(done)).await?;
    }
    migrator.run(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// Returns the last migration of a database from before the migrator was used.
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
