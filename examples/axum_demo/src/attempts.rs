//! Limits on failed sign-ins and on sign-ups, by account and by client address.
//!
//! An attempt is counted before the password is checked, so parallel attempts cannot exceed a limit. A success takes the
//! count back.
//!
//! An attacker who guesses passwords cannot lock users out where they signed in recently: each such address has its own
//! count. From a new address users may have to wait for the next minute while the guessing goes on.

use sqlx::AnyPool;

use crate::client_address::Client;
use crate::counts::{Counted, Counts, Limit, hash};
use crate::error::{ApiError, report_database};
use crate::known_addresses::KnownAddresses;
use crate::limits::Limits;
use crate::users::normal_email;

/// The store of attempts. Clones share it.
#[derive(Clone)]
pub(crate) struct Attempts {
    pub(crate) pool: AnyPool,
    pub(crate) counts: Counts,
    pub(crate) known: KnownAddresses,
    pub(crate) limits: Limits,
}

impl Attempts {
    /// Rejects a client that has reached a limit, without a count.
    pub(crate) fn look(&self, client: &Client, is_known: bool) -> Result<(), ApiError> {
        self.of_client(client, is_known).iter().try_for_each(|limit| self.counts.look(limit))
    }

    /// Checks whether the user signed in from this address recently.
    pub(crate) async fn is_known(&self, email: &str, client: &Client) -> Result<bool, ApiError> {
        Ok(self.known.contains(&account(email), &address(client)).await?)
    }

    /// Counts or rejects a sign-in. Unknown accounts are counted like known ones.
    pub(crate) async fn begin(
        &self,
        email: &str,
        client: &Client,
        is_known: bool,
    ) -> Result<Vec<Counted>, ApiError> {
        let (email, most) = (normal_email(email), self.limits.account_failures);
        let account = match is_known {
            true => Limit::failures("account and address", &[&email, &client.address], most),
            false => Limit::failures("account", &[&email], most),
        };
        // The account first: a locked one costs its owner no failure of the address.
        let mut limits = vec![account];
        limits.extend(self.of_client(client, is_known));
        self.count(limits).await
    }

    /// Counts or rejects a sign-up, by address only.
    pub(crate) async fn begin_sign_up(&self, client: &Client) -> Result<Vec<Counted>, ApiError> {
        let counted = self.count(self.of_client(client, false)).await?;
        // A success does not take these back.
        let names = [&client.address].into_iter().chain(&client.network);
        let limits = names.map(|name| Limit::sign_ups(name, self.limits.address_sign_ups));
        self.count(limits.collect()).await?;
        Ok(counted)
    }

    /// Records a success. On an error the attempt still counts and the address is new.
    pub(crate) async fn succeeded(&self, counted: Vec<Counted>, email: &str, client: &Client) {
        let recorded = async {
            for counted in counted {
                self.counts.take_back(&self.pool, counted).await?;
            }
            self.known.remember(&account(email), &address(client)).await
        };
        report(recorded.await);
    }

    /// Records a refresh: a user of this address is signed in.
    pub(crate) async fn refreshed(&self, email: &str, client: &Client) {
        report(self.known.remember_new(&account(email), &address(client)).await);
    }

    /// The limits of a client. Those of the network stop clients that own all addresses of an IPv6 /48. They do not
    /// apply to users at known addresses, who may be neighbors of an attacker.
    fn of_client(&self, client: &Client, is_known: bool) -> Vec<Limit> {
        let mut limits = vec![Limit::failures("address", &[&client.address], self.limits.address_failures)];
        if let (Some(network), false) = (&client.network, is_known) {
            limits.push(Limit::failures("network", &[network], self.limits.network_failures));
        }
        limits
    }

    async fn count(&self, limits: Vec<Limit>) -> Result<Vec<Counted>, ApiError> {
        let mut counted = Vec::new();
        let mut database = self.pool.acquire().await?;
        for limit in limits {
            counted.push(self.counts.count(&mut database, limit).await?);
        }
        Ok(counted)
    }
}

fn account(email: &str) -> Vec<u8> {
    hash("account", &[&normal_email(email)])
}

fn address(client: &Client) -> Vec<u8> {
    hash("address", &[&client.address])
}

fn report(recorded: Result<(), sqlx::Error>) {
    if let Err(error) = recorded {
        report_database(&error);
    }
}
