//! Checking passwords with bcrypt, and hashing new ones, which is slow on purpose: never on the async runtime, never too many
//! at once.

use std::sync::Arc;
use std::thread;

use tokio::sync::Semaphore;
use tokio::task;

use crate::error::ApiError;
use crate::gate::{Bounds, Gate, Inside};
use crate::limits::Limits;
use crate::new_password::NewPassword;

/// How many sign-ins may wait for one that is being checked. That takes about a quarter of a second, so the last one
/// waits about two.
const WAITING_PER_WORKER: usize = 8;

/// How many more may stand in line for a place.
const LINE_PER_WORKER: usize = 32;

/// Sign-ins of one client that hold a place or wait for one, so that a flood leaves room for others.
const SHARE: usize = 2;

/// More sign-ins of one client that wait their turn: people of one network who sign in together. At a quarter of a second
/// each, one worker is done with all of them before the longest wait is over.
const CLIENT_LINE: usize = 16;

/// Of bcrypt: each more takes twice as long.
const COST: u32 = 12;

/// bcrypt does not read what comes after these.
const MAX_BYTES: usize = 72;

/// A password that bcrypt reads in full.
pub(crate) struct Password(pub(crate) String);

impl Password {
    pub(crate) fn new(password: String) -> Result<Self, ApiError> {
        if password.len() > MAX_BYTES {
            return Err(ApiError::PasswordTooLong);
        }
        // bcrypt ends the password with a NUL and repeats it to fill 72 bytes: "okon\0okon" would pass for "okon".
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

    /// A hash that no user has, of the same cost as theirs: checked when an email is unknown, so that the time of the
    /// answer does not tell which emails are known.
    pub(crate) fn of_nobody() -> Self {
        Self("$2b$12$/jvxcSZTEh1ivKzK2k7UwOsCopLzqIrl1rrneDICdw5clWyd4NYom".to_owned())
    }
}

/// Lets a bounded number of sign-ins in: some being checked, some waiting.
#[derive(Clone)]
pub(crate) struct PasswordGate {
    gate: Gate,
    raters: Arc<Semaphore>,
    workers: Arc<Semaphore>,
}

impl PasswordGate {
    /// One core is left to everything else.
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

    /// Takes a place when it is the client's turn.
    pub(crate) async fn enter(&self, client: &str) -> Result<Place, ApiError> {
        let inside = self.gate.enter(client).await?;
        let (raters, workers) = (Arc::clone(&self.raters), Arc::clone(&self.workers));
        Ok(Place { _inside: inside, raters, workers })
    }
}

/// A place in the gate; dropping it frees it.
pub(crate) struct Place {
    _inside: Inside,
    raters: Arc<Semaphore>,
    workers: Arc<Semaphore>,
}

impl Place {
    /// Waits for a worker and checks the password there.
    pub(crate) async fn check(self, password: Password, hash: PasswordHash) -> Result<bool, ApiError> {
        let workers = Arc::clone(&self.workers);
        let check = move || bcrypt::verify(password.0, &hash.0).map_err(ApiError::internal);
        let (_, right) = self.work(workers, check).await?;
        Ok(right)
    }

    /// Rates the password, and only then waits for a worker and hashes it there: nobody who signs in waits for passwords
    /// that are refused.
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
            // Held in here: a client that goes away ends the waiting, but not the work that was begun.
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
    fn nobody_has_the_cost_of_others() {
        let cost = |hash: &str| hash.parse::<bcrypt::HashParts>().unwrap().get_cost();
        assert_eq!(cost(&PasswordHash::of_nobody().0), COST);
        assert_eq!(cost(HASH), COST);
    }

    /// Two may be inside, one of them at work: also when the one who asked for that work is gone.
    #[tokio::test]
    async fn work_that_nobody_waits_for_still_takes_its_place() {
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
