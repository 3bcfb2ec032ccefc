//! A layer that checks a policy on a route.

use std::fmt::{self, Formatter};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::claims::Claims;
use crate::error::AuthError;
use crate::head::Head;
use crate::policy::{Anyone, Policy};
use crate::reject::{self, EmptyBody, Reject};

/// Checks a [`Policy`] on a route, and rejects requests that it does not permit.
///
#[cfg_attr(feature = "axum", doc = "```")]
#[cfg_attr(not(feature = "axum"), doc = "```ignore")]
/// # use axum::{Router, routing::get};
/// # use tower_jwt_auth::policy::scope;
/// # use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RequireLayer};
/// # type User = serde_json::Value;
/// type Require = RequireLayer<User>; // names the claims type once, for all routes
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// # let verifier = JwtVerifier::<User>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
/// let orders = get(async || "all orders")
///     .layer(Require::new(scope("orders:read")))
///     .post(async || "created"); // not covered: it is added after the layer
/// let app: Router = Router::new().route("/orders", orders).layer(JwtAuthLayer::new(verifier));
/// # Ok(())
/// # }
/// ```
///
/// The layer belongs inside a [`JwtAuthLayer`](crate::JwtAuthLayer), on one route or many. For a rule that applies to
/// the whole service, use [`JwtAuthLayer::require`](crate::JwtAuthLayer::require). Rejections:
///
/// - 403 `insufficient_scope` ([RFC 6750, section 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)) if the
///   policy does not permit the request.
/// - If the outer layer passed the request without valid claims: the response with which it would have rejected the
///   request.
/// - 500 if there is no outer layer. The [source](std::error::Error::source) of the [`AuthError`] in the response's
///   extensions says what to do.
#[must_use]
pub struct RequireLayer<YourClaims, P = Anyone, R = EmptyBody> {
    policy: P,
    reject: R,
    // The compiler shows this name if it cannot infer the type.
    claims: PhantomData<fn() -> YourClaims>,
}

impl<C> RequireLayer<C> {
    /// Creates a layer that checks `policy` for claims of type `C`.
    ///
    /// Name the type, since the compiler cannot infer it from a rule:
    /// `RequireLayer::<User>::new(scope("orders:read"))`.
    pub fn new<P>(policy: P) -> RequireLayer<C, P>
    where
        P: Policy<C>, // Name the claims type: `RequireLayer::<User>::new(..)`.
    {
        RequireLayer { policy, reject: EmptyBody, claims: PhantomData }
    }
}

impl<C, P, R> RequireLayer<C, P, R> {
    /// Sets the type that creates the responses for rejections by this layer.
    ///
    /// By default the outer [`JwtAuthLayer`](crate::JwtAuthLayer) creates them with its
    /// [`on_reject`](crate::JwtAuthLayer::on_reject).
    pub fn on_reject<R2>(self, reject: R2) -> RequireLayer<C, P, R2> {
        RequireLayer { policy: self.policy, reject, claims: PhantomData }
    }

    /// Same as [`on_reject`](Self::on_reject) for a closure, which needs no type annotations here.
    pub fn reject_with<F, B>(self, reject: F) -> RequireLayer<C, P, F>
    where
        F: Fn(&AuthError, Head<'_>) -> Response<B>,
    {
        self.on_reject(reject)
    }
}

impl<S, C, P: Clone, R: Clone> Layer<S> for RequireLayer<C, P, R> {
    type Service = RequireService<S, C, P, R>;

    fn layer(&self, inner: S) -> RequireService<S, C, P, R> {
        RequireService { inner, layer: Arc::new(self.clone()) }
    }
}

/// The service that [`RequireLayer`] creates.
#[must_use]
pub struct RequireService<S, C, P, R = EmptyBody> {
    inner: S,
    layer: Arc<RequireLayer<C, P, R>>,
}

impl<S, C, P, R, B, ResBody> Service<Request<B>> for RequireService<S, C, P, R>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    C: Send + Sync + 'static,
    P: Policy<C>,
    R: Reject<ResBody>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RequireFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Err(error) = check(&self.layer.policy, request.extensions(), (&request).into()) {
            return self.rejected(error, &mut request);
        }
        RequireFuture { state: State::Calling { response: self.inner.call(request) } }
    }
}

impl<S, C, P, R> RequireService<S, C, P, R> {
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

    #[cold]
    fn rejected<F, B, ResBody>(&self, error: AuthError, request: &mut Request<B>) -> RequireFuture<F, ResBody>
    where
        R: Reject<ResBody>,
    {
        let response = reject::refuse(&self.layer.reject, error, request);
        RequireFuture { state: State::Rejected { response: Some(response) } }
    }
}

/// Returns the claims of a permitted request, or the reason to reject it.
#[inline]
pub(crate) fn check<'a, C, P>(
    policy: &P,
    extensions: &'a http::Extensions,
    request: Head<'_>,
) -> Result<&'a Claims<C>, AuthError>
where
    C: Send + Sync + 'static,
    P: Policy<C>,
{
    let claims = Claims::<C>::find(extensions)?;
    match policy.check(claims, request) {
        Ok(()) => Ok(claims),
        Err(error) => Err(claims.error(error)),
    }
}

pin_project! {
    /// The response future of [`RequireService`].
    pub struct RequireFuture<F, B> {
        #[pin]
        state: State<F, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, B> {
        Calling { #[pin] response: F },
        Rejected { response: Option<Response<B>> },
    }
}

impl<F, B, E> Future for RequireFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().state.project() {
            StateProj::Calling { response } => response.poll(cx),
            StateProj::Rejected { response } => {
                Poll::Ready(Ok(response.take().expect("the future is not polled after completion")))
            }
        }
    }
}

impl<C, P: Clone, R: Clone> Clone for RequireLayer<C, P, R> {
    fn clone(&self) -> Self {
        Self { policy: self.policy.clone(), reject: self.reject.clone(), claims: PhantomData }
    }
}

impl<S: Clone, C, P, R> Clone for RequireService<S, C, P, R> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: Arc::clone(&self.layer) }
    }
}

impl<C, P: fmt::Debug, R> fmt::Debug for RequireLayer<C, P, R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireLayer").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, C, P, R> fmt::Debug for RequireService<S, C, P, R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<F, B> fmt::Debug for RequireFuture<F, B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireFuture").finish_non_exhaustive()
    }
}
