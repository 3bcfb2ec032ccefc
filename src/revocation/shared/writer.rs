//! Writing to the store what this process revokes.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::state::{Operation, State};
use super::{RevocationStore, attempt, pause};
use crate::revocation::Revocation;
use crate::revocation::list::RevocationList;
use crate::sync::atomic::Ordering;

/// An entry on its way, and whoever waits for its arrival.
pub(super) struct Outgoing {
    pub(super) revocation: Revocation,
    pub(super) since: Instant,
    pub(super) arrived: oneshot::Sender<()>,
}

pub(super) struct Writer {
    store: Arc<dyn RevocationStore>,
    list: Arc<RevocationList>,
    state: Arc<State>,
    back_in_touch: Arc<Notify>,
    outbox: Receiver<Outgoing>,
    /// Whether nothing more can come out of it.
    is_drained: bool,
    /// What is taken out of it and not written yet.
    batch: Vec<Outgoing>,
    /// How often writing it has failed.
    failures: u64,
    /// What the store did not take by itself. It is tried again apart from the others, which wait for one or two tries of it at most.
    refused: VecDeque<Outgoing>,
    /// When that is due.
    retry: Instant,
    /// Whether it is tried many at once: after an outage, of which they may be.
    retry_together: bool,
    /// Whether the store has taken anything since the latest look at that, or failure of a batch.
    takes: bool,
    /// Whether the store takes some entries and others not, so that a failure does not say that it was away.
    is_picky: bool,
    /// What was written lately. A store that breaks down may lose what it had confirmed but not yet saved, so that this is
    /// written once more when it is back.
    recent: VecDeque<(Instant, Revocation)>,
    /// When that is due.
    rewrite: Option<Instant>,
    rewritten: Option<Instant>,
    /// What of it is still to be written, and how much at once: less where that has failed.
    to_rewrite: VecDeque<Revocation>,
    rewrite_together: usize,
}

/// How long a write may take.
const LIMIT: Duration = Duration::from_secs(2);

/// How long ago "lately" is, while the store is in touch: Redis saves once a second, others as seldom as that.
const LATELY: Duration = Duration::from_secs(60);

/// How often that is written again at most, where a store comes and goes; and how soon it goes on where it has failed.
const BETWEEN_REWRITES: Duration = Duration::from_secs(10);

const MOST_RECENT: usize = 10_000;
const BATCH: usize = 500;

/// How many may have been refused before no more are taken out of the outbox, in which others then wait.
const MOST_REFUSED: usize = 100_000;

/// How soon they are tried again.
const BETWEEN_RETRIES: Duration = Duration::from_secs(1);

/// After so many failures a batch is written one by one, so that an entry which the store does not take holds up no other.
const PATIENCE: u64 = 3;

/// How long that goes on before what has come meanwhile is taken along, and how many are tried if it takes none and is not known
/// to take others.
const TURN: Duration = Duration::from_secs(5);
const ENOUGH: usize = 20;

/// For how long it is still tried when nobody uses the list any more.
const LAST_TRIES: Duration = Duration::from_secs(30);

