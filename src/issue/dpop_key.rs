use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::SystemTime;

use http::Method;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::issue_error::{IssueError, IssueErrorKind};
use super::public_jwk::Jwk;
use super::signing_key::SigningKey;
use crate::algorithm::Algorithm;
use crate::binding::Thumbprint;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::registered::since_epoch;
use crate::verify::base64url::{encode, encode_onto};

/// A client's key that signs DPoP proofs, for tests and simple clients.
///
/// ```
/// use http::{Method, Request, Response};
/// use serde_json::{Value, json};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_jwt_auth::dpop::{Dpop, DpopKey};
/// use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
/// use tower_jwt_auth::token::Binding;
/// use tower_jwt_auth::{Algorithm, JwtAuthLayer};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let issuer = TokenIssuer::new(SigningKey::generate(Algorithm::EdDSA)?, "https://id.example.com");
/// let verifier = issuer.verifier::<Value>().dpop(Dpop::new("https://api.example.com")?);
/// # let handler = service_fn(async |_| Ok::<_, std::convert::Infallible>(Response::new(String::new())));
/// let service = JwtAuthLayer::new(verifier).layer(handler);
///
/// // The issuer binds a token to the key of this client.
/// let key = DpopKey::generate(Algorithm::ES256)?;
/// let token = issuer.bound_to(Binding::to_key(key.thumbprint())).issue(&json!({"sub": "42"}))?;
///
/// // The client sends the token with a proof for this request.
/// let url = "https://api.example.com/orders?page=2";
/// let proof = key.proof(&Method::GET, url, Some(token.as_str()), None)?;
/// let request = Request::get(url)
///     .header("authorization", format!("DPoP {}", token.as_str()))
///     .header("dpop", proof)
///     .body(String::new())?;
/// assert_eq!(service.oneshot(request).await?.status(), 200);
/// # Ok(())
/// # }
/// ```
///
/// Clones share the private key. See [RFC 9449, section 4.2](https://www.rfc-editor.org/rfc/rfc9449#section-4.2).
#[derive(Clone)]
pub struct DpopKey {
    key: SigningKey,
    thumbprint: Thumbprint,
    /// The header of its proofs in base64url.
    header: Arc<str>,
    clock: Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>,
}

#[derive(Serialize)]
struct Header<'a> {
    typ: &'a str,
    alg: Algorithm,
    jwk: Jwk,
}

#[derive(Serialize)]
struct Claims<'a> {
    jti: &'a str,
    htm: &'a str,
    htu: &'a str,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl DpopKey {
    /// Creates the key of a client from a private key.
    ///
    /// The `kid` of the private key is not used.
    ///
    /// # Errors
    ///
    /// The key is a secret: nobody could verify its proofs without it.
    pub fn new(key: SigningKey) -> Result<Self, ConfigError> {
        let alg = key.algorithm();
        let symmetric = || ConfigProblem::InvalidProofAlgorithm { algorithm: Some(alg) }.into();
        let public = key.public().ok_or_else(symmetric)?;
        let header = Header { typ: "dpop+jwt", alg, jwk: public.required(alg) };
        let header = encode(&serde_json::to_vec(&header).expect("strings serialize to JSON")).into();
        let thumbprint = public.thumbprint(alg);
        Ok(Self { key, thumbprint, header, clock: None })
    }

    /// Generates a new key that is lost when the process ends.
    ///
    /// # Errors
    ///
    /// - The algorithm is an HMAC.
    /// - The back end does not support the algorithm or this processor.
    /// - The operating system returns no random numbers.
    pub fn generate(algorithm: Algorithm) -> Result<Self, ConfigError> {
        Self::new(SigningKey::generate(algorithm)?)
    }

    /// Replaces the system clock, for tests. A clock in the past signs old proofs.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(now));
        self
    }

    /// Returns the thumbprint of the public key ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)).
    ///
    /// It is the `jkt` of a token that is bound to this key.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// Signs a proof for one request. Send it in the header `DPoP`.
    ///
    /// - `url` is the public URL of the request. Its query and fragment are left out of the proof.
    /// - `token` is the access token in the request. A token request has none.
    /// - `nonce` is the last one that the server has sent in `DPoP-Nonce`, if it has sent one.
    ///
    /// Each proof has a new `jti`, so sign a new one to repeat a request.
    ///
    /// # Errors
    ///
    /// The operating system returns no random numbers.
    pub fn proof(
        &self,
        method: &Method,
        url: &str,
        token: Option<&str>,
        nonce: Option<&str>,
    ) -> Result<String, IssueError> {
        let no_randomness = || IssueError::new(IssueErrorKind::NoRandomness);
        let mut jti = [0; 16];
        getrandom::fill(&mut jti).map_err(|_| no_randomness())?;
        let ath = token.map(|token| encode(&Sha256::digest(token)));
        let claims = Claims {
            jti: &encode(&jti),
            htm: method.as_str(),
            htu: url.split(['?', '#']).next().unwrap_or_default(),
            iat: since_epoch(self.clock.as_ref().map_or_else(SystemTime::now, |clock| clock())).as_secs(),
            ath: ath.as_deref(),
            nonce,
        };
        let mut proof = self.header.to_string();
        proof.push('.');
        encode_onto(&mut proof, &serde_json::to_vec(&claims).map_err(IssueError::serialization)?);
        let signature = self.key.sign(proof.as_bytes()).ok_or_else(no_randomness)?;
        proof.push('.');
        encode_onto(&mut proof, &signature);
        Ok(proof)
    }
}

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopKey")
            .field("thumbprint", &self.thumbprint)
            .field("algorithm", &self.key.algorithm())
            .finish_non_exhaustive()
    }
}
