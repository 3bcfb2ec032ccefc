//! The users, in SQLite.

use std::fs::OpenOptions;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use crate::password::PasswordHash;
use crate::settings::SettingError;

/// What `PRAGMA user_version` says once `schema.sql` has run.
const SCHEMA_VERSION: i64 = 1;

/// Someone who can sign in.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) email: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
}

/// The store. Clones share one connection.
#[derive(Clone)]
pub(crate) struct Users {
    pool: SqlitePool,
}

impl Users {
    pub(crate) async fn open(database: SqliteConnectOptions) -> Result<Self, SettingError> {
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
        let users = Self { pool };
        users.create_once().await?;
        Ok(users)
    }

    /// Creates the table and the first user, unless an earlier start did.
    async fn create_once(&self) -> Result<(), SettingError> {
        // Immediate: of two processes that start at once, the second waits here and then finds the work done.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let version = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
        match version {
            0 => sqlx::raw_sql(include_str!("schema.sql")).execute(&mut *transaction).await?,
            SCHEMA_VERSION => return Ok(()),
            _ => {
                return Err(SettingError::new("DATABASE_URL", "the database belongs to another program"));
            }
        };
        Ok(transaction.commit().await?)
    }

    /// The user whom a token names in `sub`; none if there is no such user, or no longer.
    pub(crate) async fn by_id(&self, id: &str) -> Result<Option<User>, sqlx::Error> {
        let Ok(id) = id.parse::<i64>() else {
            return Ok(None);
        };
        let row = sqlx::query_as("SELECT email, first_name, last_name FROM users WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|(email, first_name, last_name)| User { id, email, first_name, last_name }))
    }

    /// The user who signs in with this email, in small or capital letters, and the hash of the password.
    pub(crate) async fn by_email(&self, email: &str) -> Result<Option<(User, PasswordHash)>, sqlx::Error> {
        let row = sqlx::query_as(
            "SELECT id, email, first_name, last_name, password_hash FROM users WHERE email = ?",
        )
        .bind(email)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|(id, email, first_name, last_name, hash)| {
            (User { id, email, first_name, last_name }, PasswordHash::new(hash))
        }))
    }
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
