//! Users in the database.

use sqlx::{AnyConnection, AnyPool};

use crate::password::PasswordHash;

/// A user, without the password hash.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) email: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
}

/// The store of users. Clones share its connections.
#[derive(Clone)]
pub(crate) struct Users {
    pool: AnyPool,
}

/// Returns the form in which emails are stored and compared: `EZE@Example.com` becomes `eze@example.com`.
pub(crate) fn normal_email(email: &str) -> String {
    email.trim().to_lowercase()
}

impl Users {
    pub(crate) fn new(pool: AnyPool) -> Self {
        Self { pool }
    }

    /// Returns the user with the ID in the `sub` claim of a token, or `None` if there is no such user.
    pub(crate) async fn by_id(&self, id: &str) -> Result<Option<User>, sqlx::Error> {
        let Ok(id) = id.parse::<i64>() else {
            return Ok(None);
        };
        Self::find(&mut *self.pool.acquire().await?, id).await
    }

    /// Returns the user with this ID. Works within a transaction.
    pub(crate) async fn find(database: &mut AnyConnection, id: i64) -> Result<Option<User>, sqlx::Error> {
        let row = sqlx::query_as("SELECT email, first_name, last_name FROM users WHERE id = $1")
            .bind(id)
            .fetch_optional(database)
            .await?;
        Ok(row.map(|(email, first_name, last_name)| User { id, email, first_name, last_name }))
    }

    /// Creates a user, or returns `None` if the email is taken. The email must be [normal](normal_email).
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
        // Reads to the end, because SQLite commits there.
        .fetch_all(&self.pool)
        .await?
        .pop();
        let [email, first_name, last_name] = [email, first_name, last_name].map(str::to_owned);
        Ok(id.map(|id| User { id, email, first_name, last_name }))
    }

    /// Returns the user with this email, in lower or upper case, and the password hash.
    pub(crate) async fn by_email(&self, email: &str) -> Result<Option<(User, PasswordHash)>, sqlx::Error> {
        let email = normal_email(email);
        // No user has such an email, and PostgreSQL rejects NUL.
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
