//! The addresses from which each account signed in recently.

use std::time::Duration;

use sqlx::AnyPool;

use crate::clock::{CLOCK_DIFFERENCE, Clock, seconds};

/// Maximum number of addresses of an account.
const MOST: i64 = 5;

const LATELY: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The store of known addresses. Clones share it.
#[derive(Clone)]
pub(crate) struct KnownAddresses {
    pub(crate) pool: AnyPool,
    pub(crate) clock: Clock,
}

impl KnownAddresses {
    pub(crate) async fn contains(&self, account: &[u8], address: &[u8]) -> Result<bool, sqlx::Error> {
        let now = self.clock.seconds();
        let statement = "SELECT seen FROM known_addresses
                         WHERE account = $1 AND address = $2 AND seen > $3 AND seen <= $4";
        let seen: Option<i64> = sqlx::query_scalar(statement)
            .bind(account.to_vec())
            .bind(address.to_vec())
            .bind(now - seconds(LATELY))
            .bind(now + seconds(CLOCK_DIFFERENCE))
            .fetch_optional(&self.pool)
            .await?;
        Ok(seen.is_some())
    }

    /// Remembers an address, without a write if it is known. Each refresh calls this.
    pub(crate) async fn remember_new(&self, account: &[u8], address: &[u8]) -> Result<(), sqlx::Error> {
        match self.contains(account, address).await? {
            true => Ok(()),
            false => self.remember(account, address).await,
        }
    }

    pub(crate) async fn remember(&self, account: &[u8], address: &[u8]) -> Result<(), sqlx::Error> {
        let now = self.clock.seconds();
        sqlx::query(
            "INSERT INTO known_addresses (account, address, seen) VALUES ($1, $2, $3)
             ON CONFLICT (account, address) DO UPDATE SET seen = $3",
        )
        .bind(account.to_vec())
        .bind(address.to_vec())
        .bind(now)
        .execute(&self.pool)
        .await?;
        // Cleans up after accounts without recent sign-ins, and after a clock that was ahead.
        sqlx::query("DELETE FROM known_addresses WHERE seen < $1 OR seen > $2")
            .bind(now - seconds(LATELY))
            .bind(now + seconds(CLOCK_DIFFERENCE))
            .execute(&self.pool)
            .await?;
        sqlx::query(
            "DELETE FROM known_addresses WHERE account = $1 AND address NOT IN
                 (SELECT address FROM known_addresses WHERE account = $1 ORDER BY seen DESC LIMIT $2)",
        )
        .bind(account.to_vec())
        .bind(MOST)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
