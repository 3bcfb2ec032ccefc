use std::error::Error;
use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use base64_simd::STANDARD;
use form_urlencoded::{Serializer, byte_serialize};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
#[cfg(feature = "issue")]
use serde_json::json;

#[cfg(feature = "issue")]
use crate::issue::{SigningKey, TokenIssuer};

/// The authentication of this service at the introspection endpoint.
///
/// The provider must know this service as a client that may introspect tokens.
///
/// ```
/// use tower_jwt_auth::introspection::ClientAuth;
///
/// let auth = ClientAuth::basic("api", "the client secret");
/// assert!(!format!("{auth:?}").contains("secret"));
///
/// // After a rotation, for all verifiers that share it:
/// auth.replace(&ClientAuth::basic("api", "the next client secret"));
/// ```
///
/// Clones share the credentials, so that a [replacement](Self::replace) applies to all of them.
#[derive(Clone)]
pub struct ClientAuth(Arc<ArcSwap<Method>>);

/// The credentials and the way to send them.
enum Method {
    Basic {
        id: String,
        /// The value of the header. Marked as sensitive.
        header: HeaderValue,
    },
    Post {
        id: String,
        secret: String,
    },
    #[cfg(feature = "issue")]
    PrivateKeyJwt {
        id: String,
        /// Signs the assertions.
        issuer: TokenIssuer,
    },
}

impl ClientAuth {
    /// Sends the client ID and secret in `Authorization`: `client_secret_basic`.
    ///
    /// Both are form-encoded first ([RFC 6749, section 2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)). This
    /// is the method that every provider must support.
    #[must_use]
    pub fn basic(id: impl Into<String>, secret: impl AsRef<str>) -> Self {
        let id = id.into();
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encoded(&id), encoded(secret.as_ref()));
        let text = format!("Basic {}", STANDARD.encode_to_string(pair));
        let mut header = HeaderValue::try_from(text).expect("base64 is a valid header value");
        header.set_sensitive(true);
        Self::new(Method::Basic { id, header })
    }

    /// Sends the client ID and secret in the request body: `client_secret_post`.
    #[must_use]
    pub fn post(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::new(Method::Post { id: id.into(), secret: secret.into() })
    }

    /// Signs an assertion for each request: `private_key_jwt`.
    ///
    /// The assertion ([RFC 7523, section 3](https://www.rfc-editor.org/rfc/rfc7523#section-3)) is valid for 60 s. Its `aud` is
    /// the issuer if it is known, otherwise the endpoint. An HMAC key makes it `client_secret_jwt`.
    #[cfg(feature = "issue")]
    #[must_use]
    pub fn private_key_jwt(id: impl Into<String>, key: SigningKey) -> Self {
        let id = id.into();
        let issuer = TokenIssuer::new(key, id.clone()).lifetime(std::time::Duration::from_secs(60));
        Self::new(Method::PrivateKeyJwt { id, issuer })
    }

    /// Replaces the credentials, for this value and its clones.
    ///
    /// The next request uses them. Remembered tokens stay valid.
    pub fn replace(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }

    fn new(method: Method) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(method)))
    }

    /// Returns the client ID.
    pub(super) fn client_id(&self) -> String {
        match &**self.0.load() {
            Method::Basic { id, .. } | Method::Post { id, .. } => id.clone(),
            #[cfg(feature = "issue")]
            Method::PrivateKeyJwt { id, .. } => id.clone(),
        }
    }

    /// Adds the credentials to a request. `audience` is the provider, for an assertion at `now`.
    #[cfg_attr(not(feature = "issue"), expect(unused_variables, reason = "only assertions have an audience"))]
    pub(super) fn authenticate(
        &self,
        form: &mut Serializer<'_, String>,
        headers: &mut HeaderMap,
        audience: &str,
        now: SystemTime,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        match &**self.0.load() {
            Method::Basic { header, .. } => {
                headers.insert(AUTHORIZATION, header.clone());
            }
            Method::Post { id, secret } => {
                form.append_pair("client_id", id).append_pair("client_secret", secret);
            }
            #[cfg(feature = "issue")]
            Method::PrivateKeyJwt { id, issuer } => {
                let issuer = issuer.clone().audience(audience).clock(move || now);
                let assertion = issuer.issue(&json!({ "sub": id }))?;
                form.append_pair("client_assertion_type", JWT_BEARER)
                    .append_pair("client_assertion", assertion.as_str());
            }
        }
        Ok(())
    }
}

/// RFC 7523, section 2.2.
#[cfg(feature = "issue")]
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Shows no secret.
impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = match &**self.0.load() {
            Method::Basic { .. } => "client_secret_basic",
            Method::Post { .. } => "client_secret_post",
            #[cfg(feature = "issue")]
            Method::PrivateKeyJwt { .. } => "private_key_jwt",
        };
        f.debug_struct("ClientAuth")
            .field("method", &name)
            .field("client_id", &self.client_id())
            .finish_non_exhaustive()
    }
}
