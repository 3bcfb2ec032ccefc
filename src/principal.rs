//! Looks up the application's user for the claims of a token.

use std::fmt::{self, Formatter};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Extensions, Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::challenge::Challenge;
use crate::claims::Claims;
use crate::error::AuthError;
use crate::head::Head;
use crate::kind::AuthErrorKind;
use crate::observe::About;
use crate::reject::{self, EmptyBody, Reject};

/// Looks up the application's user for a verified token.
///
/// ```
/// use std::collections::HashMap;
///
/// use http::{Request, Response, StatusCode};
/// use tower::{ServiceBuilder, ServiceExt};
/// use tower_jwt_auth::{Claims, Credential, JwtAuthLayer, PrincipalLayer, Verdict, Verify};
/// # #[derive(Clone)]
/// # struct EveryToken;
/// # impl Verify for EveryToken {
/// #     type Claims = Subject;
/// #     fn verify(&self, credential: Credential<'_>) -> Verdict<Subject> {
/// #         let sub = credential.token_str().map(str::to_owned);
/// #         Verdict::Ready(sub.map(|sub| Claims::new(Subject { sub })))
/// #     }
/// # }
///
/// #[derive(serde::Deserialize)]
/// struct Subject {
///     sub: String,
/// }
///
/// #[derive(Clone)]
/// struct User {
///     name: &'static str,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let verifier = EveryToken;
/// // The future must own what the lookup needs. Here it is the users, in an application a connection pool.
/// let users = HashMap::from([("42".to_owned(), User { name: "Eze" })]);
/// let find_user = move |claims: Claims<Subject>| {
///     let users = users.clone();
///     async move { Ok::<_, std::io::Error>(users.get(&claims.sub).cloned()) }
/// };
///
/// let service = ServiceBuilder::new()
///     .layer(JwtAuthLayer::new(verifier))
///     .layer(PrincipalLayer::new(find_user))
///     .service_fn(async |request: Request<String>| {
///         let user = request.extensions().get::<User>().expect("the layer inserts the user");
///         Ok::<_, std::io::Error>(Response::new(format!("Hello {}", user.name)))
///     });
///
/// let request = |token: &str| Request::get("/").header("authorization", format!("Bearer {token}")).body(String::new());
/// let response = service.clone().oneshot(request("42")?).await?;
/// assert_eq!(response.into_body(), "Hello Eze");
/// let response = service.oneshot(request("43")?).await?;
/// assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
/// # Ok(())
/// # }
/// ```
///
/// The layer inserts the user into the request's extensions. It belongs inside a
/// [`JwtAuthLayer`](crate::JwtAuthLayer). The function gets the claims and returns a future
/// with one of these results:
///
/// | result | response |
/// |---|---|
/// | `Ok(Some(user))` | the inner service responds; the user is `Clone + Send + Sync + 'static` |
/// | `Ok(None)` | 401 `invalid_token` |
/// | `Err(error)` | 503; the error is only in the [source](std::error::Error::source) of the [`AuthError`] |
///
/// - If the outer layer passes a request without valid claims, it passes here without a user.
/// - In axum a handler extracts `Extension<User>`. Behind an optional layer that is a 500 for requests without a token.
///   Extract `Option<Extension<User>>` there, or `(Claims<C>, Extension<User>)`, which responds with 401.
/// - The inner service must be `Clone`: the layer clones it for each request with claims. Use tower's `Buffer` for
///   other services.
/// - An `async` closure that captures something does not implement `Fn`. Use a closure that clones its captures and
///   returns an `async move` block, as above.
#[must_use]
pub struct PrincipalLayer<YourClaims, F, R = EmptyBody> {
    find: F,
    reject: R,
    // The compiler shows this name if it cannot infer the type.
    claims: PhantomData<fn() -> YourClaims>,
}

impl<C, F> PrincipalLayer<C, F> {
    /// Creates a layer that looks up the user with `find`.
    ///
    /// `find` is called for each request, so it cannot move its captures into the future. Clone them first, then return
    /// an `async move` block.
    pub fn new<Lookup, U, E>(find: F) -> Self
    where
        F: Fn(Claims<C>) -> Lookup, // Clone what you capture: `move |claims| { let db = db.clone(); async move { .. } }`.
        Lookup: Future<Output = Result<Option<U>, E>>,
    {
        Self { find, reject: EmptyBody, claims: PhantomData }
    }
}

impl<C, F, R> PrincipalLayer<C, F, R> {
    /// Sets the type that creates the responses for rejections by this layer.
    ///
    /// By default the outer [`JwtAuthLayer`](crate::JwtAuthLayer) creates them with its
    /// [`on_reject`](crate::JwtAuthLayer::on_reject).
    pub fn on_reject<R2>(self, reject: R2) -> PrincipalLayer<C, F, R2> {
        PrincipalLayer { find: self.find, reject, claims: PhantomData }
    }

