//! The account `eze@example.com` with the password `okon`, for a first look at the demo. Do not copy this file.

use sqlx::{AnyPool, Error};

/// The hash of the public password.
const HASH: &str = "$2b$12$Gwf0uvxH3L7JLfo0CC/NCOoijK2vQ/wbgP.LeNup8vj6gg31IiFkm";

/// Creates the account in a new database. Deletes it if the demo has a public URL. Returns a notice of the new account.
pub(crate) async fn prepare(
    database: &AnyPool,
    is_new: bool,
    is_public: bool,
) -> Result<Option<&'static str>, Error> {
    let (sql, notice) = match (is_public, is_new) {
        (true, _) => ("DELETE FROM users WHERE password_hash = $1", None),
        (false, true) => (
            "INSERT INTO users (id, email, first_name, last_name, password_hash)
             VALUES (1, 'eze@example.com', 'Eze', 'Sunday', $1) ON CONFLICT DO NOTHING",
            Some("created the demo account: email eze@example.com, password okon"),
        ),
        (false, false) => return Ok(None),
    };
    sqlx::query(sql).bind(HASH).execute(database).await?;
    Ok(notice)
}
