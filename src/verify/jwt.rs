use std::fmt::{self, Formatter};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;

use super::base64url::Buffer;
use super::jws::{Header, Jws, TokenType};
use super::key::Key;
use super::key_set::KeySet;
use super::key_source::{KeySource, Refresh};
use super::validate::Expected;
use super::{Verdict, Verify, json, jwk, stream};
use crate::claims::{Claims, TokenInfo};
use crate::error::AuthError;
use crate::kind::AuthErrorKind;

/// Verifies JWTs ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519)) that are signed
/// ([RFC 7515](https://www.rfc-editor.org/rfc/rfc7515)), and reads their claims into `C`.
///
/// It is strict by default: a token needs an `exp`; `iss` and `aud` are required and compared exactly where they are
/// configured; a token that is for some audience is refused where none is; what weakens any of this is named
/// `insecure_*`. Settings that take one value replace it; those named `add_*` add one.
///
/// It can be used with no HTTP around it. It is cheap to clone.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet};
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     email: String,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?;
/// let verifier = JwtVerifier::<User>::new(keys)
///     .issuer("https://id.example.com")
///     .audience("https://api.example.com")
///     .clock(|| UNIX_EPOCH + Duration::from_secs(1_800_000_000));
///
/// let token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXh\
///              hbXBsZS5jb20iLCJleHAiOjE4MDAwMDAzMDAsImVtYWlsIjoiZXplQGV4YW1wbGUuY29tIn0.\
///              4t_4qBNOFv9u2RjEU0eK6vZbJQ0rGZi0_CzjCmdZu4A";
/// let user = verifier.verify(token).await?;
/// assert_eq!(user.email, "eze@example.com");
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct JwtVerifier<C> {
    keys: Arc<dyn KeySource>,
    rules: Arc<Rules>,
    claims: PhantomData<fn() -> C>,
}

/// The settings of a verifier.
#[derive(Clone)]
struct Rules {
    expected: Expected,
    token_limit: usize,
    access_tokens_only: bool,
    clock: Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>,
}

impl<C> JwtVerifier<C> {
    /// A verifier that trusts tokens signed with one of `keys`, a [`KeySet`](crate::KeySet) say; a single
    /// [`Key`](crate::Key) becomes one by `KeySet::from(key)`.
    pub fn new(keys: impl KeySource + 'static) -> Self {
        let expected = Expected {
            issuers: keys.issuer().map(str::to_owned).into_iter().collect(),
            audiences: Vec::new(),
            claims: Vec::new(),
            leeway: Duration::from_secs(60),
            any_audience: false,
            ignore_confirmation: false,
        };
        let rules = Rules { expected, token_limit: 16 * 1024, access_tokens_only: false, clock: None };
        Self { keys: Arc::new(keys), rules: Arc::new(rules), claims: PhantomData }
    }

