//! Checks and hashes passwords with bcrypt.
//!
//! bcrypt is slow on purpose. It runs outside the async runtime, on a bounded number of threads.

use std::sync::Arc;
use std::thread;

use tokio::sync::Semaphore;
use tokio::task;

use crate::error::ApiError;
use crate::gate::{Bounds, Gate, Inside};
use crate::limits::Limits;
use crate::new_password::NewPassword;

/// Number of sign-ins that wait for each worker. A check takes about 250 ms, so the last one waits about 2 s.
const WAITING_PER_WORKER: usize = 8;

/// Number of sign-ins that wait for a place, for each worker.
const LINE_PER_WORKER: usize = 32;

/// Sign-ins of one client that hold a place or wait for one. A flood from one client leaves room for others.
const SHARE: usize = 2;

/// Further sign-ins of one client that wait, for users who share a network.
///
/// At 250 ms each, one worker checks all of them within the longest wait.
const CLIENT_LINE: usize = 16;

/// The cost of bcrypt. Each increment doubles the time.
const COST: u32 = 12;

/// bcrypt ignores all further bytes.
const MAX_BYTES: usize = 72;

/// A password that bcrypt reads in full, without truncation.
pub(crate) struct Password(pub(crate) String);

impl Password {
    pub(crate) fn new(password: String) -> Result<Self, ApiError> {
        if password.len() > MAX_BYTES {
            return Err(ApiError::PasswordTooLong);
        }
        // bcrypt appends a NUL and repeats the password up to 72 bytes, so "okon\0okon" would match "okon".
        if password.contains('\0') {
            return Err(ApiError::PasswordHasNul);
        }
        Ok(Self(password))
    }
}

/// A stored bcrypt hash.
pub(crate) struct PasswordHash(String);

impl PasswordHash {
    pub(crate) fn new(hash: String) -> Self {
        Self(hash)
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }

    /// Returns a hash that belongs to no user, with the usual cost.
    ///
    /// It is checked for unknown emails, so the response time does not reveal who has an account.
    pub(crate) fn of_nobody() -> Self {
        Self("$2b$12$/jvxcSZTEh1ivKzK2k7UwOsCopLzqIrl1rrneDICdw5clWyd4NYom".to_owned())
    }
}

/// Admits a bounded number of sign-ins: some are checked, some wait.
#[derive(Clone)]
pub(crate) struct PasswordGate {
    gate: Gate,
    raters: Arc<Semaphore>,
    workers: Arc<Semaphore>,
}

impl PasswordGate {
    /// Uses all cores except one.
    pub(crate) fn new(limits: &Limits) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let workers = cores.saturating_sub(1).max(1);
        let bounds = Bounds {
            places: workers * (1 + WAITING_PER_WORKER),
            line: workers * LINE_PER_WORKER,
            share: SHARE,
            client_line: CLIENT_LINE,
            client_lines: limits.client_lines(),
            longest_wait: limits.in_line,
        };
        Self::with(bounds, workers)
    }

    fn with(bounds: Bounds, workers: usize) -> Self {
        let [raters, workers] = [workers; 2].map(|permits| Arc::new(Semaphore::new(permits)));
        Self { gate: Gate::new(bounds), raters, workers }
    }

    /// Waits for a place.
    pub(crate) async fn enter(&self, client: &str) -> Result<Place, ApiError> {
        let inside = self.gate.enter(client).await?;
        let (raters, workers) = (Arc::clone(&self.raters), Arc::clone(&self.workers));
        Ok(Place { _inside: inside, raters, workers })
    }
}

/// A place in the gate. Dropping it frees the place.
pub(crate) struct Place {
    _inside: Inside,
    raters: Arc<Semaphore>,
    workers: Arc<Semaphore>,
}

impl Place {
    /// Checks a password on a worker.
    pub(crate) async fn check(self, password: Password, hash: PasswordHash) -> Result<bool, ApiError> {
        let workers = Arc::clone(&self.workers);
        let check = move || bcrypt::verify(password.0, &hash.0).map_err(ApiError::internal);
        let (_, right) = self.work(workers, check).await?;
        Ok(right)
    }

    /// Rates a password, then hashes it on a worker. Rejected passwords never take a worker from sign-ins.
    pub(crate) async fn hash(self, password: NewPassword) -> Result<PasswordHash, ApiError> {
        let (raters, workers) = (Arc::clone(&self.raters), Arc::clone(&self.workers));
        let (place, Password(password)) = self.work(raters, || password.strong()).await?;
        let hash = move || bcrypt::hash(password, COST).map(PasswordHash).map_err(ApiError::internal);
        let (_, hash) = place.work(workers, hash).await?;
        Ok(hash)
    }

    async fn work<T: Send + 'static>(
        self,
        workers: Arc<Semaphore>,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<(Self, T), ApiError> {
        let worker = workers.acquire_owned().await.map_err(ApiError::internal)?;
        let done = task::spawn_blocking(move || {
            // The permits move here, because the work continues if the client disconnects.
            let (place, _worker) = (self, worker);
            work().map(|done| (place, done))
        });
        done.await.map_err(ApiError::internal)?
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HASH: &str = "$2b$12$Gwf0uvxH3L7JLfo0CC/NCOoijK2vQ/wbgP.LeNup8vj6gg31IiFkm";

    #[test]
    fn bcrypt_repeats_passwords() {
        assert!(bcrypt::verify("okon\0okon", HASH).unwrap());
    }

    #[test]
    fn hash_of_nobody_has_the_usual_cost() {
        let cost = |hash: &str| hash.parse::<bcrypt::HashParts>().unwrap().get_cost();
        assert_eq!(cost(&PasswordHash::of_nobody().0), COST);
        assert_eq!(cost(HASH), COST);
    }

    /// The gate has two places and one worker.
    #[tokio::test]
    async fn abandoned_work_keeps_its_place() {
        let bounds = Bounds {
            places: 2,
            line: 0,
            share: 2,
            client_line: 0,
            client_lines: 0,
            longest_wait: Duration::ZERO,
        };
        let gate = PasswordGate::with(bounds, 1);
        let check = |place: Place| {
            task::spawn(place.check(Password("okon".to_owned()), PasswordHash::new(HASH.to_owned())))
        };

        let left = check(gate.enter("192.0.2.1").await.unwrap());
        task::yield_now().await;
        left.abort();
        assert!(left.await.unwrap_err().is_cancelled());
        assert_eq!(gate.workers.available_permits(), 0);

        let waiting = check(gate.enter("192.0.2.1").await.unwrap());
        assert!(matches!(gate.enter("192.0.2.2").await, Err(ApiError::TooBusy)));
        assert!(waiting.await.unwrap().unwrap());
        assert_eq!(gate.workers.available_permits(), 1);
        let _places = [gate.enter("192.0.2.1").await.unwrap(), gate.enter("192.0.2.2").await.unwrap()];
    }
}
