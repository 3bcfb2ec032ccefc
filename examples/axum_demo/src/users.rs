//! The users, in the database.

use sqlx::{AnyConnection, AnyPool};

use crate::password::PasswordHash;

/// Someone who can sign in.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) email: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
}

/// The store. Clones share its connections.
#[derive(Clone)]
pub(crate) struct Users {
    pool: AnyPool,
}

/// An email as it is stored and compared: `EZE@Example.com` is `eze@example.com`.
pub(crate) fn normal_email(email: &str) -> String {
    email.trim().to_lowercase()
}

impl Users {
    pub(crate) fn new(pool: AnyPool) -> Self {
        Self { pool }
    }

    /// The user whom a token names in `sub`; none if there is no such user, or no longer.
    pub(crate) async fn by_id(&self, id: &str) -> Result<Option<User>, sqlx::Error> {
        let Ok(id) = id.parse::<i64>() else {
            return Ok(None);
        };
        Self::find(&mut *self.pool.acquire().await?, id).await
    }

    /// The user of this id, within a transaction, say.
    pub(crate) async fn find(database: &mut AnyConnection, id: i64) -> Result<Option<User>, sqlx::Error> {
        let row = sqlx::query_as("SELECT email, first_name, last_name FROM users WHERE id = $1")
            .bind(id)
            .fetch_optional(database)
            .await?;
        Ok(row.map(|(email, first_name, last_name)| User { id, email, first_name, last_name }))
    }

    /// A new user, unless there is one with this email, which is [normal](normal_email).
    pub(crate) async fn insert(
        &self,
        email: &str,
        first_name: &str,
        last_name: &str,
        hash: PasswordHash,
    ) -> Result<Option<User>, sqlx::Error> {
        let id: Option<i64> = sqlx::query_scalar(
            "INSERT INTO users (email, first_name, last_name, password_hash) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING RETURNING id",
        )
        .bind(email.to_owned())
        .bind(first_name.to_owned())
        .bind(last_name.to_owned())
        .bind(hash.into_string())
        // To the end, where SQLite commits it.
        .fetch_all(&self.pool)
        .await?
        .pop();
        let [email, first_name, last_name] = [email, first_name, last_name].map(str::to_owned);
        Ok(id.map(|id| User { id, email, first_name, last_name }))
    }

    /// The user who signs in with this email, in small or capital letters, and the hash of the password.
    pub(crate) async fn by_email(&self, email: &str) -> Result<Option<(User, PasswordHash)>, sqlx::Error> {
        let email = normal_email(email);
        // Nobody has such a one, and PostgreSQL takes no NUL.
        if email.contains(char::is_control) {
            return Ok(None);
        }
        let row = sqlx::query_as(
            "SELECT id, email, first_name, last_name, password_hash FROM users WHERE email = $1",
        )
        .bind(email)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|(id, email, first_name, last_name, hash)| {
            (User { id, email, first_name, last_name }, PasswordHash::new(hash))
        }))
    }
}
