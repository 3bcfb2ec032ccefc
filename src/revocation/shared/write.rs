//! Writing to the store what this process revokes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::state::{Attempt, State};
use super::{RevocationStore, attempt, pause};
use crate::revocation::Revocation;

/// An entry on its way, and whoever waits for its arrival.
pub(super) struct Outgoing {
    pub(super) revocation: Revocation,
    pub(super) arrived: oneshot::Sender<()>,
}

pub(super) struct Writer {
    pub(super) store: Arc<dyn RevocationStore>,
    pub(super) state: Arc<State>,
    pub(super) back_in_touch: Arc<Notify>,
    pub(super) outbox: Receiver<Outgoing>,
    /// What was written lately. A store that breaks down may lose what it had confirmed but not yet saved, so that this is
    /// written once more when it is back.
    pub(super) recent: VecDeque<(Instant, Revocation)>,
}

/// How long a write may take.
const LIMIT: Duration = Duration::from_secs(2);

/// How long ago "lately" is, while the store is in touch: Redis saves once a second, others as seldom as that.
const LATELY: Duration = Duration::from_secs(60);

const MOST_RECENT: usize = 10_000;
const BATCH: usize = 500;

/// For how long it is still tried when nobody uses the list any more.
const LAST_TRIES: Duration = Duration::from_secs(30);

impl Writer {
    /// Ends when nobody uses the list any more, and all is written.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = self.back_in_touch.notified() => {
                    if !self.write_recent_again().await {
                        return;
                    }
                }
                taken = self.outbox.recv_many(&mut batch, BATCH) => {
                    let revocations = batch.iter().map(|outgoing| outgoing.revocation.clone()).collect();
                    if taken == 0 || !self.write(revocations).await {
                        return;
                    }
                    self.state.waiting.fetch_sub(taken as u64, Ordering::Relaxed);
                    for outgoing in batch.drain(..) {
                        self.recent.push_back((Instant::now(), outgoing.revocation));
                        // Whoever waited may have gone.
                        let _ = outgoing.arrived.send(());
                    }
                    self.forget_old();
                }
            }
        }
    }

    async fn write_recent_again(&mut self) -> bool {
        let recent: Vec<_> = self.recent.iter().map(|(_, revocation)| revocation.clone()).collect();
        for batch in recent.chunks(BATCH) {
            if !self.write(batch.to_vec()).await {
                return false;
            }
        }
        true
    }

    /// Tries until it is written. Tells if it had to be given up.
    async fn write(&self, revocations: Vec<Revocation>) -> bool {
        let mut unused_since = None;
        loop {
            let (store, revocations) = (Arc::clone(&self.store), revocations.clone());
            match attempt(LIMIT, async move { store.write(revocations).await }).await {
                Ok(()) => {
                    if self.state.succeeded(Attempt::Write) {
                        self.back_in_touch.notify_one();
                    }
                    return true;
                }
                Err(error) => {
                    let failures = self.state.failed(Attempt::Write, error);
                    if self.outbox.is_closed()
                        && unused_since.get_or_insert_with(Instant::now).elapsed() >= LAST_TRIES
                    {
                        return false;
                    }
                    pause(failures).await;
                }
            }
        }
    }

    fn forget_old(&mut self) {
        if !self.state.is_out_of_touch() {
            while self.recent.front().is_some_and(|(written, _)| written.elapsed() >= LATELY) {
                self.recent.pop_front();
            }
        }
        while self.recent.len() > MOST_RECENT {
            self.recent.pop_front();
        }
    }
}
