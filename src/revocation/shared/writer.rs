//! Writes this process's revocations to the store.
//!
//! There is one queue. A failed batch returns to its front and is halved. After a success the batch size doubles. An
//! entry that fails alone is retried after a second, until it no longer matters: the store may reject it, or be down.
//! New entries come first and are never batched with failed ones.
//!
//! A store that crashes may lose confirmed entries that it had not saved yet. So recent entries are kept.
//! They return to the queue when the store can be read again, or accepts an entry that had failed alone.

use std::collections::VecDeque;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::state::{Operation, State};
use super::{MAX_WAITING, RevocationStore, attempt, pause};
use crate::revocation::Revocation;
use crate::revocation::list::RevocationList;
use crate::sync::atomic::Ordering;

/// An entry on its way to the store.
pub(super) struct Outgoing {
    revocation: Revocation,
    since: Instant,
    /// Notified when the store has confirmed the entry. `None` for a rewrite.
    waiter: Option<oneshot::Sender<()>>,
    /// True if a write of this entry has failed.
    has_failed: bool,
    /// Time of the next attempt, if it has failed alone.
    retry_at: Option<Instant>,
}

pub(super) struct Writer {
    store: Arc<dyn RevocationStore>,
    list: Arc<RevocationList>,
    state: Arc<State>,
    store_returned: Arc<Notify>,
    outbox: UnboundedReceiver<Outgoing>,
    /// True if the channel is closed and empty.
    is_drained: bool,
    /// Ordered by the next attempt: delayed entries are at the end.
    queue: VecDeque<Outgoing>,
    /// The size of the next batch.
    at_once: usize,
    /// Entries that the store has confirmed recently, with the time.
    recent: VecDeque<(Instant, Revocation)>,
    /// Time of the last confirmation, or the start of the task.
    written_at: Instant,
    /// Time at which the recent entries return to the queue.
    rewrite_at: Option<Instant>,
    rewritten_at: Option<Instant>,
}

/// Timeout of a write.
const LIMIT: Duration = Duration::from_secs(2);

const BATCH: usize = 500;

/// Pause after a failed write while the store can be read, and before an entry that failed alone is retried.
const BETWEEN_WRITES: Duration = Duration::from_millis(10);
const BETWEEN_RETRIES: Duration = Duration::from_secs(1);

/// Pause after another failure of such an entry, regardless of their number.
const BETWEEN_REPEATS: Duration = Duration::from_millis(50);

/// Entries are kept this long. Redis saves once a second; other stores may save less often.
const RECENT: Duration = Duration::from_secs(60);
const MAX_RECENT: usize = 10_000;

/// Minimum time between rewrites, in case a store fails repeatedly.
const BETWEEN_REWRITES: Duration = Duration::from_secs(10);

/// How long the task continues without success after the list is dropped.
const FINAL_ATTEMPTS: Duration = Duration::from_secs(30);

impl Outgoing {
    /// Creates a new entry, and a receiver that is notified when the store has confirmed it.
    pub(super) fn new(revocation: Revocation) -> (Self, oneshot::Receiver<()>) {
        let (waiter, confirmation) = oneshot::channel();
        (Self { waiter: Some(waiter), ..Self::written_before(revocation) }, confirmation)
    }

    fn written_before(revocation: Revocation) -> Self {
        Self { revocation, since: Instant::now(), waiter: None, has_failed: false, retry_at: None }
    }

    fn is_due(&self) -> bool {
        self.retry_at.is_none_or(|due| due <= Instant::now())
    }
}

impl Writer {
    pub(super) fn new(
        store: Arc<dyn RevocationStore>,
        list: Arc<RevocationList>,
        state: Arc<State>,
        store_returned: Arc<Notify>,
        outbox: UnboundedReceiver<Outgoing>,
    ) -> Self {
        Self {
            store,
            list,
            state,
            store_returned,
            outbox,
            is_drained: false,
            queue: VecDeque::new(),
            at_once: BATCH,
            recent: VecDeque::new(),
            written_at: Instant::now(),
            rewrite_at: None,
            rewritten_at: None,
        }
    }

    /// Runs until the list is dropped and everything is written, or has been retried for long enough.
    pub(super) async fn run(mut self) {
        let mut unused_since = None;
        while self.wait().await {
            self.write_batch().await;
            let unused = self.outbox.is_closed().then(|| *unused_since.get_or_insert_with(Instant::now));
            if unused.is_some_and(|since| since.max(self.written_at).elapsed() >= FINAL_ATTEMPTS) {
                return;
            }
        }
    }

    /// Waits for something to do. Returns false if nothing will follow.
    async fn wait(&mut self) -> bool {
        let (rewrite_at, next) = (self.rewrite_at, self.queue.front().map(|first| first.retry_at));
        let is_done = self.is_drained && next.is_none() && rewrite_at.is_none();
        let may_have_lost = !self.recent.is_empty() && self.state.is_failing(Operation::Read);
        tokio::select! {
            biased;
            () = self.store_returned.notified() => self.store_is_back(),
            () = ready(()), if self.has_old() => self.forget_old(),
            () = until(rewrite_at), if rewrite_at.is_some() => self.rewrite_recent(),
            outgoing = self.outbox.recv(), if !self.is_drained => {
                self.is_drained = outgoing.is_none();
                self.enqueue(outgoing);
            }
            () = until(next.flatten()), if next.is_some() => {}
            () = sleep(BETWEEN_RETRIES), if is_done && may_have_lost => {}
            () = ready(()), if is_done && !may_have_lost => return false,
        }
        true
    }