impl Writer {
    pub(super) fn new(
        store: Arc<dyn RevocationStore>,
        list: Arc<RevocationList>,
        state: Arc<State>,
        back_in_touch: Arc<Notify>,
        outbox: Receiver<Outgoing>,
    ) -> Self {
        Self {
            store,
            list,
            state,
            back_in_touch,
            outbox,
            is_drained: false,
            batch: Vec::new(),
            failures: 0,
            refused: VecDeque::new(),
            retry: Instant::now(),
            retry_together: true,
            takes: false,
            is_picky: false,
            recent: VecDeque::new(),
            rewrite: None,
            rewritten: None,
            to_rewrite: VecDeque::new(),
            rewrite_together: BATCH,
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
        let (rewrite, retry) = (self.rewrite, self.retry);
        let is_done = self.is_drained && self.refused.is_empty() && rewrite.is_none();
        let may_have_lost = !self.recent.is_empty() && self.state.is_failing(Operation::Read);
        tokio::select! {
            biased;
            () = self.back_in_touch.notified() => {
                let again = self.rewritten.map(|last| last + BETWEEN_REWRITES);
                self.rewrite = Some(again.unwrap_or_else(Instant::now));
                // All of it, whatever was written already.
                self.to_rewrite.clear();
                (self.retry, self.retry_together) = (Instant::now(), true);
            }
            () = async { sleep_until(rewrite.expect("it is due")).await }, if rewrite.is_some() => {
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
            () = sleep(BETWEEN_RETRIES), if is_done && may_have_lost => {}
            () = ready(()), if is_done && !may_have_lost => return false,
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
            if self.failures > 0 {
                (self.retry, self.retry_together) = (Instant::now(), true);
            }
            self.failures = 0;
        } else {
            (self.failures, self.takes) = (self.failures + 1, false);
            pause(self.failures).await;
            if self.failures.is_multiple_of(PATIENCE) {
                // The newest first.
                let mut batch = std::mem::take(&mut self.batch);
                batch.sort_by_key(|outgoing| Reverse(outgoing.since));
                self.batch = self.write_one_by_one(batch, false).await;
            }
        }
    }

    /// Tries those again that have waited for it the longest.
    async fn retry_refused(&mut self) {
        let now = self.list.now();
        let some = self.refused.drain(..BATCH.min(self.refused.len()));
        let (over, some): (Vec<_>, Vec<_>) =
            some.partition(|outgoing| self.list.is_over(&outgoing.revocation, now));
        // No store need hold them any more.
        self.state.waiting.fetch_sub(over.len() as u64, Ordering::Relaxed);
        let takes_others = std::mem::take(&mut self.takes) && !self.state.is_failing(Operation::Read);
        let together = self.retry_together && some.len() > 1;
        if some.is_empty() || (together && self.write(revocations(&some)).await) {
            some.into_iter().for_each(|outgoing| self.confirm(outgoing));
            self.retry = Instant::now();
        } else {
            self.retry_together = false;
            let before = self.refused.len();
            let left = self.write_one_by_one(some, true).await;
            let refuses = self.refused.len() > before;
            self.is_picky |= takes_others && refuses;
            self.retry = Instant::now() + if refuses { BETWEEN_RETRIES } else { Duration::ZERO };
            left.into_iter().rev().for_each(|outgoing| self.refused.push_front(outgoing));
        }
        self.is_picky &= !self.refused.is_empty();
    }

    /// In this order. Gives back those that it has not come to: what is tried again makes way for what is new.
    async fn write_one_by_one(&mut self, entries: Vec<Outgoing>, again: bool) -> Vec<Outgoing> {
        let (began, before) = (Instant::now(), self.refused.len());
        let is_there = self.is_picky && !self.state.is_failing(Operation::Read);
        let mut takes_some = false;
        let mut left = entries.into_iter();
        while began.elapsed() < TURN
            && (is_there || takes_some || self.refused.len() < before + ENOUGH)
            && let Some(outgoing) = left.next()
        {
            if self.write(vec![outgoing.revocation.clone()]).await {
                self.confirm(outgoing);
                takes_some = true;
            } else {
                self.refused.push_back(outgoing);
            }
            if again && let Ok(new) = self.outbox.try_recv() {
                self.batch.push(new);
                break;
            }
        }
        if self.refused.len() > before {
            self.is_picky = takes_some || (again && self.is_picky);
        }
        left.collect()
    }

    fn set_oldest_waiting(&self) {
        let all = self.batch.iter().chain(&self.refused);
        self.state.set_oldest_waiting(all.map(|outgoing| outgoing.since).min());
    }

    fn confirm(&mut self, outgoing: Outgoing) {
        self.takes = true;
        self.state.waiting.fetch_sub(1, Ordering::Relaxed);
        self.recent.push_back((Instant::now(), outgoing.revocation));
        // Whoever waited may have gone.
        let _ = outgoing.arrived.send(());
    }

    /// For some seconds, then others have their turn. Where it fails it goes on later, with less at once.
    async fn write_recent_again(&mut self) {
        let (began, now) = (Instant::now(), self.list.now());
        if self.to_rewrite.is_empty() {
            self.to_rewrite = self.recent.iter().map(|(_, revocation)| revocation.clone()).collect();
        }
        self.to_rewrite.retain(|revocation| !self.list.is_over(revocation, now));
        while !self.to_rewrite.is_empty() {
            let count = self.rewrite_together.min(self.to_rewrite.len());
            if began.elapsed() >= TURN {
                self.rewrite = Some(Instant::now());
                return;
            }
            if !self.write(self.to_rewrite.range(..count).cloned().collect()).await {
                if count == 1 {
                    self.to_rewrite.rotate_left(1);
                }
                self.rewrite_together = (count / 2).max(1);
                self.rewrite = Some(Instant::now() + BETWEEN_REWRITES);
                return;
            }
            self.to_rewrite.drain(..count);
            self.rewrite_together = (2 * self.rewrite_together).min(BATCH);
        }
        // It may be lost once more.
        let written_now = Instant::now();
        self.recent.iter_mut().for_each(|(written, _)| *written = written_now);
        self.rewrite = None;
    }

    async fn write(&self, revocations: Vec<Revocation>) -> bool {
        let store = Arc::clone(&self.store);
        match attempt(LIMIT, async move { store.write(revocations).await }).await {
            Ok(()) => {
                // What is recent is being written again already.
                if self.state.succeeded(Operation::Write) && !self.is_picky && self.to_rewrite.is_empty() {
                    self.back_in_touch.notify_one();
                }
                true
            }
            Err(error) => {
                self.state.failed(Operation::Write, error);
                false
            }
        }
    }

    /// Not before it is known whether the store was away: what it may have lost is to be written again first, as far as there is
    /// room for it.
    fn forget_old(&mut self) {
        let is_away = self.state.is_failing(Operation::Read)
            || (self.state.is_failing(Operation::Write) && !self.is_picky);
        if !is_away && self.rewrite.is_none() {
            while self.recent.front().is_some_and(|(written, _)| written.elapsed() >= LATELY) {
                self.recent.pop_front();
            }
        }
        let most = if self.rewrite.is_none() { MOST_RECENT } else { 10 * MOST_RECENT };
        while self.recent.len() > most {
            self.recent.pop_front();
        }
    }
}

fn revocations(entries: &[Outgoing]) -> Vec<Revocation> {
    entries.iter().map(|outgoing| outgoing.revocation.clone()).collect()
}
