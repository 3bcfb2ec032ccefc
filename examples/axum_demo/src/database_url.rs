//! `DATABASE_URL`: the address and kind of the database.

use std::fmt::{self, Formatter};
use std::path::PathBuf;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::settings::SettingError;

/// The address of a database. `Debug` shows only the kind, because the address may contain a password.
#[derive(Clone)]
pub(crate) struct DatabaseUrl {
    pub(crate) url: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Postgres,
    SqliteFile(PathBuf),
    SqliteMemory,
}

impl DatabaseUrl {
    /// Parses a URL. The error omits the value, because it may contain a password.
    pub(crate) fn new(url: &str) -> Result<Self, SettingError> {
        let kind = if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            url.parse::<PgConnectOptions>().ok().map(|_| Kind::Postgres)
        } else if url.starts_with("sqlite:") {
            url.parse::<SqliteConnectOptions>().ok().and_then(|sqlite| sqlite_kind(url, &sqlite))
        } else {
            None
        };
        let kind = kind.ok_or_else(|| {
            let problem = "must be a SQLite file, such as sqlite:axum_demo.sqlite3, or sqlite::memory:, \
                           or PostgreSQL, such as postgres://user:password@host/database";
            SettingError::new("DATABASE_URL", problem)
        })?;
        // The demo creates the file at the start. A connection must not create it again later.
        Ok(Self { url: url.replace("mode=rwc", "mode=rw"), kind })
    }
}

fn sqlite_kind(url: &str, sqlite: &SqliteConnectOptions) -> Option<Kind> {
    let file = sqlite.get_filename();
    // sqlx uses this name for in-memory databases.
    if file.to_string_lossy().starts_with("file:sqlx-in-memory-") || url.contains("mode=memory") {
        return Some(Kind::SqliteMemory);
    }
    (!file.as_os_str().is_empty()).then(|| Kind::SqliteFile(file.to_owned()))
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}
