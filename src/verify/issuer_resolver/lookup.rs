use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::error::AuthError;
use crate::verify::AnyVerifier;

/// The `Retry-After` for a lookup that may end soon.
pub(super) const SHORT_WHILE: Duration = Duration::from_secs(1);

/// The outcome of a lookup.
pub(super) enum Outcome<C> {
    Found(AnyVerifier<C>),
    Absent,
    Failed(AuthError),
}

impl<C> Outcome<C> {
    pub(super) fn failed(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(AuthError::keys_unavailable(cause).with_retry_after(SHORT_WHILE))
    }
}

impl<C> Clone for Outcome<C> {
    fn clone(&self) -> Self {
        match self {
            Self::Found(verifier) => Self::Found(Arc::clone(verifier)),
            Self::Absent => Self::Absent,
            Self::Failed(error) => Self::Failed(error.clone()),
        }
    }
}

/// Publishes the outcome to all waiting requests.
pub(super) type Teller<C> = watch::Sender<Option<Outcome<C>>>;

/// A lookup in progress, shared by all requests that wait for it.
pub(super) struct Lookup<C> {
    outcome: watch::Receiver<Option<Outcome<C>>>,
    pub(super) begun: Instant,
}

impl<C> Lookup<C> {
    pub(super) fn begin(now: Instant) -> (Self, Teller<C>) {
        let (teller, outcome) = watch::channel(None);
        (Self { outcome, begun: now }, teller)
    }

    /// Waits for the outcome. A lookup that takes longer than `end` counts as failed.
    pub(super) async fn wait(mut self, end: Instant) -> Outcome<C> {
        let told = self.outcome.wait_for(Option::is_some);
        match timeout_at(end, told).await {
            Ok(Ok(outcome)) => outcome.clone().expect("it was waited for"),
            Ok(Err(_)) => Outcome::failed("the lookup of the issuer was stopped"),
            Err(_) => {
                Outcome::failed("the issuer is still being looked up: see IssuerResolver::wait_timeout")
            }
        }
    }
}

impl<C> Clone for Lookup<C> {
    fn clone(&self) -> Self {
        Self { outcome: self.outcome.clone(), begun: self.begun }
    }
}