    /// Adds an entry and all later ones to the front of the queue.
    fn enqueue(&mut self, mut outgoing: Option<Outgoing>) {
        while let Some(new) = outgoing {
            self.queue.push_front(new);
            outgoing = self.outbox.try_recv().ok();
        }
        self.set_oldest_waiting();
    }

    async fn write_batch(&mut self) {
        let mut batch = self.next_batch();
        let revocations: Vec<_> = batch.iter().map(|outgoing| outgoing.revocation.clone()).collect();
        if revocations.is_empty() {
            return;
        }
        let store = Arc::clone(&self.store);
        match attempt(LIMIT, async move { store.write(revocations).await }).await {
            Ok(()) => {
                self.state.succeeded(Operation::Write);
                self.written_at = Instant::now();
                // The rest of a failed batch is halved further, until the failing entry is alone.
                if !self.queue.front().is_some_and(|next| next.has_failed && next.retry_at.is_none()) {
                    self.at_once = (2 * self.at_once).min(BATCH);
                }
                self.confirm(batch);
            }
            Err(error) => {
                let failures = self.state.failed(Operation::Write, error);
                self.at_once = (batch.len() / 2).max(1);
                let was_put_off = batch[0].retry_at.is_some();
                if batch.len() == 1 {
                    self.put_off(batch.remove(0));
                } else {
                    batch.iter_mut().for_each(|outgoing| outgoing.has_failed = true);
                    batch.into_iter().rev().for_each(|outgoing| self.queue.push_front(outgoing));
                }
                if self.state.is_failing(Operation::Read) {
                    pause(failures).await;
                } else {
                    sleep(if was_put_off { BETWEEN_REPEATS } else { BETWEEN_WRITES }).await;
                }
            }
        }
    }

    /// Takes the due entries at the front of the queue that are of one kind: new, failed in a batch, or failed alone.
    fn next_batch(&mut self) -> Vec<Outgoing> {
        let kind = |one: &Outgoing| (one.has_failed, one.retry_at.is_some());
        let first = self.queue.front().map(kind);
        let fits = |one: &&Outgoing| Some(kind(one)) == first && one.is_due();
        let count = self.queue.iter().take(self.at_once).take_while(fits).count();
        self.queue.drain(..count).collect()
    }

    fn confirm(&mut self, batch: Vec<Outgoing>) {
        let now = Instant::now();
        let was_away = batch.iter().any(|outgoing| outgoing.retry_at.is_some());
        for outgoing in batch {
            self.recent.push_back((now, outgoing.revocation));
            if let Some(waiter) = outgoing.waiter {
                self.state.waiting.fetch_sub(1, Ordering::Relaxed);
                // The receiver may be gone.
                let _ = waiter.send(());
            }
        }
        self.set_oldest_waiting();
        if was_away {
            self.store_is_back();
        }
    }

    /// Moves a failed entry to the end of the queue, unless it no longer matters.
    fn put_off(&mut self, outgoing: Outgoing) {
        if !self.list.is_over(&outgoing.revocation, self.list.now()) {
            let retry_at = Some(Instant::now() + BETWEEN_RETRIES);
            self.queue.push_back(Outgoing { has_failed: true, retry_at, ..outgoing });
            return;
        }
        if outgoing.waiter.is_some() {
            self.state.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        self.set_oldest_waiting();
    }

    /// Retries everything that has failed, and schedules a rewrite of recent entries, since the store may have lost
    /// them.
    fn store_is_back(&mut self) {
        for outgoing in &mut self.queue {
            (outgoing.has_failed, outgoing.retry_at) = (false, None);
        }
        let now = Instant::now();
        self.rewrite_at = Some(self.rewritten_at.map_or(now, |last| now.max(last + BETWEEN_REWRITES)));
    }

    /// Moves recent entries to the queue, as far as it has room.
    fn rewrite_recent(&mut self) {
        (self.rewrite_at, self.rewritten_at) = (None, Some(Instant::now()));
        let now = self.list.now();
        let room = (2 * MAX_WAITING).saturating_sub(self.queue.len());
        let needed = self.recent.drain(..).filter(|(_, revocation)| !self.list.is_over(revocation, now));
        for (_, revocation) in needed.take(room) {
            self.queue.push_front(Outgoing::written_before(revocation));
        }
    }

    fn forget_old(&mut self) {
        while self.has_old() {
            self.recent.pop_front();
        }
    }

    /// Returns true if the oldest recent entry is no longer needed, or there are too many. Entries that the store may
    /// have lost are needed.
    fn has_old(&self) -> bool {
        let may_have_lost = self.rewrite_at.is_some() || self.state.is_failing(Operation::Read);
        let age = match (self.recent.front(), self.recent.back()) {
            (Some((oldest, _)), Some((newest, _))) => *newest - *oldest,
            _ => Duration::ZERO,
        };
        self.recent.len() > MAX_RECENT || (!may_have_lost && age >= RECENT)
    }

    fn set_oldest_waiting(&self) {
        let waiting = self.queue.iter().filter(|outgoing| outgoing.waiter.is_some());
        self.state.set_oldest_waiting(waiting.map(|outgoing| outgoing.since).min());
    }
}

/// Waits until this time, if there is one.
async fn until(time: Option<Instant>) {
    if let Some(time) = time {
        sleep_until(time).await;
    }
}
