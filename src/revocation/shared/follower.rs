//! Reading the store, from its beginning and then on, for as long as the list is used.

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
    /// Told when the store can be read again.
    pub(super) back_in_touch: Arc<Notify>,
}

/// How long a read may take: a store that waits for news, or reads a page, and a network.
const LIMIT: Duration = Duration::from_secs(5);

/// How soon a store is asked again that had nothing more, so that a thousand processes do not ask it for each entry.
const LEAST_WAIT: Duration = Duration::from_millis(100);

/// After so many entries others have their turn.
const TURN: usize = 500;

impl Follower {
    pub(super) async fn run(self) {
        let mut position = None;
        let mut began = Timestamp::now();
        loop {
            if began.was_put_back() {
                // What was over by the clock as it was, is not.
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
            // Told before it can be seen: until then nothing is forgotten that may have to be written again.
            if self.state.is_failing(Operation::Read) {
                self.back_in_touch.notify_one();
            }
            self.state.succeeded(Operation::Read);
            for revocations in page.revocations.chunks(TURN) {
                let now = self.list.now();
                revocations.iter().for_each(|revocation| self.list.add_unless_over(revocation, now));
                yield_now().await;
            }
            position = Some(page.next_position);
            if !page.has_more {
                self.state.complete_as_of(began);
            }
            if !page.has_more || page.revocations.is_empty() {
                sleep(LEAST_WAIT.saturating_sub(began.elapsed())).await;
            }
        }
    }
}
