//! Writing to the store what this process revokes.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};

use super::state::{Attempt, State};
use super::{RevocationStore, attempt, pause};
use crate::revocation::Revocation;
use crate::revocation::held::Held;
use crate::sync::atomic::Ordering;

/// An entry on its way, and whoever waits for its arrival.
pub(super) struct Outgoing {
    pub(super) revocation: Revocation,
    pub(super) since: Instant,
    pub(super) arrived: oneshot::Sender<()>,
}

pub(super) struct Writer {
    store: Arc<dyn RevocationStore>,
    held: Arc<Held>,
    state: Arc<State>,
    back_in_touch: Arc<Notify>,
    outbox: Receiver<Outgoing>,
    /// Whether nothing more can come out of it.
    is_drained: bool,
    /// What is taken out of it and not written yet.
    batch: Vec<Outgoing>,
    /// How often writing it has failed.
    failures: u64,
    /// What the store did not take by itself. It is tried again apart from the others, so that it holds up none of them.
    refused: VecDeque<Outgoing>,
    /// When that is due.
    retry: Instant,
    /// Whether the store takes some entries and others not, so that a failure does not say that it was away.
    is_picky: bool,
    /// What was written lately. A store that breaks down may lose what it had confirmed but not yet saved, so that this is
    /// written once more when it is back.
    recent: VecDeque<(Instant, Revocation)>,
    /// When that is due.
    rewrite: Option<Instant>,
    rewritten: Option<Instant>,
    /// How often that has failed.
    rewrite_failures: u32,
}

/// How long a write may take.
const LIMIT: Duration = Duration::from_secs(2);

/// How long ago "lately" is, while the store is in touch: Redis saves once a second, others as seldom as that.
const LATELY: Duration = Duration::from_secs(60);

/// How often that is written again at most, where a store comes and goes. Where it fails it is tried again, but for some minutes
/// only: a store that takes too long for it may have taken it all the same.
const BETWEEN_REWRITES: Duration = Duration::from_secs(10);
const MOST_REWRITE_FAILURES: u32 = 30;

const MOST_RECENT: usize = 10_000;
const BATCH: usize = 500;

/// How many may have been refused before no more are taken out of the outbox.
const MOST_REFUSED: usize = 100_000;

/// How soon they are tried again.
const BETWEEN_RETRIES: Duration = Duration::from_secs(1);

/// After so many failures a batch is written one by one, so that an entry which the store does not take holds up no other.
const PATIENCE: u64 = 3;

/// How long that goes on before what has come meanwhile is taken along, and how many are tried if it takes none.
const TURN: Duration = Duration::from_secs(5);
const ENOUGH: usize = 20;

/// For how long it is still tried when nobody uses the list any more.
const LAST_TRIES: Duration = Duration::from_secs(30);

impl Writer {
    pub(super) fn new(
        store: Arc<dyn RevocationStore>,
        held: Arc<Held>,
        state: Arc<State>,
        back_in_touch: Arc<Notify>,
        outbox: Receiver<Outgoing>,
    ) -> Self {
        Self {
            store,
            held,
            state,
            back_in_touch,
            outbox,
            is_drained: false,
            batch: Vec::new(),
            failures: 0,
            refused: VecDeque::new(),
            retry: Instant::now(),
            is_picky: false,
            recent: VecDeque::new(),
            rewrite: None,
            rewritten: None,
            rewrite_failures: 0,
        }
    }

    /// Ends when nobody uses the list any more, and all is written or has been tried for long enough.
    pub(super) async fn run(mut self) {
        let mut unused_since = None;
        while self.wait().await {
            // What has come meanwhile goes with it.
            let room = (BATCH - self.batch.len()).min(MOST_REFUSED.saturating_sub(self.refused.len()));
            for _ in 0..room {
                let Ok(outgoing) = self.outbox.try_recv() else { break };
                self.batch.push(outgoing);
            }
            self.write_batch().await;
            self.set_oldest_waiting();
            let unused = self.outbox.is_closed().then(|| *unused_since.get_or_insert_with(Instant::now));
            if unused.is_some_and(|since| since.elapsed() >= LAST_TRIES) {
                return;
            }
        }
    }

    /// Waits for something to do. Tells whether there may be any more.
    async fn wait(&mut self) -> bool {
        if self.is_drained && self.batch.is_empty() && self.refused.is_empty() {
            return false;
        }
        let (rewrite, retry) = (self.rewrite, self.retry);
        tokio::select! {
            biased;
            () = self.back_in_touch.notified() => {
                let again = self.rewritten.map(|last| last + BETWEEN_REWRITES);
                self.rewrite = Some(again.unwrap_or_else(Instant::now));
                self.rewrite_failures = 0;
                self.retry = Instant::now();
            }
            () = async { sleep_until(rewrite.expect("it is due")).await }, if rewrite.is_some() => {
                self.rewrite = None;
                self.rewritten = Some(Instant::now());
                self.write_recent_again().await;
            }
            // Not while others fail, which would have to wait for it.
            () = sleep_until(retry), if !self.refused.is_empty() && self.batch.is_empty() => {
                self.forget_old();
                self.retry_refused().await;
            }
            () = ready(()), if !self.batch.is_empty() => self.forget_old(),
            outgoing = self.outbox.recv(), if !self.is_drained && self.refused.len() < MOST_REFUSED => {
                self.forget_old();
                self.is_drained = outgoing.is_none();
                self.batch.extend(outgoing);
            }
        }
        true
    }