    /// Demands that `iss` is there and exactly this
    /// ([RFC 7519, section 4.1.1](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.1)).
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.set(|rules| rules.expected.issuers = vec![issuer.into()])
    }

    /// Accepts one more issuer. Any of the keys may then sign for any of the issuers: use this for one issuer of several
    /// names, not for several issuers that do not trust each other.
    pub fn add_issuer(self, issuer: impl Into<String>) -> Self {
        self.set(|rules| rules.expected.issuers.push(issuer.into()))
    }

    /// Demands that `aud` is there and is exactly this, or an array with it
    /// ([RFC 7519, section 4.1.3](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3)).
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.set(|rules| rules.expected.audiences = vec![audience.into()])
    }

    /// Accepts one more audience.
    pub fn add_audience(self, audience: impl Into<String>) -> Self {
        self.set(|rules| rules.expected.audiences.push(audience.into()))
    }

    /// Demands that a claim is there and is exactly this string: for providers that say by another claim whom a token
    /// is for, as Cognito does by `client_id`. Called again with the same name, it adds a value that will do as well.
    pub fn require_claim(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.set(|rules| {
            let claims = &mut rules.expected.claims;
            match claims.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value),
                None => claims.push((name, vec![value])),
            }
        })
    }

    /// Sets how far the clocks of issuer and verifier may be apart: `exp` counts this much later and `nbf` this much
    /// earlier. The default is 60 s.
    pub fn leeway(self, leeway: Duration) -> Self {
        self.set(|rules| rules.expected.leeway = leeway)
    }

    /// Sets how many bytes a token may have. The default is 16 KiB.
    pub fn token_limit(self, bytes: usize) -> Self {
        self.set(|rules| rules.token_limit = bytes)
    }

    /// Demands that the header's `typ` is `at+jwt`
    /// ([RFC 9068, section 4](https://www.rfc-editor.org/rfc/rfc9068#section-4)), so that no ID token can be used in
    /// place of an access token. By default `typ` may be missing, `JWT` or `at+jwt`.
    pub fn access_tokens_only(self) -> Self {
        self.set(|rules| rules.access_tokens_only = true)
    }

    /// Replaces the system's clock: for tests.
    pub fn clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.set(|rules| rules.clock = Some(Arc::new(now)))
    }

    /// Accepts tokens whatever their `aud` says, or whether there is one. A token that was issued for another service
    /// can then be used at this one.
    pub fn insecure_any_audience(self) -> Self {
        self.set(|rules| rules.expected.any_audience = true)
    }

    /// Accepts tokens with a `cnf` claim ([RFC 7800](https://www.rfc-editor.org/rfc/rfc7800)) as if they had none. They
    /// are meant for one sender only, and whoever has got hold of one can then use it; set this only where something
    /// else checks the sender.
    pub fn insecure_ignore_confirmation(self) -> Self {
        self.set(|rules| rules.expected.ignore_confirmation = true)
    }

    fn set(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        change(Arc::make_mut(&mut self.rules));
        self
    }
}

impl<C> JwtVerifier<C>
where
    C: DeserializeOwned + 'static,
{
    /// Verifies a token in compact serialisation.
    ///
    /// # Errors
    ///
    /// The verdict is an [`AuthError`] whose kind says which check the token failed first.
    pub fn verify(&self, token: &str) -> Verdict<C> {
        match self.verify_held(token) {
            Err(AuthErrorKind::UnknownKey) => self.verify_refreshed(token),
            result => Verdict::Ready(result.map_err(|kind| self.explain(kind))),
        }
    }

    /// With the keys that are held.
    fn verify_held(&self, token: &str) -> Result<Claims<C>, AuthErrorKind> {
        if token.len() > self.rules.token_limit {
            return Err(AuthErrorKind::TokenTooLarge);
        }
        let jws = Jws::split(token)?;
        let mut buffer = Buffer::<LONGEST_SIGNATURE>::new();
        let signature = buffer.decode(jws.signature).ok_or(AuthErrorKind::MalformedToken)?;
        let (keys, mut buffer) = (self.keys.current(), Buffer::<USUAL_HEADER>::new());
        let header;
        let known = keys.who_knows(jws.header);
        let kid = match known {
            Some((key, known)) if self.accepts(known.token_type) && key.verify(jws.signed, signature) => {
                known.kid.as_deref()
            }
            _ => {
                header = Header::read(jws.header, &mut buffer)?;
                if !self.accepts(header.token_type()) {
                    return Err(AuthErrorKind::WrongType);
                }
                let refused_by = known.map(|(key, _)| key);
                find_signer(&keys, &header, refused_by, jws.signed, signature)?.remember(jws.header, &header);
                header.kid.as_deref()
            }
        };

        // From here on the token is what its issuer made.
        let mut buffer = Buffer::<USUAL_PAYLOAD>::new();
        let payload = buffer.decode(jws.payload).ok_or(AuthErrorKind::MalformedToken)?;
        let payload = json::object_text(payload).filter(|text| json::is_shallow(text));
        let payload = payload.ok_or(AuthErrorKind::InvalidClaims)?;
        let expected = &self.rules.expected;
        let (claims, registered) = stream::read(payload, &expected.audiences)?;
        let accepted = expected.judge(payload, registered, self.now())?;
        let claims = claims.ok_or(AuthErrorKind::InvalidClaims)?;
        let expiry = accepted.expiry.to_system_time();
        Ok(Claims::of_token(claims, TokenInfo::with(expiry, accepted.issuer.as_deref(), kid)))
    }

    /// After a look for newer keys, since the token's is not among those that are held.
    fn verify_refreshed(&self, token: &str) -> Verdict<C> {
        // What is broken in any case is not worth a look.
        if !Jws::split(token).is_ok_and(|jws| jws.is_canonical()) {
            return Verdict::Ready(Err(AuthErrorKind::MalformedToken.into()));
        }
        match self.keys.refresh() {
            Refresh::Unchanged => Verdict::Ready(Err(AuthErrorKind::UnknownKey.into())),
            Refresh::Failed(error) => Verdict::Ready(Err(error)),
            Refresh::Pending(refreshed) => {
                let (verifier, token) = (self.clone(), token.to_owned());
                Verdict::Pending(Box::pin(async move {
                    refreshed.await?;
                    verifier.verify_held(&token).map_err(|kind| verifier.explain(kind))
                }))
            }
        }
    }

    /// Adds what only the developer should know, where the settings are more likely at fault than the token.
    fn explain(&self, kind: AuthErrorKind) -> AuthError {
        let error = AuthError::new(kind);
        match kind {
            AuthErrorKind::WrongAudience if self.rules.expected.audiences.is_empty() => error.caused_by(
                "the token names an audience and the verifier expects none: set JwtVerifier::audience, \
                 or insecure_any_audience",
            ),
            AuthErrorKind::InvalidClaims => error.caused_by(format!(
                "the payload has a registered claim that is malformed or stands there twice, \
                 or does not fit `{}`",
                std::any::type_name::<C>()
            )),
            _ => error,
        }
    }

    fn accepts(&self, token_type: TokenType) -> bool {
        match token_type {
            TokenType::AccessToken => true,
            TokenType::Any => !self.rules.access_tokens_only,
            TokenType::Other => false,
        }
    }

    /// The time since 1970. A clock that stands before then is wrong in an unknown way, so no token is valid.
    fn now(&self) -> Duration {
        let now = self.rules.clock.as_ref().map_or_else(SystemTime::now, |clock| clock());
        now.duration_since(UNIX_EPOCH).unwrap_or(Duration::MAX)
    }
}

