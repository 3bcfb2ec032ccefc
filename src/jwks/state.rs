//! The state shared by all clones of `RemoteKeys`, and its background task.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::fetch::{Fetched, Fetcher};
use super::fetch_error::{FetchError, Problem};
use super::progress::{Answer, Lookup, Progress};
use super::schedule::{MIN_WAIT, Schedule, after};
use super::signs::{Sign, Signs};
use super::stats::Counts;
use crate::config_error::SkippedKey;
use crate::error::AuthError;
use crate::observe::{self, HeldKeys};
use crate::sync::Mutex;
use crate::verify::{Key, KeyLookup, KeySet, KeySource, KeyStore, Refresh};

pub(super) const NO_RUNTIME: &str = "no tokio runtime: fetching keys needs one";

pub(crate) struct State {
    /// The issuer or the URL of the set, for logs and metrics.
    pub(super) provider: Arc<str>,
    pub(super) keys: KeyStore,
    /// The keys of a reader while the held ones are at rest.
    pub(super) none: KeySet,
    pub(super) progress: watch::Sender<Progress>,
    /// Wakes the task for a requested attempt.
    wanted: Notify,
    pub(super) signs: Signs,
    /// One permit for each request that may wait.
    waiting: Arc<Semaphore>,
    /// Half as many, for tokens that the held keys have not signed. So forged tokens with a real `kid` cannot crowd out
    /// tokens with a new one.
    waiting_judged: Arc<Semaphore>,
    /// Hashes names with a random key, so that nobody can construct a collision.
    names: RandomState,
    /// Each pending [`ready`](Self::ready) holds a clone, since the keys must not rest meanwhile.
    awaited: Arc<()>,
    /// The skipped keys of the last warning.
    warned: Mutex<Vec<(Option<String>, String)>>,
    pub(super) counts: Counts,
    /// The gauges for the held keys.
    pub(super) held: HeldKeys,
    schedule: Schedule,
    wait_timeout: Duration,
}

impl State {
    pub(super) fn new(
        provider: Arc<str>,
        seed: KeySet,
        schedule: Schedule,
        wait_timeout: Duration,
        max_waiting: usize,
    ) -> Self {
        let progress = Progress::new(Instant::now(), !seed.is_empty());
        Self {
            held: HeldKeys::new(&provider),
            provider,
            keys: KeyStore::new(seed),
            none: KeySet::new([]),
            progress: watch::channel(progress).0,
            wanted: Notify::new(),
            signs: Signs::new(),
            waiting: Arc::new(Semaphore::new(max_waiting.min(Semaphore::MAX_PERMITS))),
            waiting_judged: Arc::new(Semaphore::new((max_waiting / 2).min(Semaphore::MAX_PERMITS))),
            names: RandomState::new(),
            awaited: Arc::default(),
            warned: Mutex::new(Vec::new()),
            counts: Counts::default(),
            schedule,
            wait_timeout,
        }
    }

    /// Decides about a token that needs newer keys. `can_wait` is false outside a runtime.
    pub(super) fn refresh(self: &Arc<Self>, lookup: KeyLookup<'_>, can_wait: bool) -> Refresh {
        let is_at_rest = self.signs.has(Sign::AtRest);
        if !lookup.is_replaced() && !is_at_rest {
            self.counts.unknown_keys.add();
        }
        let wanted = match lookup.kid() {
            Some(kid) if !lookup.is_replaced() => Lookup::Named(self.names.hash_one(kid)),
            _ => Lookup::Replaced,
        };
        let missing = lookup.kid().filter(|_| !lookup.is_replaced());
        let (attempt, has_begun) = match self.ask(wanted, missing, can_wait) {
            Answer::Wait { .. } if !can_wait => {
                return Refresh::Failed(AuthError::keys_unavailable(NO_RUNTIME));
            }
            Answer::Settled => {
                self.count_cooldown_hit();
                return Refresh::Unchanged;
            }
            Answer::Failed(error, retry) => {
                self.count_cooldown_hit();
                return Refresh::Failed(unavailable_for(error, retry));
            }
            Answer::Wait { attempt, has_begun } => (attempt, has_begun),
        };
        let Some(place) = self.place(lookup.is_replaced()) else {
            self.counts.rejected_waiters.add();
            observe::rejected_waiter(&self.provider);
            let cause = "too many requests are waiting for keys; RemoteKeys::max_waiting sets the limit";
            return Refresh::Failed(unavailable_for(cause, Duration::ZERO));
        };
        let state = Arc::clone(self);
        let sought = has_begun.then(|| match missing {
            Some(kid) => Sought::Missing(kid.to_owned()),
            None => {
                let held = if is_at_rest { None } else { self.keys.current().pin() };
                Sought::Replaced { kid: lookup.kid().map(str::to_owned), held }
            }
        });
        Refresh::Pending(Box::pin(async move {
            let _place = place;
            state.wait(attempt, wanted, sought).await
        }))
    }

