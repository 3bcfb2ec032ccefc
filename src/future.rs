use std::fmt::{self, Formatter};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::caching::Added;
use crate::challenge::Challenge;
use crate::gate::{Gate, Outgoing, Waited};
use crate::policy::Policy;
use crate::reject::Reject;
use crate::verify::{PendingVerdict, Verify};

pin_project! {
    /// The response future of [`JwtAuth`](crate::JwtAuth).
    pub struct ResponseFuture<S, V, R, P, B>
    where
        S: Service<Request<B>>,
        V: Verify,
    {
        #[pin]
        state: State<S, V, R, P, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, V, R, P, B>
    where
        S: Service<Request<B>>,
        V: Verify,
    {
        Calling { #[pin] response: S::Future, outgoing: Outgoing<R> },
        Rejected { response: Option<S::Response> },
        Waiting { waiting: Option<Box<Waiting<S, V, R, P, B>>> },
    }
}

/// A request that waits for its verdict or for the inner service. Boxed, to keep the future of other requests small.
struct Waiting<S, V: Verify, R, P, B> {
    /// `None` after the token has been accepted.
    verdict: Option<PendingVerdict<V::Claims>>,
    request: Request<B>,
    inner: S,
    gate: Arc<Gate<V, R, P>>,
    challenge: Option<Arc<Challenge>>,
    added: Option<Arc<Added>>,
}

impl<S, V, R, P, B> ResponseFuture<S, V, R, P, B>
where
    S: Service<Request<B>>,
    V: Verify,
{
    pub(crate) fn calling(response: S::Future, outgoing: Outgoing<R>) -> Self {
        Self { state: State::Calling { response, outgoing } }
    }

    pub(crate) fn rejected(response: S::Response) -> Self {
        Self { state: State::Rejected { response: Some(response) } }
    }

    pub(crate) fn waiting(
        waited: Waited<V::Claims>,
        request: Request<B>,
        inner: S,
        gate: Arc<Gate<V, R, P>>,
    ) -> Self {
        let Waited { verdict, challenge, added } = waited;
        let waiting = Box::new(Waiting { verdict: Some(verdict), request, inner, gate, challenge, added });
        Self { state: State::Waiting { waiting: Some(waiting) } }
    }
}

impl<S, V, R, P, B, ResBody> Waiting<S, V, R, P, B>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    V: Verify,
    V::Claims: Send + Sync + 'static,
    R: Reject<ResBody>,
    P: Policy<V::Claims>,
{
    /// Polls until the request is rejected or the inner service is ready for it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<S::Response>, S::Error>> {
        if let Some(verdict) = &mut self.verdict {
            let result = ready!(verdict.as_mut().poll(cx));
            self.verdict = None;
            match self.gate.finish(&mut self.request, result, self.challenge.as_ref()) {
                Ok(None) => {}
                Ok(Some(headers)) => self.added = Some(Added::with_headers(self.added.take(), headers)),
                Err(error) => return Poll::Ready(Ok(Some(self.gate.reject(error, &mut self.request)))),
            }
        }
        self.inner.poll_ready(cx).map_ok(|()| None)
    }
}

impl<S, V, R, P, B, ResBody> Future for ResponseFuture<S, V, R, P, B>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    V: Verify,
    V::Claims: Send + Sync + 'static,
    R: Reject<ResBody> + Clone,
    P: Policy<V::Claims>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const DONE: &str = "the future is not polled after completion";

        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProj::Calling { response, outgoing } => {
                    let mut polled = response.poll(cx);
                    if let Poll::Ready(Ok(response)) = &mut polled {
                        outgoing.finish(response);
                    }
                    return polled;
                }
                StateProj::Rejected { response } => return Poll::Ready(Ok(response.take().expect(DONE))),
                StateProj::Waiting { waiting } => {
                    let rejection = ready!(waiting.as_mut().expect(DONE).poll(cx)?);
                    let mut accepted = waiting.take().expect(DONE);
                    if let Some(response) = rejection {
                        return Poll::Ready(Ok(response));
                    }
                    let outgoing = accepted.gate.outgoing(&accepted.request, accepted.added);
                    let response = accepted.inner.call(accepted.request);
                    state.set(State::Calling { response, outgoing });
                }
            }
        }
    }
}

impl<S, V, R, P, B> fmt::Debug for ResponseFuture<S, V, R, P, B>
where
    S: Service<Request<B>>,
    V: Verify,
{
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Calling { .. } => "Calling",
            State::Rejected { .. } => "Rejected",
            State::Waiting { .. } => "Waiting",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
