//! What the handles of `RemoteKeys` share, and the task that looks after it.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::fetch::{Fetched, Fetcher};
use super::fetch_error::{FetchError, Problem};
use super::pace::{Pace, after};
use super::progress::{Ask, Progress};
use super::stats::Counts;
use crate::error::AuthError;
use crate::observe::{self, HeldKeys};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::verify::{KeySet, KeySource, KeyStore, Refresh};

pub(super) const NO_RUNTIME: &str = "keys are fetched in a tokio runtime, and there is none here";

pub(crate) struct State {
    /// The issuer, or the address of the set: what logs and measurements call it.
    pub(super) provider: Arc<str>,
    pub(super) keys: KeyStore,
    pub(super) progress: watch::Sender<Progress>,
    /// Wakes the task for an attempt that somebody wants.
    wanted: Notify,
    /// Whether there is a task.
    pub(super) has_task: AtomicBool,
    /// Whether the keys that are held should have been fetched anew, but could not be.
    pub(super) is_stale: AtomicBool,
    /// As many permits as requests may wait.
    waiting: Arc<Semaphore>,
    pub(super) counts: Counts,
    /// What is measured of the keys that are held.
    pub(super) held: HeldKeys,
    pace: Pace,
    wait_limit: Duration,
}

impl State {
    pub(super) fn new(
        provider: Arc<str>,
        seed: KeySet,
        pace: Pace,
        wait_limit: Duration,
        most_waiting: usize,
    ) -> Self {
        let progress = Progress::new(Instant::now(), !seed.is_empty());
        Self {
            held: HeldKeys::new(&provider),
            provider,
            keys: KeyStore::new(seed),
            progress: watch::channel(progress).0,
            wanted: Notify::new(),
            has_task: AtomicBool::new(false),
            is_stale: AtomicBool::new(false),
            waiting: Arc::new(Semaphore::new(most_waiting.min(Semaphore::MAX_PERMITS))),
            counts: Counts::default(),
            pace,
            wait_limit,
        }
    }

    /// What becomes of a token whose key is not held, which `can_wait` for a fetch where there is a runtime.
    pub(super) fn refresh(self: &Arc<Self>, can_wait: bool) -> Refresh {
        self.counts.unknown_keys.add();
        match self.ask(can_wait) {
            Ask::Wait(_) if !can_wait => Refresh::Failed(AuthError::keys_unavailable(NO_RUNTIME)),
            Ask::Settled => {
                self.counts.cooldown_hits.add();
                Refresh::Unchanged
            }
            Ask::Failed(error, retry) => {
                self.counts.cooldown_hits.add();
                Refresh::Failed(AuthError::keys_unavailable(error).retry_in(retry))
            }
            Ask::Wait(attempt) => match Arc::clone(&self.waiting).try_acquire_owned() {
                Ok(permit) => {
                    let state = Arc::clone(self);
                    Refresh::Pending(Box::pin(async move {
                        let _permit = permit;
                        state.wait_for(attempt).await
                    }))
                }
                Err(_) => {
                    self.counts.turned_away.add();
                    Refresh::Failed(AuthError::keys_unavailable(
                        "as many requests as may wait for keys do so already",
                    ))
                }
            },
        }
    }

    /// Finds out what becomes of somebody who asks, and has an attempt made if that is what it takes.
    fn ask(&self, can_wait: bool) -> Ask {
        let (now, cooldown) = (Instant::now(), self.pace.cooldown);
        // Most who ask are told without keeping others from asking.
        if let Some(answer) = self.progress.borrow().ask(now, cooldown) {
            return answer;
        }
        let answer = self.note(|progress| match progress.ask(now, cooldown) {
            Some(answer) => answer,
            None if can_wait => progress.want(now),
            None => Ask::Wait(progress.ended + 1),
        });
        self.wanted.notify_one();
        answer
    }

    /// Changes what is known, and wakes none of those who wait.
    fn note<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> T {
        let mut result = None;
        self.progress.send_if_modified(|progress| {
            result = Some(change(progress));
            false
        });
        result.expect("the closure is called once")
    }

    async fn wait_for(&self, attempt: u64) -> Result<(), AuthError> {
        let mut progress = self.progress.subscribe();
        let ended = progress.wait_for(|progress| progress.ended >= attempt);
        match timeout(self.wait_limit, ended).await {
            Ok(Ok(progress)) => match &progress.outcome {
                Ok(()) if progress.confirmed.is_none() => {
                    Err(AuthError::keys_unavailable("the keys were given up as soon as they were there"))
                }
                Ok(()) => Ok(()),
                Err(error) => {
                    let retry = progress.due.saturating_duration_since(Instant::now());
                    Err(AuthError::keys_unavailable(Arc::clone(error)).retry_in(retry))
                }
            },
            _ => Err(AuthError::keys_unavailable("the keys are still being fetched")),
        }
    }

    /// Waits until keys are held.
    pub(super) async fn ready(&self, limit: Duration) -> Result<(), AuthError> {
        if Handle::try_current().is_err() {
            return Err(AuthError::keys_unavailable(NO_RUNTIME));
        }
        let mut progress = self.progress.subscribe();
        let held = progress.wait_for(|progress| progress.confirmed.is_some());
        if let Ok(Ok(_)) = timeout(limit, held).await {
            return Ok(());
        }
        match &self.progress.borrow().outcome {
            Ok(()) => Err(AuthError::keys_unavailable("the keys are still being fetched")),
            Err(error) => Err(AuthError::keys_unavailable(Arc::clone(error))),
        }
    }