    /// Takes a place in the queue, or returns `None` if the queue is full.
    fn place(&self, is_judged: bool) -> Option<(OwnedSemaphorePermit, Option<OwnedSemaphorePermit>)> {
        let among_judged = match is_judged {
            true => Some(Arc::clone(&self.waiting_judged).try_acquire_owned().ok()?),
            false => None,
        };
        Some((Arc::clone(&self.waiting).try_acquire_owned().ok()?, among_judged))
    }

    fn count_cooldown_hit(&self) {
        self.counts.cooldown_hits.add();
        observe::cooldown_hit(&self.provider);
    }

    /// Decides about a request, and requests an attempt if the decision needs one.
    fn ask(&self, wanted: Lookup, missing: Option<&str>, can_wait: bool) -> Answer {
        let (now, cooldown) = (Instant::now(), self.schedule.cooldown);
        // The key may have arrived after verification. Keys are replaced under the lock of `progress`.
        let ask = |progress: &Progress| match missing {
            Some(kid) if !progress.is_resting && self.keys.current().has_named(kid) => Some(Answer::Settled),
            _ => progress.ask(wanted, now, cooldown),
        };
        // Most requests need only the read lock.
        if let Some(answer) = ask(&self.progress.borrow()) {
            return answer;
        }
        let answer = self.note(|progress| match ask(progress) {
            Some(answer) => answer,
            None if can_wait || progress.is_resting => progress.start_lookup(wanted, now, cooldown),
            None => Answer::Wait { attempt: progress.ended + 1, has_begun: false },
        });
        self.wanted.notify_one();
        answer
    }

    /// Changes the progress without waking waiters.
    fn note<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> T {
        let mut result = None;
        self.progress.send_if_modified(|progress| {
            result = Some(change(progress));
            false
        });
        result.expect("the closure is called once")
    }

    /// Waits for an attempt. If it began before this request and did not bring the key, waits for the next one.
    async fn wait(&self, attempt: u64, wanted: Lookup, sought: Option<Sought>) -> Result<(), AuthError> {
        // Without keys, every request needs this fetch, so a longer wait is worth it.
        let has_none = self.progress.borrow().has_none_to_use();
        let limit = match has_none {
            // A little longer than the attempt, so that its own error is reported.
            true => self.schedule.deadline.saturating_add(MIN_WAIT).max(self.wait_timeout),
            false => self.wait_timeout,
        };
        let ended = async {
            self.until_ended(attempt).await?;
            let Some(sought) = sought.filter(|sought| !sought.may_be_in(&self.keys.current())) else {
                return Ok(());
            };
            match self.ask(wanted, sought.missing(), true) {
                Answer::Wait { attempt, .. } => self.until_ended(attempt).await,
                Answer::Settled => Ok(()),
                Answer::Failed(error, retry) => Err(unavailable_for(error, retry)),
            }
        };
        match timeout(limit, ended).await {
            Ok(result) => result,
            Err(_) => Err(unavailable_for("the keys are still being fetched", Duration::ZERO)),
        }
    }

    /// Waits until this many attempts have ended.
    async fn until_ended(&self, attempt: u64) -> Result<(), AuthError> {
        let mut progress = self.progress.subscribe();
        let ended = progress.wait_for(|progress| progress.ended >= attempt).await;
        let Ok(progress) = ended else {
            return Err(unavailable_for("the keys are still being fetched", Duration::ZERO));
        };
        match &progress.outcome {
            Ok(()) if progress.confirmed.is_none() => {
                Err(unavailable_for("the fetched keys expired or were purged at once", Duration::ZERO))
            }
            Ok(()) => Ok(()),
            Err(error) => {
                let retry = progress.next_chance(Instant::now(), self.schedule.cooldown);
                Err(unavailable_for(Arc::clone(error), retry))
            }
        }
    }

