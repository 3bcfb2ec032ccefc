use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What comes of a revocation beyond this process: a future that is ready when the store that is
/// shared (`SharedRevocations`, feature `shared-revocations`) has it.
///
/// In this process the revocation counts before the future is made, and it is on its way to the store whether or not the
/// future is polled. With no store, it is ready at once.
///
/// # Errors
///
/// If the store has not confirmed it within the time that is set for that; then, as a rule, [it is tried on](NotRecorded::is_tried_on).
pub struct Recorded(Inner);

enum Inner {
    Here,
    #[cfg_attr(not(feature = "shared-revocations"), expect(dead_code, reason = "there is no store"))]
    Waiting(Pin<Box<dyn Future<Output = Result<(), NotRecorded>> + Send>>),
}

/// A revocation counts in this process, but is not known to have reached the others.
#[derive(Debug)]
pub struct NotRecorded {
    cause: Box<dyn Error + Send + Sync>,
    is_tried_on: bool,
}

impl NotRecorded {
    /// Whether it is still on its way to the store. If not, because too many others wait for the store, or because the runtime of
    /// the task that writes has ended, revoke it once more; unless the tokens have expired meanwhile.
    #[must_use]
    pub fn is_tried_on(&self) -> bool {
        self.is_tried_on
    }
}

impl Recorded {
    /// There is nobody else to tell.
    pub(super) const HERE: Self = Self(Inner::Here);
}

impl Future for Recorded {
    type Output = Result<(), NotRecorded>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Inner::Here => Poll::Ready(Ok(())),
            Inner::Waiting(future) => future.as_mut().poll(context),
        }
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded").finish_non_exhaustive()
    }
}

impl Display for NotRecorded {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("the revocation counts in this process, but is not known to have reached the others")
    }
}

impl Error for NotRecorded {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}

#[cfg(feature = "shared-revocations")]
impl Recorded {
    pub(super) fn waiting(future: impl Future<Output = Result<(), NotRecorded>> + Send + 'static) -> Self {
        Self(Inner::Waiting(Box::pin(future)))
    }
}

#[cfg(feature = "shared-revocations")]
impl NotRecorded {
    pub(super) fn so_far(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: cause.into(), is_tried_on: true }
    }

    pub(super) fn for_good(cause: &'static str) -> Self {
        Self { cause: cause.into(), is_tried_on: false }
    }
}
