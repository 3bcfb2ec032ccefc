//! The addresses from which each account signed in recently.

use std::time::Duration;

use sqlx::AnyPool;

use crate::attempts::Subject;
use crate::clock::{Clock, seconds};
use crate::error::report_database;

/// Maximum number of addresses of an account.
const MOST: i64 = 5;

const LATELY: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The store of known addresses. Clones share it.
#[derive(Clone)]
pub(crate) struct KnownAddresses {
    pool: AnyPool,
    clock: Clock,
}

impl KnownAddresses {
    pub(crate) fn new(pool: AnyPool, clock: Clock) -> Self {
        Self { pool, clock }
    }

    pub(crate) async fn contains(&self, account: &Subject, address: &Subject) -> Result<bool, sqlx::Error> {
        let statement = "SELECT seen FROM known_addresses WHERE account = $1 AND address = $2 AND seen > $3";
        let seen: Option<i64> = sqlx::query_scalar(statement)
            .bind(account.clone())
            .bind(address.clone())
            .bind(self.clock.seconds() - seconds(LATELY))
            .fetch_optional(&self.pool)
            .await?;
        Ok(seen.is_some())
    }

    /// Remembers an address. Errors are only logged: the address then counts as new.
    pub(crate) async fn remember(&self, account: &Subject, address: &Subject) {
        if let Err(error) = self.insert(account, address).await {
            report_database(&error);
        }
    }

    /// Remembers an address, without a write if it is known. Each refresh calls this.
    pub(crate) async fn remember_new(&self, account: &Subject, address: &Subject) {
        match self.contains(account, address).await {
            Ok(true) => {}
            Ok(false) => self.remember(account, address).await,
            Err(error) => report_database(&error),
        }
    }

    async fn insert(&self, account: &Subject, address: &Subject) -> Result<(), sqlx::Error> {
        let now = self.clock.seconds();
        sqlx::query(
            "INSERT INTO known_addresses (account, address, seen) VALUES ($1, $2, $3)
             ON CONFLICT (account, address) DO UPDATE SET seen = $3",
        )
        .bind(account.clone())
        .bind(address.clone())
        .bind(now)
        .execute(&self.pool)
        .await?;
        sqlx::query(
            "DELETE FROM known_addresses WHERE account = $1 AND address NOT IN
                 (SELECT address FROM known_addresses WHERE account = $1 ORDER BY seen DESC LIMIT $2)",
        )
        .bind(account.clone())
        .bind(MOST)
        .execute(&self.pool)
        .await?;
        // Cleans up after accounts without recent sign-ins.
        sqlx::query(
            "DELETE FROM known_addresses WHERE account IN
                 (SELECT account FROM known_addresses WHERE seen < $1 LIMIT 10) AND seen < $1",
        )
        .bind(now - seconds(LATELY))
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