    /// Waits until keys are held.
    pub(super) async fn ready(&self, limit: Duration) -> Result<(), AuthError> {
        if Handle::try_current().is_err() {
            return Err(AuthError::keys_unavailable(NO_RUNTIME));
        }
        let _awaited = Arc::clone(&self.awaited);
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

    /// Discards the held keys and requests new ones at once.
    pub(super) fn purge(&self) {
        self.note(|progress| {
            progress.purges += 1;
            self.discard(progress);
            progress.want(Instant::now());
        });
        self.publish_key_counts();
        self.wanted.notify_one();
    }

    /// Requests an attempt if the keys are at rest.
    pub(super) fn wake(&self) {
        if !self.signs.has(Sign::AtRest) {
            return;
        }
        self.note(|progress| {
            if progress.is_resting && !progress.is_under_way {
                progress.want(Instant::now());
            }
        });
        self.wanted.notify_one();
    }

    /// Discards the held keys if they have reached the outage limit.
    pub(super) fn discard_expired(&self) {
        let are_discarded = self.note(|progress| {
            let are_expired = self.expires_at(progress).is_some_and(|end| Instant::now() >= end);
            if are_expired {
                self.discard(progress);
            }
            are_expired
        });
        // After the lock is released.
        if are_discarded {
            self.publish_key_counts();
        }
    }

    /// Publishes the gauges for the held keys.
    pub(super) fn publish_key_counts(&self) {
        self.held.are(|| self.keys.current().len(), || self.keys.current().skipped_keys().len());
    }

    fn discard(&self, progress: &mut Progress) {
        progress.confirmed = None;
        self.keys.replace(KeySet::new([]));
        self.show(progress);
    }

    /// Shows readers the state of the held keys.
    fn show(&self, progress: &Progress) {
        self.signs.put(Sign::Stale, progress.failures > 0 && progress.confirmed.is_some());
        self.signs.put(Sign::AtRest, progress.is_resting);
    }

    /// Returns the time at which the held keys expire unless they are refreshed.
    fn expires_at(&self, progress: &Progress) -> Option<Instant> {
        progress.confirmed.map(|confirmed| after(confirmed, self.schedule.outage_limit))
    }

    /// Runs the background task until the last handle is dropped.
    pub(super) async fn run(self: Arc<Self>, mut fetcher: Fetcher, _guard: TaskGuard) {
        loop {
            self.until_wanted().await;
            self.attempt(&mut fetcher).await;
        }
    }

    /// Waits until an attempt is requested or due.
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
                () = self.discard_when_expired() => {}
                () = sleep_until(due) => self.refresh_if_used(),
            }
        }
    }

    /// Requests the attempt that is due, or has keys rest that nobody uses.
    fn refresh_if_used(&self) {
        self.note(|progress| {
            if progress.is_under_way {
                return;
            }
            let now = Instant::now();
            let is_used = self.signs.set(Sign::Unused) || Arc::strong_count(&self.awaited) > 1;
            if progress.is_idle(is_used, now, self.schedule.idle_timeout) {
                progress.rest(now);
                self.show(progress);
            } else {
                progress.want(now);
            }
        });
    }

    /// Waits until the held keys expire, and discards them.
    async fn discard_when_expired(&self) {
        let end = self.expires_at(&self.progress.borrow());
        match end {
            Some(end) => sleep_until(end).await,
            None => std::future::pending().await,
        }
        self.discard_expired();
    }

    async fn attempt(&self, fetcher: &mut Fetcher) {
        self.counts.fetches.add();
        let (purges, failures, holds_any) = self.note(|progress| {
            progress.has_begun = true;
            (progress.purges, progress.failures, progress.confirmed.is_some())
        });
        // Dropping an error may run client code that needs the lock, so errors are dropped only after it is released.
        let before = self.progress.borrow().outcome.clone();
        let mut fetch = pin!(catch_panics(fetcher.fetch(holds_any)));
        let fetched = loop {
            tokio::select! {
                biased;
                fetched = &mut fetch => break fetched,
                () = self.discard_when_expired() => {}
            }
        };
        if fetched.is_err() {
            self.counts.failures.add();
        }
        let mut fetched = Some(fetched);
        if self.progress.send_if_modified(|progress| self.conclude(progress, purges, &mut fetched)) {
            self.report(failures);
        }
        drop((before, fetched));
    }

    /// Logs and counts the result of an attempt that followed this many failures in a row.
    fn report(&self, failures: u32) {
        let (outcome, holds_any) = {
            let progress = self.progress.borrow();
            (progress.outcome.clone(), progress.confirmed.is_some())
        };
        match outcome {
            Ok(()) => {
                let keys = self.keys.current();
                observe::keys_fetched(&self.provider, keys.len(), failures);
                self.warn_of_skipped(keys.skipped_keys());
            }
            Err(error) => observe::fetch_failed(&self.provider, &*error, failures + 1, holds_any),
        }
        self.publish_key_counts();
    }

    /// Logs the skipped keys if they differ from the last warning.
    fn warn_of_skipped(&self, skipped: &[SkippedKey]) {
        // Without their index, which changes with every rotation of other keys.
        let describe = |key: &SkippedKey| (key.kid().map(str::to_owned), key.reason().to_string());
        let mut described: Vec<_> = skipped.iter().map(describe).collect();
        described.sort();
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if *warned != described {
            *warned = described;
            drop(warned);
            observe::keys_skipped(&self.provider, skipped);
        }
    }

    /// Records the result of an attempt. Returns true if waiters must be woken.
    fn conclude(
        &self,
        progress: &mut Progress,
        purges: u64,
        fetched: &mut Option<Result<Fetched, FetchError>>,
    ) -> bool {
        let now = Instant::now();
        // The result may include purged keys, or confirm keys that have expired since: fetch again at once.
        let was_purged = progress.purges != purges;
        let is_unchanged = matches!(fetched, Some(Ok(Fetched { keys: None, .. })));
        if was_purged || (is_unchanged && progress.confirmed.is_none()) {
            progress.want(now);
            return false;
        }
        match fetched.take() {
            Some(Ok(fetched)) => {
                let wanted = progress.end_lookup();
                progress.succeed(now, after(now, self.schedule.until_refresh(fetched.lifetime)));
                if let Some(keys) = fetched.keys {
                    if let Some(wanted) = wanted.filter(|wanted| self.has_found(*wanted, &keys)) {
                        progress.refund(wanted, now, self.schedule.cooldown);
                    }
                    self.keys.replace(keys);
                }
            }
            Some(Err(error)) => self.fail(progress, error),
            None => {}
        }
        self.show(progress);
        true
    }

    /// Returns true if the fetched keys include the wanted key, or may include it.
    fn has_found(&self, wanted: Lookup, fetched: &KeySet) -> bool {
        match wanted {
            Lookup::Named(name) => {
                let mut names = fetched.keys().iter().filter_map(Key::kid);
                names.any(|kid| self.names.hash_one(kid) == name)
            }
            Lookup::Replaced => fetched.has_other(&self.keys.current(), None),
        }
    }

    fn fail(&self, progress: &mut Progress, error: FetchError) {
        let retry = self.schedule.until_retry(progress.failures.saturating_add(1));
        progress.fail(error, after(Instant::now(), retry));
    }
}

