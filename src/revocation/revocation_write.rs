use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that is ready when the shared store has confirmed a revocation.
///
/// The revocation already applies in this process, and the write continues whether or not you poll the future. Await it
/// before you tell a user that they are signed out everywhere. Otherwise `drop` it. Without a store
/// (`SharedRevocations`, feature `shared-revocations`) it is ready at once.
///
/// # Errors
///
/// Returns an error if the store has not confirmed the write within `SharedRevocations::write_timeout`. In most cases
/// the write [is retried](RevocationWriteError::will_retry).
#[must_use = "until the store confirms it, the revocation applies in this process only: await this, or `drop` it"]
pub struct RevocationWrite(Inner);

enum Inner {
    NoStore,
    #[cfg_attr(not(feature = "shared-revocations"), expect(dead_code, reason = "there is no store"))]
    Pending(Pin<Box<dyn Future<Output = Result<(), RevocationWriteError>> + Send>>),
}

/// The shared store has not confirmed a revocation.
///
/// The revocation applies in this process, but other processes may still accept the tokens.
#[derive(Debug)]
pub struct RevocationWriteError {
    cause: Box<dyn Error + Send + Sync>,
    will_retry: bool,
}

impl RevocationWriteError {
    /// Returns true if the write is still queued and will be retried.
    ///
    /// If false, revoke again, unless the tokens have expired. Either too many entries are waiting, or the tokio
    /// runtime of the background task has shut down.
    #[must_use]
    pub fn will_retry(&self) -> bool {
        self.will_retry
    }
}

impl RevocationWrite {
    /// The write of a list without a store.
    pub(super) const NO_STORE: Self = Self(Inner::NoStore);
}

impl Future for RevocationWrite {
    type Output = Result<(), RevocationWriteError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Inner::NoStore => Poll::Ready(Ok(())),
            Inner::Pending(future) => future.as_mut().poll(context),
        }
    }
}

impl fmt::Debug for RevocationWrite {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationWrite").finish_non_exhaustive()
    }
}

impl Display for RevocationWriteError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("the shared store has not confirmed the revocation; it applies in this process only")
    }
}

impl Error for RevocationWriteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}

#[cfg(feature = "shared-revocations")]
impl RevocationWrite {
    pub(super) fn pending(
        future: impl Future<Output = Result<(), RevocationWriteError>> + Send + 'static,
    ) -> Self {
        Self(Inner::Pending(Box::pin(future)))
    }
}

#[cfg(feature = "shared-revocations")]
impl RevocationWriteError {
    pub(super) fn retrying(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: cause.into(), will_retry: true }
    }

    pub(super) fn final_failure(cause: &'static str) -> Self {
        Self { cause: cause.into(), will_retry: false }
    }
}
