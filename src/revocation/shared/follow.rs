//! Reading the store, from its beginning and then on, for as long as the list is used.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::state::{Attempt, State};
use super::{RevocationStore, attempt, pause};
use crate::revocation::held::Held;
use crate::revocation::seconds;

pub(super) struct Follower {
    pub(super) store: Arc<dyn RevocationStore>,
    pub(super) held: Arc<Held>,
    pub(super) state: Arc<State>,
    /// Told when the store can be read again.
    pub(super) back_in_touch: Arc<Notify>,
}

/// How long a read may take: a store that waits for news, or reads a page, and a network.
const LIMIT: Duration = Duration::from_secs(5);

/// How soon a store is asked again that had nothing more, so that a thousand processes do not ask it for each entry.
const LEAST_WAIT: Duration = Duration::from_millis(100);

impl Follower {
    pub(super) async fn run(self) {
        let mut position = None;
        loop {
            let began = Instant::now();
            let (store, from) = (Arc::clone(&self.store), position.clone());
            let page = match attempt(LIMIT, async move { store.read(from).await }).await {
                Ok(page) => page,
                Err(error) => {
                    pause(self.state.failed(Attempt::Read, error)).await;
                    continue;
                }
            };
            if self.state.succeeded(Attempt::Read) {
                self.back_in_touch.notify_one();
            }
            let now = seconds(SystemTime::now());
            for revocation in &page.revocations {
                self.held.add_unless_over(revocation, now);
            }
            position = Some(page.position);
            if page.is_last {
                self.state.complete_as_of(began);
                sleep(LEAST_WAIT.saturating_sub(began.elapsed())).await;
            }
        }
    }
}