    /// Same as [`on_reject`](Self::on_reject) for a closure, which needs no type annotations here.
    pub fn reject_with<F2, B>(self, reject: F2) -> PrincipalLayer<C, F, F2>
    where
        F2: Fn(&AuthError, Head<'_>) -> Response<B>,
    {
        self.on_reject(reject)
    }
}

impl<S, C, F: Clone, R: Clone> Layer<S> for PrincipalLayer<C, F, R> {
    type Service = PrincipalService<S, C, F, R>;

    fn layer(&self, inner: S) -> PrincipalService<S, C, F, R> {
        PrincipalService { inner, layer: self.clone() }
    }
}

/// The service that [`PrincipalLayer`] creates.
#[must_use]
pub struct PrincipalService<S, C, F, R = EmptyBody> {
    inner: S,
    layer: PrincipalLayer<C, F, R>,
}

impl<S, C, F, R> PrincipalService<S, C, F, R> {
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

impl<S, C, F, R, B, ResBody, Lookup, U, E> Service<Request<B>> for PrincipalService<S, C, F, R>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone, // For a service without `Clone` use `tower::buffer::Buffer`.
    C: Send + Sync + 'static,
    F: Fn(Claims<C>) -> Lookup,
    Lookup: Future<Output = Result<Option<U>, E>>,
    U: Clone + Send + Sync + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
    R: Reject<ResBody> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = PrincipalFuture<S, R, B, Lookup>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let claims = Claims::<C>::find_optional(request.extensions()).map(Option::<&_>::cloned);
        // Remove a user from elsewhere: this layer has not looked it up.
        request.extensions_mut().remove::<U>();
        let claims = match claims {
            Ok(Some(claims)) => claims,
            Ok(None) => {
                return PrincipalFuture { state: State::Calling { response: self.inner.call(request) } };
            }
            Err(error) => {
                let response = reject::refuse(&self.layer.reject, error, &mut request);
                return PrincipalFuture { state: State::Rejected { response: Some(response) } };
            }
        };
        // The service that was polled ready handles the request, and a fresh clone stays.
        let fresh = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, fresh);
        let about = |request: &Extensions| request.get().map(Claims::<C>::about).unwrap_or_default();
        let challenge = claims.challenge().cloned();
        let pending = Pending { request, challenge, about, inner, reject: self.layer.reject.clone() };
        PrincipalFuture {
            state: State::Finding { lookup: (self.layer.find)(claims), pending: Some(pending) },
        }
    }
}

pin_project! {
    /// The response future of [`PrincipalService`].
    pub struct PrincipalFuture<S, R, B, Lookup>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, R, B, Lookup>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R, B, Lookup>
    where
        S: Service<Request<B>>,
    {
        Finding { #[pin] lookup: Lookup, pending: Option<Pending<S, R, B>> },
        Calling { #[pin] response: S::Future },
        Rejected { response: Option<S::Response> },
    }
}

/// The request and the service during the lookup.
struct Pending<S, R, B> {
    request: Request<B>,
    challenge: Option<Arc<Challenge>>,
    /// Reads the parts of the token that may be logged from its claims in the extensions.
    about: fn(&Extensions) -> About,
    inner: S,
    reject: R,
}

impl<S, R, B, Lookup, ResBody, U, E> Future for PrincipalFuture<S, R, B, Lookup>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    Lookup: Future<Output = Result<Option<U>, E>>,
    U: Clone + Send + Sync + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
    R: Reject<ResBody>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const DONE: &str = "the future is not polled after completion";

        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProj::Finding { lookup, pending } => {
                    let found = ready!(lookup.poll(cx));
                    let mut pending = pending.take().expect(DONE);
                    let error = match found {
                        Ok(Some(user)) => {
                            pending.request.extensions_mut().insert(user);
                            state.set(State::Calling { response: pending.inner.call(pending.request) });
                            continue;
                        }
                        Ok(None) => AuthError::new(AuthErrorKind::UnknownPrincipal),
                        Err(error) => AuthError::new(AuthErrorKind::PrincipalUnavailable).with_source(error),
                    };
                    let about = (pending.about)(pending.request.extensions());
                    let error = error.in_challenge(pending.challenge.as_ref()).about(about);
                    return Poll::Ready(Ok(reject::refuse(&pending.reject, error, &mut pending.request)));
                }
                StateProj::Calling { response } => return response.poll(cx),
                StateProj::Rejected { response } => return Poll::Ready(Ok(response.take().expect(DONE))),
            }
        }
    }
}

impl<C, F: Clone, R: Clone> Clone for PrincipalLayer<C, F, R> {
    fn clone(&self) -> Self {
        Self { find: self.find.clone(), reject: self.reject.clone(), claims: PhantomData }
    }
}

impl<S: Clone, C, F: Clone, R: Clone> Clone for PrincipalService<S, C, F, R> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<C, F, R> fmt::Debug for PrincipalLayer<C, F, R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrincipalLayer").finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, C, F, R> fmt::Debug for PrincipalService<S, C, F, R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrincipalService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, R, B, Lookup> fmt::Debug for PrincipalFuture<S, R, B, Lookup>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrincipalFuture").finish_non_exhaustive()
    }
}
