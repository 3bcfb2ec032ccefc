//! Reads the store from the beginning, then follows it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::state::{Operation, State};
use super::timestamp::Timestamp;
use super::{RevocationStore, attempt, pause};
use crate::revocation::list::RevocationList;

pub(super) struct Follower {
    pub(super) store: Arc<dyn RevocationStore>,
    pub(super) list: Arc<RevocationList>,
    pub(super) state: Arc<State>,
    /// Notified when the store can be read again.
    pub(super) store_returned: Arc<Notify>,
}

/// Timeout of a read, including the time that the store waits for new entries.
const LIMIT: Duration = Duration::from_secs(5);

/// Minimum interval between reads without new entries. Without it, many processes would read again for each entry.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Number of entries after which other tasks get a turn.
const ENTRIES_PER_TURN: usize = 500;

impl Follower {
    pub(super) async fn run(self) {
        let mut position = None;
        let mut began = Timestamp::now();
        loop {
            if began.was_put_back() {
                // Entries that were skipped as expired may matter again.
                position = None;
                self.state.is_incomplete();
            }
            began = Timestamp::now();
            let (store, from) = (Arc::clone(&self.store), position.clone());
            let page = match attempt(LIMIT, async move { store.read(from).await }).await {
                Ok(page) => page,
                Err(error) => {
                    pause(self.state.failed(Operation::Read, error)).await;
                    continue;
                }
            };
            // Notify before the success is recorded: until then the writer keeps entries that it may have to rewrite.
            if self.state.is_failing(Operation::Read) {
                self.store_returned.notify_one();
            }
            self.state.succeeded(Operation::Read);
            for revocations in page.revocations.chunks(ENTRIES_PER_TURN) {
                let now = self.list.now();
                revocations.iter().for_each(|revocation| self.list.add_unless_over(revocation, now));
                yield_now().await;
            }
            position = Some(page.next_position);
            if !page.has_more {
                self.state.complete_as_of(began);
            }
            if !page.has_more || page.revocations.is_empty() {
                sleep(MIN_INTERVAL.saturating_sub(began.elapsed())).await;
            }
        }
    }
}
