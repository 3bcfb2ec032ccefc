use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The write of a revocation to the shared store: a future that is ready when the store has confirmed it.
///
/// The revocation already counts in this process, and the write goes on whether or not you poll the future. Await it before you
/// tell a user that they are signed out everywhere. Otherwise `drop` it. Without a store (`SharedRevocations`, feature
/// `shared-revocations`) it is ready at once.
///
/// # Errors
///
/// If the store has not confirmed the write within `SharedRevocations::write_timeout`. In most cases the write
/// [is retried](RevocationWriteError::will_retry).
#[must_use = "the revocation counts in this process only until the store has it: await this, or `drop` it if that is enough"]
pub struct RevocationWrite(Inner);

enum Inner {
    NoStore,
    #[cfg_attr(not(feature = "shared-revocations"), expect(dead_code, reason = "there is no store"))]
    Pending(Pin<Box<dyn Future<Output = Result<(), RevocationWriteError>> + Send>>),
}

/// A revocation counts in this process, but the store has not confirmed it, so other processes may still accept its tokens.
#[derive(Debug)]
pub struct RevocationWriteError {
    cause: Box<dyn Error + Send + Sync>,
    will_retry: bool,
}

impl RevocationWriteError {
    /// Returns true if the write is still queued and will be retried.
    ///
    /// If false, revoke again, unless the tokens have expired. The queue is full, or the runtime of the background task has
    /// ended.
    #[must_use]
    pub fn will_retry(&self) -> bool {
        self.will_retry
    }
}

impl RevocationWrite {
    /// There is no store to write to.
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
        f.write_str("the revocation counts in this process, but the shared store has not confirmed it")
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