/// Checks the signature with every key that may have made it, but for one that is known not to have.
fn find_signer<'k>(
    keys: &'k KeySet,
    header: &Header<'_>,
    refused_by: Option<&Key>,
    signed: &[u8],
    signature: &[u8],
) -> Result<&'k Key, AuthErrorKind> {
    let kid = header.kid.as_deref();
    let algorithm = jwk::algorithm(&header.alg).map_err(|_| AuthErrorKind::UnsupportedAlgorithm)?;
    let mut candidates = keys.candidates(algorithm, kid).peekable();
    if candidates.peek().is_none() {
        return Err(match kid {
            Some(kid) if keys.holds(kid) => AuthErrorKind::UnsupportedAlgorithm,
            _ => AuthErrorKind::UnknownKey,
        });
    }
    candidates
        .filter(|key| refused_by.is_none_or(|other| !std::ptr::eq(*key, other)))
        .find(|key| key.verify(signed, signature))
        .ok_or(AuthErrorKind::InvalidSignature)
}

/// What is longer is decoded on the heap.
const USUAL_HEADER: usize = 1024;
const USUAL_PAYLOAD: usize = 4096;
/// That of an RSA key of 8192 bits, and what a decoder may ask for beyond it.
const LONGEST_SIGNATURE: usize = 8192 / 8 + 2;

impl<C> Verify for JwtVerifier<C>
where
    C: DeserializeOwned + 'static,
{
    type Claims = C;

    fn verify(&self, token: &str) -> Verdict<C> {
        // The method of the type itself comes before that of the trait.
        self.verify(token)
    }
}

impl<C> Clone for JwtVerifier<C> {
    fn clone(&self) -> Self {
        Self { keys: Arc::clone(&self.keys), rules: Arc::clone(&self.rules), claims: PhantomData }
    }
}

impl<C> fmt::Debug for JwtVerifier<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier").field("expected", &self.rules.expected).finish_non_exhaustive()
    }
}
