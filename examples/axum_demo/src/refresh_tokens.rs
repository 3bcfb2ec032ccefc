//! Refresh tokens: random values. The database stores only their hashes.

use sha2::{Digest, Sha256};
use sqlx::AnyConnection;

use crate::error::ApiError;
use crate::random;

/// A token in clear text: 256 random bits in base64url.
pub(crate) struct RefreshToken(String);

impl RefreshToken {
    pub(crate) fn new() -> Result<Self, ApiError> {
        random::text::<32>().map(Self)
    }

    /// Wraps a value from a client.
    pub(crate) fn presented(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> Vec<u8> {
        Sha256::digest(&self.0).to_vec()
    }
}

pub(crate) async fn insert(
    database: &mut AnyConnection,
    token: &RefreshToken,
    sid: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO refresh_tokens (hash, sid) VALUES ($1, $2)")
        .bind(token.hash())
        .bind(sid.to_owned())
        .execute(database)
        .await?;
    Ok(())
}
