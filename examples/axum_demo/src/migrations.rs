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
    if belongs_to_another_program(&mut transaction).await? {
        return Err(MigrationFailure::Foreign);
    }
    migrator.run(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// Returns true for a database that is in use but was never migrated.
async fn belongs_to_another_program(database: &mut AnyConnection) -> Result<bool, Error> {
    let query = "SELECT NOT EXISTS (SELECT * FROM sqlite_schema WHERE name = '_sqlx_migrations')
                 AND (user_version <> 0 OR EXISTS (SELECT * FROM sqlite_schema)) FROM pragma_user_version";
    Ok(sqlx::query_scalar::<_, i64>(query).fetch_one(database).await? != 0)
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
