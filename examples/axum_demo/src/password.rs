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

/// Number of places for users at known addresses, for each worker.
const KEPT_PER_WORKER: usize = 2;

/// Number of sign-ins that wait for a place, for each worker.
const LINE_PER_WORKER: usize = 32;

/// Sign-ins of one client, for users who share a network. Two of them hold a place or wait for one, so a flood from one
/// client leaves room for others.
const SHARE: usize = 16;
const RUNNING: usize = 2;

/// The cost of bcrypt. Each increment doubles the time.
const COST: u32 = 12;

/// bcrypt ignores all further bytes.
const MAX_BYTES: usize = 72;

/// A password that bcrypt reads in full, without truncation.
pub(crate) struct Password(pub(crate) String);

impl Password {
    pub(crate) fn new(password: String) -> Result<Self, ApiError> {
        if password.len() > MAX_BYTES {
            return Err(ApiError::PASSWORD_TOO_LONG);
        }
        // bcrypt appends a NUL and repeats the password up to 72 bytes, so "okon\0okon" would match "okon".
        if password.contains('\0') {
            return Err(ApiError::PASSWORD_HAS_NUL);
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

/// Checks and hashes passwords of those that the gate admits. Clones share the state.
#[derive(Clone)]
pub(crate) struct Passwords {
    pub(crate) gate: Gate,
    raters: Arc<Semaphore>,
    workers: Arc<Semaphore>,
}

impl Passwords {
    /// Uses all cores except one.
    pub(crate) fn new(limits: &Limits) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let workers = cores.saturating_sub(1).max(1);
        let bounds = Bounds {
            share: SHARE,
            running: RUNNING,
            places: workers * (1 + WAITING_PER_WORKER),
            kept: workers * KEPT_PER_WORKER,
            line: workers * LINE_PER_WORKER,
            longest_wait: limits.in_line,
        };
        let [raters, workers] = [workers; 2].map(|permits| Arc::new(Semaphore::new(permits)));
        Self { gate: Gate::new(bounds), raters, workers }
    }

    /// Checks a password on a worker.
    pub(crate) async fn check(
        &self,
        place: Inside,
        password: Password,
        hash: PasswordHash,
    ) -> Result<bool, ApiError> {
        let check = move || bcrypt::verify(password.0, &hash.0).map_err(ApiError::internal);
        Ok(work(&self.workers, place, check).await?.1)
    }

    /// Rates a password, then hashes it on a worker. Rejected passwords never take a worker from sign-ins.
    pub(crate) async fn hash(&self, place: Inside, password: NewPassword) -> Result<PasswordHash, ApiError> {
        let (place, Password(password)) = work(&self.raters, place, || password.strong()).await?;
        let hash = move || bcrypt::hash(password, COST).map(PasswordHash).map_err(ApiError::internal);
        Ok(work(&self.workers, place, hash).await?.1)
    }
}

async fn work<T: Send + 'static>(
    workers: &Arc<Semaphore>,
    place: Inside,
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<(Inside, T), ApiError> {
    let workers = Arc::clone(workers);
    // A task goes on if the request runs out of time, and keeps the place.
    let done = tokio::spawn(async move {
        let _worker = workers.acquire_owned().await.map_err(ApiError::internal)?;
        let done = task::spawn_blocking(move || work().map(|done| (place, done)));
        done.await.map_err(ApiError::internal)?
    });
    done.await.map_err(ApiError::internal)?
}

#[cfg(test)]
mod tests {
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
}
