use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use crate::future::ResponseFuture;
use crate::gate::{Gate, Step};
use crate::policy::{Anyone, Policy};
use crate::reject::{EmptyBody, Reject};
use crate::verify::Verify;

/// A service that authenticates requests, created by [`JwtAuthLayer`](crate::JwtAuthLayer).
#[must_use]
pub struct JwtAuth<S, V, R = EmptyBody, P = Anyone> {
    inner: S,
    gate: Arc<Gate<V, R, P>>,
}

impl<S, V, R, P> JwtAuth<S, V, R, P> {
    pub(crate) fn new(inner: S, gate: Arc<Gate<V, R, P>>) -> Self {
        Self { inner, gate }
    }

    /// Returns a reference to the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, V, R, P, B, ResBody> Service<Request<B>> for JwtAuth<S, V, R, P>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone, // For a service without `Clone` use `tower::buffer::Buffer`.
    V: Verify,
    V::Claims: Send + Sync + 'static,
    R: Reject<ResBody> + Clone,
    P: Policy<V::Claims>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, V, R, P, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.gate.begin(&mut request) {
            Step::MayPass(added) => {
                let outgoing = self.gate.outgoing(&request, added);
                ResponseFuture::calling(self.inner.call(request), outgoing)
            }
            Step::Rejected(error) => ResponseFuture::rejected(self.gate.reject(error, &mut request)),
            Step::Waiting(waited) => {
                // The request waits with a clone that is not ready yet. Dropping the ready service releases its
                // capacity, so that unverified tokens hold none.
                let waiting = self.inner.clone();
                self.inner = waiting.clone();
                ResponseFuture::waiting(waited, request, waiting, Arc::clone(&self.gate))
            }
        }
    }
}

impl<S: Clone, V, R, P> Clone for JwtAuth<S, V, R, P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), gate: Arc::clone(&self.gate) }
    }
}

impl<S: fmt::Debug, V, R, P> fmt::Debug for JwtAuth<S, V, R, P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuth").field("inner", &self.inner).finish_non_exhaustive()
    }
}
