//! Writes to the store what this process revokes.
//!
//! There is one queue. A failed batch goes back to its front, and the next one is half as large; after a success it is twice
//! as large. An entry that fails alone is put off for a second. The store may refuse it, or be away, so it is tried until it
//! no longer matters. New entries come first, and are never in one batch with entries that have failed.
//!
//! A store that breaks down may lose what it has confirmed and not yet saved. So recent entries are kept, and go back to the
//! queue when the store returns: it can be read again, or takes an entry that it did not take alone before.

use std::collections::VecDeque;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::state::{Operation, State};
use super::{MOST_WAITING, RevocationStore, attempt, pause};
use crate::revocation::Revocation;
use crate::revocation::list::RevocationList;
use crate::sync::atomic::Ordering;

/// An entry on its way to the store.
pub(super) struct Outgoing {
    revocation: Revocation,
    since: Instant,
    /// Told when the store has confirmed the entry; `None` if it had before.
    waiter: Option<oneshot::Sender<()>>,
    /// True if a write of this entry has failed.
    has_failed: bool,
    /// When it is due, if it has failed alone.
    retry_at: Option<Instant>,
}

pub(super) struct Writer {
    store: Arc<dyn RevocationStore>,
    list: Arc<RevocationList>,
    state: Arc<State>,
    back_in_touch: Arc<Notify>,
    outbox: UnboundedReceiver<Outgoing>,
    /// True if nothing more can come out of it.
    is_drained: bool,
    /// In the order of the next attempt: what is put off is at the end.
    queue: VecDeque<Outgoing>,
    /// The size of the next batch.
    at_once: usize,
    /// The entries that the store has confirmed lately, and when.
    recent: VecDeque<(Instant, Revocation)>,
    /// When the store last confirmed entries, or the task began.
    written_at: Instant,
    /// When these go back to the queue.
    rewrite_at: Option<Instant>,
    rewritten_at: Option<Instant>,
}

/// How long a write may take.
const LIMIT: Duration = Duration::from_secs(2);

const BATCH: usize = 500;

/// The pause after a failed write while the store can be read, and before the next attempt at an entry that failed alone.
const BETWEEN_WRITES: Duration = Duration::from_millis(10);
const BETWEEN_RETRIES: Duration = Duration::from_secs(1);

/// The pause after an entry has failed alone once more, however many there are of them.
const BETWEEN_REPEATS: Duration = Duration::from_millis(50);

/// Entries are recent for this long before the newest one. Redis saves once a second; others may save less often.
const LATELY: Duration = Duration::from_secs(60);
const MOST_RECENT: usize = 10_000;

/// How often recent entries are written again at most, if a store comes and goes.
const BETWEEN_REWRITES: Duration = Duration::from_secs(10);

/// How long the task goes on without success when nobody uses the list any more.
const LAST_TRIES: Duration = Duration::from_secs(30);

impl Outgoing {
    /// A new entry, and a receiver that is told when the store has confirmed it.
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
        back_in_touch: Arc<Notify>,
        outbox: UnboundedReceiver<Outgoing>,
    ) -> Self {
        Self {
            store,
            list,
            state,
            back_in_touch,
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

    /// Ends when nobody uses the list any more, and everything is written or has been tried for long enough.
    pub(super) async fn run(mut self) {
        let mut unused_since = None;
        while self.wait().await {
            self.write_batch().await;
            let unused = self.outbox.is_closed().then(|| *unused_since.get_or_insert_with(Instant::now));
            if unused.is_some_and(|since| since.max(self.written_at).elapsed() >= LAST_TRIES) {
                return;
            }
        }
    }

    /// Waits for something to do. Returns false if there will be nothing more.
    async fn wait(&mut self) -> bool {
        let (rewrite_at, next) = (self.rewrite_at, self.queue.front().map(|first| first.retry_at));
        let is_done = self.is_drained && next.is_none() && rewrite_at.is_none();
        let may_have_lost = !self.recent.is_empty() && self.state.is_failing(Operation::Read);
        tokio::select! {
            biased;
            () = self.back_in_touch.notified() => self.store_is_back(),
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

    /// Puts an entry to the front of the queue, and all that came after it.
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
                // What is left of a failed batch is halved until the entry that fails is alone.
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

    /// The first entries of the queue that are due. All of them are new, or have failed in a batch, or alone.
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

    /// Puts an entry to the end of the queue, unless it no longer matters.
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

    /// The store may have been away for all that has failed, and may have lost what is recent.
    fn store_is_back(&mut self) {
        for outgoing in &mut self.queue {
            (outgoing.has_failed, outgoing.retry_at) = (false, None);
        }
        let now = Instant::now();
        self.rewrite_at = Some(self.rewritten_at.map_or(now, |last| now.max(last + BETWEEN_REWRITES)));
    }

    /// Moves the recent entries to the queue, as far as there is room for them.
    fn rewrite_recent(&mut self) {
        (self.rewrite_at, self.rewritten_at) = (None, Some(Instant::now()));
        let now = self.list.now();
        let room = (2 * MOST_WAITING).saturating_sub(self.queue.len());
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

    /// Returns true if the oldest of the recent entries is not needed, or there are too many. What the store may have lost is
    /// needed.
    fn has_old(&self) -> bool {
        let may_have_lost = self.rewrite_at.is_some() || self.state.is_failing(Operation::Read);
        let age = match (self.recent.front(), self.recent.back()) {
            (Some((oldest, _)), Some((newest, _))) => *newest - *oldest,
            _ => Duration::ZERO,
        };
        self.recent.len() > MOST_RECENT || (!may_have_lost && age >= LATELY)
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
