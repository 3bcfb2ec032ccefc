use std::fmt::{self, Formatter};
use std::sync::Arc;

use base64_simd::STANDARD;
use form_urlencoded::{Serializer, byte_serialize};
use http::HeaderValue;

#[cfg(feature = "issue")]
use crate::issue::{SigningKey, TokenIssuer};

/// The way in which this service authenticates to the introspection endpoint.
///
/// The provider registers the service as a client: an ID with a secret or a public key.
///
/// ```
/// use tower_jwt_auth::introspection::ClientAuth;
///
/// let auth = ClientAuth::basic("orders-api", "the secret of the client");
/// assert_eq!(format!("{auth:?}"), r#"ClientAuth { method: "client_secret_basic", client_id: "orders-api" }"#);
/// ```
#[derive(Clone)]
pub struct ClientAuth {
    client_id: String,
    method: Method,
}

#[derive(Clone)]
enum Method {
    Basic(Secret),
    Post(Secret),
    #[cfg(feature = "issue")]
    PrivateKeyJwt(Box<SigningKey>),
}

/// Returns the secret, which may change.
type Secret = Arc<dyn Fn() -> String + Send + Sync>;

/// The credentials of one request.
pub(super) struct Credentials {
    pub(super) authorization: Option<HeaderValue>,
    pub(super) form: Vec<(&'static str, String)>,
}

impl ClientAuth {
    /// Authenticates by HTTP Basic, the most common way: `client_secret_basic`.
    ///
    /// ID and secret are form-encoded first
    /// ([RFC 6749, section 2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)).
    #[must_use]
    pub fn basic(client_id: impl Into<String>, secret: impl Into<String>) -> Self {
        let secret = secret.into();
        Self::basic_with(client_id, move || secret.clone())
    }

    /// Authenticates by parameters in the body: `client_secret_post`.
    #[must_use]
    pub fn post(client_id: impl Into<String>, secret: impl Into<String>) -> Self {
        let secret = secret.into();
        Self::post_with(client_id, move || secret.clone())
    }

    /// Authenticates by a signed assertion: `private_key_jwt`
    /// ([RFC 7523, section 2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)).
    ///
    /// Each request has a new assertion, which is valid for one minute. Its `aud` is the issuer. If only the endpoint is
    /// known, it is the URL of the endpoint. Its `kid` is that of the key.
    #[cfg(feature = "issue")]
    #[must_use]
    pub fn private_key_jwt(client_id: impl Into<String>, key: SigningKey) -> Self {
        Self { client_id: client_id.into(), method: Method::PrivateKeyJwt(Box::new(key)) }
    }

    /// Same as [`basic`](Self::basic), with a secret that is read for each request.
    pub(crate) fn basic_with(
        client_id: impl Into<String>,
        secret: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        Self { client_id: client_id.into(), method: Method::Basic(Arc::new(secret)) }
    }

    /// Same as [`post`](Self::post), with a secret that is read for each request.
    pub(crate) fn post_with(
        client_id: impl Into<String>,
        secret: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        Self { client_id: client_id.into(), method: Method::Post(Arc::new(secret)) }
    }

    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Creates the credentials of one request. `audience` is for an assertion.
    #[cfg_attr(not(feature = "issue"), expect(unused_variables, reason = "no assertion without `issue`"))]
    pub(super) fn credentials(&self, audience: &str) -> Result<Credentials, String> {
        let id = || ("client_id", self.client_id.clone());
        match &self.method {
            Method::Basic(secret) => {
                Ok(Credentials { authorization: Some(basic(&self.client_id, &secret())), form: Vec::new() })
            }
            Method::Post(secret) => {
                Ok(Credentials { authorization: None, form: vec![id(), ("client_secret", secret())] })
            }
            #[cfg(feature = "issue")]
            Method::PrivateKeyJwt(key) => {
                let assertion = self.assertion(key, audience)?;
                let form = vec![id(), ("client_assertion_type", ASSERTION_TYPE.to_owned()), assertion];
                Ok(Credentials { authorization: None, form })
            }
        }
    }

    #[cfg(feature = "issue")]
    fn assertion(&self, key: &SigningKey, audience: &str) -> Result<(&'static str, String), String> {
        let issuer =
            TokenIssuer::new(key.clone(), &self.client_id).audience(audience).lifetime(ASSERTION_LIFETIME);
        let claims = serde_json::json!({"sub": self.client_id});
        let token =
            issuer.issue(&claims).map_err(|error| format!("cannot sign the client assertion: {error}"))?;
        Ok(("client_assertion", token.into_string()))
    }

    fn method_name(&self) -> &'static str {
        match self.method {
            Method::Basic(_) => "client_secret_basic",
            Method::Post(_) => "client_secret_post",
            #[cfg(feature = "issue")]
            Method::PrivateKeyJwt(_) => "private_key_jwt",
        }
    }
}

#[cfg(feature = "issue")]
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
#[cfg(feature = "issue")]
const ASSERTION_LIFETIME: std::time::Duration = std::time::Duration::from_secs(60);

fn basic(id: &str, secret: &str) -> HeaderValue {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let credentials = STANDARD.encode_to_string(format!("{}:{}", encoded(id), encoded(secret)));
    let mut value =
        HeaderValue::try_from(format!("Basic {credentials}")).expect("base64 is valid in a header");
    value.set_sensitive(true);
    value
}

impl Credentials {
    /// Returns the body of a request about a token.
    pub(super) fn body(&self, token: &str) -> Vec<u8> {
        let mut form = Serializer::new(String::new());
        form.append_pair("token", token).append_pair("token_type_hint", "access_token");
        form.extend_pairs(self.form.iter().map(|(name, value)| (*name, value.as_str())));
        form.finish().into_bytes()
    }
}

/// Shows no secret.
impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuth")
            .field("method", &self.method_name())
            .field("client_id", &self.client_id)
            .finish()
    }
}
