//! Runs the files in `migrations` with sqlx's migrator. A released file must not change.

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, Error, SqlSafeStr};

use crate::database_url::Kind;

/// Both kinds of database have the same versions.
macro_rules! migrations {
    ($kind:literal) => {
        [
            ("users", include_str!(concat!("../migrations/", $kind, "/0001_users.sql"))),
            ("ended sessions", include_str!(concat!("../migrations/", $kind, "/0002_ended_sessions.sql"))),
            ("sessions", include_str!(concat!("../migrations/", $kind, "/0003_sessions.sql"))),
            ("attempts", include_str!(concat!("../migrations/", $kind, "/0004_attempts.sql"))),
            ("no first user", include_str!(concat!("../migrations/", $kind, "/0005_no_first_user.sql"))),
            ("counts", include_str!(concat!("../migrations/", $kind, "/0006_counts.sql"))),
        ]
    };
}

/// Migrates the database. Returns true if it was new.
///
/// Processes that start together wait for each other. The migrator has no lock for SQLite, and its lock for PostgreSQL
/// does not cover the look for earlier migrations. `VersionMissing` and `VersionMismatch` mean that the database belongs
/// to another program.
pub(crate) async fn run(pool: &AnyPool, kind: &Kind) -> Result<bool, MigrateError> {
    let (migrator, begin) = match kind {
        Kind::Postgres => {
            let begin =
                "BEGIN; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(hashtext('axum_demo'))";
            (migrator(&migrations!("postgres")), begin)
        }
        Kind::SqliteFile(_) | Kind::SqliteMemory => (migrator(&migrations!("sqlite")), "BEGIN IMMEDIATE"),
    };
    let mut transaction = pool.begin_with(begin).await?;
    if !matches!(kind, Kind::Postgres) && belongs_to_another_program(&mut transaction).await? {
        return Err(MigrateError::VersionMissing(1));
    }
    transaction.ensure_migrations_table(&migrator.table_name).await?;
    let is_new = transaction.list_applied_migrations(&migrator.table_name).await?.is_empty();
    migrator.run(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(is_new)
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