    /// Gives up the keys that are held, and has others fetched at once.
    pub(super) fn purge(&self) {
        self.note(|progress| {
            progress.purges += 1;
            self.give_up(progress);
            progress.want(Instant::now());
        });
        self.tell_held();
        self.wanted.notify_one();
    }

    /// Gives up the keys that are held if they have served for as long as they may.
    pub(super) fn give_up_if_too_old(&self) {
        let are_given_up = self.note(|progress| {
            let are_too_old = self.serve_until(progress).is_some_and(|end| Instant::now() >= end);
            if are_too_old {
                self.give_up(progress);
            }
            are_too_old
        });
        // Not before the others can go on.
        if are_given_up {
            self.tell_held();
        }
    }

    /// Has it measured how many keys are held.
    pub(super) fn tell_held(&self) {
        self.held.are(|| self.keys.current().len());
    }

    fn give_up(&self, progress: &mut Progress) {
        progress.confirmed = None;
        self.keys.replace(KeySet::new([]));
        self.is_stale.store(false, Ordering::Relaxed);
    }

    /// When the keys that are held have to be given up, unless they are fetched anew before.
    fn serve_until(&self, progress: &Progress) -> Option<Instant> {
        progress.confirmed.map(|confirmed| after(confirmed, self.pace.outage_limit))
    }

    /// What the task does for as long as there are handles.
    pub(super) async fn run(self: Arc<Self>, mut fetcher: Fetcher, _guard: TaskGuard) {
        loop {
            self.until_wanted().await;
            self.attempt(&mut fetcher).await;
        }
    }

    /// Waits until an attempt is wanted or due.
    async fn until_wanted(&self) {
        loop {
            let (is_under_way, due) = {
                let progress = self.progress.borrow();
                (progress.is_under_way, progress.due)
            };
            if is_under_way {
                return;
            }
            tokio::select! {
                () = self.wanted.notified() => {}
                () = self.until_too_old() => {}
                () = sleep_until(due) => {
                    self.note(|progress| {
                        if !progress.is_under_way {
                            progress.want(Instant::now());
                        }
                    });
                }
            }
        }
    }

    /// Waits until the keys that are held are too old, and gives them up then.
    async fn until_too_old(&self) {
        let end = self.serve_until(&self.progress.borrow());
        match end {
            Some(end) => sleep_until(end).await,
            None => std::future::pending().await,
        }
        self.give_up_if_too_old();
    }

    async fn attempt(&self, fetcher: &mut Fetcher) {
        self.counts.fetches.add();
        let (purges, failures, holds_any) = {
            let progress = self.progress.borrow();
            (progress.purges, progress.failures, progress.confirmed.is_some())
        };
        let mut fetch = pin!(caught(fetcher.fetch(holds_any)));
        let fetched = loop {
            tokio::select! {
                biased;
                fetched = &mut fetch => break fetched,
                () = self.until_too_old() => {}
            }
        };
        if fetched.is_err() {
            self.counts.failures.add();
        }
        if self.progress.send_if_modified(|progress| self.conclude(progress, purges, fetched)) {
            self.report(failures);
        }
    }

    /// Has it logged and counted how an attempt has ended, before which so many had failed in a row.
    fn report(&self, failures: u32) {
        let (outcome, holds_any) = {
            let progress = self.progress.borrow();
            (progress.outcome.clone(), progress.confirmed.is_some())
        };
        match outcome {
            Ok(()) => observe::keys_fetched(&self.provider, self.keys.current().len(), failures),
            Err(error) => observe::fetch_failed(&self.provider, &*error, failures + 1, holds_any),
        }
        self.tell_held();
    }

    /// Notes how an attempt has ended. Whether there is anything to tell those who wait.
    fn conclude(&self, progress: &mut Progress, purges: u64, fetched: Result<Fetched, FetchError>) -> bool {
        let now = Instant::now();
        // It may hold what was to be purged, or speak of keys that grew too old meanwhile: another one follows at once.
        let was_purged = progress.purges != purges;
        let is_unchanged = matches!(fetched, Ok(Fetched { keys: None, .. }));
        if was_purged || (is_unchanged && progress.confirmed.is_none()) {
            progress.want(now);
            return false;
        }
        match fetched {
            Ok(fetched) => {
                progress.succeed(now, after(now, self.pace.until_refresh(fetched.lifetime)));
                if let Some(keys) = fetched.keys {
                    self.keys.replace(keys);
                }
            }
            Err(error) => self.fail(progress, error),
        }
        let is_stale = progress.failures > 0 && progress.confirmed.is_some();
        self.is_stale.store(is_stale, Ordering::Relaxed);
        true
    }

    fn fail(&self, progress: &mut Progress, error: FetchError) {
        let retry = self.pace.until_retry(progress.failures.saturating_add(1));
        progress.fail(error, after(Instant::now(), retry));
    }
}

/// That there is a task: where it ends, those who wait are told, and the next one who asks begins another.
pub(super) struct TaskGuard(Arc<State>);

impl TaskGuard {
    /// `None` where there is one already.
    pub(super) fn begin(state: &Arc<State>) -> Option<Self> {
        let had_task = state.has_task.swap(true, Ordering::AcqRel);
        (!had_task).then(|| Self(Arc::clone(state)))
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        let state = &self.0;
        state.has_task.store(false, Ordering::Release);
        state.progress.send_modify(|progress| {
            if progress.is_under_way {
                state.fail(progress, Problem::Stopped.into());
            }
        });
    }
}

/// Makes a panic of the client a failure like any other.
async fn caught(fetch: impl Future<Output = Result<Fetched, FetchError>>) -> Result<Fetched, FetchError> {
    let mut fetch = pin!(fetch);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| fetch.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| Poll::Ready(Err(Problem::Panicked.into())))
    })
    .await
}