/// The key that a request needs from an attempt that had already begun.
enum Sought {
    /// A key with this `kid`.
    Missing(String),
    /// A key that is not among `held`.
    Replaced { kid: Option<String>, held: Option<Arc<KeySet>> },
}

impl Sought {
    fn missing(&self) -> Option<&str> {
        match self {
            Self::Missing(kid) => Some(kid),
            Self::Replaced { .. } => None,
        }
    }

    fn may_be_in(&self, keys: &KeySet) -> bool {
        match self {
            Self::Missing(kid) => keys.has_named(kid),
            Self::Replaced { kid, held } => {
                held.as_ref().is_none_or(|held| keys.has_other(held, kid.as_deref()))
            }
        }
    }
}

/// Creates the error for a token that cannot be verified now. `Retry-After` is at least one second.
fn unavailable_for(cause: impl Into<Box<dyn Error + Send + Sync>>, retry: Duration) -> AuthError {
    AuthError::keys_unavailable(cause).with_retry_after(retry.max(Duration::from_secs(1)))
}

/// Marks the background task as running. On drop, wakes all waiters and lets the next caller start a new task.
pub(super) struct TaskGuard(Arc<State>);

impl TaskGuard {
    /// Returns `None` if a task is already running.
    pub(super) fn begin(state: &Arc<State>) -> Option<Self> {
        state.signs.clear(Sign::NoTask).then(|| Self(Arc::clone(state)))
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        let state = &self.0;
        let _before = state.progress.borrow().outcome.clone();
        state.signs.set(Sign::NoTask);
        state.progress.send_modify(|progress| {
            if progress.is_under_way {
                state.fail(progress, Problem::Stopped.into());
                state.show(progress);
            }
        });
    }
}

/// Turns a panic of the client into an error.
async fn catch_panics(
    fetch: impl Future<Output = Result<Fetched, FetchError>>,
) -> Result<Fetched, FetchError> {
    let mut fetch = pin!(fetch);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| fetch.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| Poll::Ready(Err(Problem::Panicked.into())))
    })
    .await
}
