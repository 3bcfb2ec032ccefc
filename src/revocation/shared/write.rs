//! Writing to the store what this process revokes.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::Receiver;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};

use super::state::{Attempt, State};
use super::{RevocationStore, attempt, pause};
use crate::revocation::Revocation;
use crate::sync::atomic::Ordering;

/// An entry on its way, and whoever waits for its arrival.
pub(super) struct Outgoing {
    pub(super) revocation: Revocation,
    pub(super) since: Instant,
    /// How often the store did not take it by itself.
    pub(super) tries: u32,
    pub(super) arrived: oneshot::Sender<()>,
}

pub(super) struct Writer {
    store: Arc<dyn RevocationStore>,
    state: Arc<State>,
    back_in_touch: Arc<Notify>,
    outbox: Receiver<Outgoing>,
    /// What is taken out of it and not written yet.
    batch: Vec<Outgoing>,
    /// How often writing it has failed.
    failures: u64,
    /// Whether the store takes some entries and others not, so that a failure does not say that it was away.
    is_picky: bool,
    /// What was written lately. A store that breaks down may lose what it had confirmed but not yet saved, so that this is
    /// written once more when it is back.
    recent: VecDeque<(Instant, Revocation)>,
    /// When that is due.
    rewrite: Option<Instant>,
    rewritten: Option<Instant>,
}

/// How long a write may take.
const LIMIT: Duration = Duration::from_secs(2);

/// How long ago "lately" is, while the store is in touch: Redis saves once a second, others as seldom as that.
const LATELY: Duration = Duration::from_secs(60);

/// How often that is written again at most, where a store comes and goes.
const BETWEEN_REWRITES: Duration = Duration::from_secs(10);

const MOST_RECENT: usize = 10_000;
const BATCH: usize = 500;

/// For how long a store keeps an entry that has expired.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// How many are tried at once with those that the store does not take.
const MOST_AT_ONCE: usize = 10 * BATCH;

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
        state: Arc<State>,
        back_in_touch: Arc<Notify>,
        outbox: Receiver<Outgoing>,
    ) -> Self {
        Self {
            store,
            state,
            back_in_touch,
            outbox,
            batch: Vec::new(),
            failures: 0,
            is_picky: false,
            recent: VecDeque::new(),
            rewrite: None,
            rewritten: None,
        }
    }

    /// Ends when nobody uses the list any more, and all is written or has been tried for long enough.
    pub(super) async fn run(mut self) {
        let mut unused_since = None;
        loop {
            if !self.wait().await {
                return;
            }
            self.give_up_what_is_over();
            // What has come meanwhile goes with it.
            let untried = self.batch.iter().filter(|outgoing| outgoing.tries == 0).count();
            let room = BATCH.saturating_sub(untried).min(MOST_AT_ONCE.saturating_sub(self.batch.len()));
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

    /// Waits for something to write, if there is nothing yet. Tells whether there may be any.
    async fn wait(&mut self) -> bool {
        let due = self.rewrite;
        tokio::select! {
            biased;
            () = self.back_in_touch.notified() => {
                let again = self.rewritten.map(|last| last + BETWEEN_REWRITES);
                self.rewrite = Some(again.unwrap_or_else(Instant::now));
                true
            }
            () = async { sleep_until(due.expect("it is due")).await }, if due.is_some() => {
                self.rewrite = None;
                self.rewritten = Some(Instant::now());
                self.write_recent_again().await;
                true
            }
            () = ready(()), if !self.batch.is_empty() => {
                self.forget_old();
                true
            }
            outgoing = self.outbox.recv() => {
                self.forget_old();
                self.batch.extend(outgoing);
                !self.batch.is_empty()
            }
        }
    }

    async fn write_batch(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        self.set_oldest_waiting();
        let revocations = self.batch.iter().map(|outgoing| outgoing.revocation.clone()).collect();
        if self.write(revocations).await {
            let written = std::mem::take(&mut self.batch);
            written.into_iter().for_each(|outgoing| self.confirm(outgoing));
            (self.failures, self.is_picky) = (0, false);
        } else {
            self.failures += 1;
            pause(self.failures).await;
            if self.failures.is_multiple_of(PATIENCE) && self.batch.len() > 1 {
                self.write_one_by_one().await;
            }
        }
    }

    /// First those that were tried the least, and the newest of them, so that what is new does not wait for what is never taken.
    async fn write_one_by_one(&mut self) {
        let began = Instant::now();
        self.batch.sort_by_key(|outgoing| (outgoing.tries, Reverse(outgoing.since)));
        let mut left = std::mem::take(&mut self.batch).into_iter();
        let (mut takes_some, mut refused) = (false, Vec::new());
        while began.elapsed() < TURN
            && (takes_some || refused.len() < ENOUGH)
            && let Some(mut outgoing) = left.next()
        {
            if self.write(vec![outgoing.revocation.clone()]).await {
                self.confirm(outgoing);
                takes_some = true;
            } else {
                outgoing.tries += 1;
                refused.push(outgoing);
            }
        }
        self.is_picky |= takes_some && !refused.is_empty();
        self.batch.extend(left);
        // Those that it refuses, while it takes others, leave room for what it may take.
        let most = (MOST_AT_ONCE - BATCH).saturating_sub(self.batch.len());
        let kept = if takes_some { most } else { refused.len() };
        refused.drain(kept.min(refused.len())..).for_each(|outgoing| self.give_up(outgoing));
        self.batch.append(&mut refused);
    }

    /// Those that the store has refused, and need not keep any more.
    fn give_up_what_is_over(&mut self) {
        let is_over = |outgoing: &mut Outgoing| {
            let past = SystemTime::now().duration_since(outgoing.revocation.expires_at());
            outgoing.tries > 0 && past.is_ok_and(|past| past >= KEPT)
        };
        let over: Vec<_> = self.batch.extract_if(.., is_over).collect();
        over.into_iter().for_each(|outgoing| self.give_up(outgoing));
    }

    fn give_up(&self, outgoing: Outgoing) {
        self.state.waiting.fetch_sub(1, Ordering::Relaxed);
        drop(outgoing);
    }

    fn set_oldest_waiting(&self) {
        self.state.set_oldest_waiting(self.batch.iter().map(|outgoing| outgoing.since).min());
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
                self.rewrite = Some(Instant::now() + BETWEEN_REWRITES);
                return;
            }
        }
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