    async fn write_batch(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        self.set_oldest_waiting();
        if self.write(revocations(&self.batch)).await {
            let written = std::mem::take(&mut self.batch);
            written.into_iter().for_each(|outgoing| self.confirm(outgoing));
            self.is_picky = !self.refused.is_empty();
            self.failures = 0;
        } else {
            self.failures += 1;
            pause(self.failures).await;
            if self.failures.is_multiple_of(PATIENCE) {
                let batch = std::mem::take(&mut self.batch);
                self.batch = self.write_one_by_one(batch).await;
            }
        }
    }

    /// Tries those again that have waited for it the longest.
    async fn retry_refused(&mut self) {
        let now = self.held.now();
        let some = self.refused.drain(..BATCH.min(self.refused.len()));
        let (over, some): (Vec<_>, Vec<_>) =
            some.partition(|outgoing| self.held.is_over(&outgoing.revocation, now));
        // No store need hold them any more.
        self.state.waiting.fetch_sub(over.len() as u64, Ordering::Relaxed);
        if some.is_empty() || self.write(revocations(&some)).await {
            some.into_iter().for_each(|outgoing| self.confirm(outgoing));
            self.retry = Instant::now();
        } else {
            let left = self.write_one_by_one(some).await;
            self.refused.extend(left);
            self.retry = Instant::now() + BETWEEN_RETRIES;
        }
        self.is_picky &= !self.refused.is_empty();
    }

    /// The newest first. Gives back those that it has not come to.
    async fn write_one_by_one(&mut self, mut entries: Vec<Outgoing>) -> Vec<Outgoing> {
        let began = Instant::now();
        entries.sort_by_key(|outgoing| Reverse(outgoing.since));
        let mut left = entries.into_iter();
        let mut takes_some = self.is_picky && !self.state.is_failing(Attempt::Read);
        let before = self.refused.len();
        while began.elapsed() < TURN
            && (takes_some || self.refused.len() < before + ENOUGH)
            && let Some(outgoing) = left.next()
        {
            if self.write(vec![outgoing.revocation.clone()]).await {
                self.confirm(outgoing);
                takes_some = true;
            } else {
                self.refused.push_back(outgoing);
            }
        }
        self.is_picky |= takes_some && !self.refused.is_empty();
        left.collect()
    }

    fn set_oldest_waiting(&self) {
        let all = self.batch.iter().chain(&self.refused);
        self.state.set_oldest_waiting(all.map(|outgoing| outgoing.since).min());
    }

    fn confirm(&mut self, outgoing: Outgoing) {
        self.state.waiting.fetch_sub(1, Ordering::Relaxed);
        self.recent.push_back((Instant::now(), outgoing.revocation));
        // Whoever waited may have gone.
        let _ = outgoing.arrived.send(());
    }

    async fn write_recent_again(&mut self) {
        let recent: Vec<_> = self.recent.iter().map(|(_, revocation)| revocation.clone()).collect();
        for batch in recent.chunks(BATCH) {
            if !self.write(batch.to_vec()).await {
                self.rewrite_failures += 1;
                let again = self.rewrite_failures < MOST_REWRITE_FAILURES;
                self.rewrite = again.then(|| Instant::now() + BETWEEN_REWRITES);
                return;
            }
        }
        self.rewrite_failures = 0;
    }

    async fn write(&self, revocations: Vec<Revocation>) -> bool {
        let store = Arc::clone(&self.store);
        match attempt(LIMIT, async move { store.write(revocations).await }).await {
            Ok(()) => {
                if self.state.succeeded(Attempt::Write) && !self.is_picky {
                    self.back_in_touch.notify_one();
                }
                true
            }
            Err(error) => {
                self.state.failed(Attempt::Write, error);
                false
            }
        }
    }

    /// Not before it is known whether the store was away: what it may have lost is to be written again first.
    fn forget_old(&mut self) {
        let is_away =
            self.state.is_failing(Attempt::Read) || (self.state.is_failing(Attempt::Write) && !self.is_picky);
        if !is_away && self.rewrite.is_none() {
            while self.recent.front().is_some_and(|(written, _)| written.elapsed() >= LATELY) {
                self.recent.pop_front();
            }
        }
        while self.recent.len() > MOST_RECENT {
            self.recent.pop_front();
        }
    }
}

fn revocations(entries: &[Outgoing]) -> Vec<Revocation> {
    entries.iter().map(|outgoing| outgoing.revocation.clone()).collect()
}
