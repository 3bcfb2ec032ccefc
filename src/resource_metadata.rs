//! Protected resource metadata (RFC 9728).

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Request, Response};
use serde::Serialize;
use tower_service::Service;

use crate::challenge::checked_scopes;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::public_json::{self, JsonFuture};
use crate::url::{public_url, without_secrets};

/// OAuth 2.0 Protected Resource Metadata ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)) of an API.
///
/// It tells clients which authorization servers issue tokens for the API. A rejected client finds its URL in the
/// challenge. Servers of the
/// [Model Context Protocol](https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization) must provide
/// it, and accept only tokens with their own audience:
///
#[cfg_attr(feature = "axum", doc = "```")]
#[cfg_attr(not(feature = "axum"), doc = "```ignore")]
/// # use axum::{Router, routing::post};
/// # use tower_jwt_auth::policy::scope;
/// # use tower_jwt_auth::resource_metadata::ProtectedResource;
/// # use tower_jwt_auth::{Algorithm, ConfigError, JwtAuthLayer, JwtVerifier, KeySet};
/// # fn app(verifier: JwtVerifier<serde_json::Value>) -> Result<Router, ConfigError> {
/// let resource = ProtectedResource::new("https://api.example.com/mcp")?
///     .add_authorization_server("https://id.example.com")?;
/// let layer = JwtAuthLayer::new(verifier.audience(resource.identifier()))
///     .require(scope("mcp:tools"))
///     .challenge_scope("mcp:tools")? // the scope that a client without a token should request
///     .resource_metadata(&resource.metadata_url())?;
/// let app = Router::new()
///     .route("/mcp", post(async || "a result"))
///     .route_layer(layer)
///     .route_service(resource.metadata_path(), resource.service());
/// # Ok(app)
/// # }
/// # let verifier = JwtVerifier::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...").unwrap());
/// # assert!(app(verifier).is_ok());
/// ```
///
/// `bearer_methods_supported` is always `header`, even if a [`TokenSource`](crate::TokenSource) reads other places.
#[derive(Clone, Debug)]
#[must_use]
pub struct ProtectedResource {
    metadata: Metadata,
    /// The scheme and host of the identifier.
    origin: String,
    metadata_path: String,
}

/// RFC 9728, section 2.
#[derive(Clone, Debug, Serialize)]
struct Metadata {
    resource: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authorization_servers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<String>,
    bearer_methods_supported: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dpop_signing_alg_values_supported: Vec<&'static str>,
    #[serde(skip_serializing_if = "is_false")]
    dpop_bound_access_tokens_required: bool,
    #[serde(skip_serializing_if = "is_false")]
    tls_client_certificate_bound_access_tokens: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl ProtectedResource {
    /// Creates the metadata for the API with this resource identifier (its URL).
    ///
    /// The identifier is also the audience of its tokens, if the provider supports `resource`
    /// ([RFC 8707](https://www.rfc-editor.org/rfc/rfc8707)). The [crate docs](crate) list the providers.
    ///
    /// # Errors
    ///
    /// - The URL does not begin with `https://`. `http://` is accepted for this machine.
    /// - It has a query or a fragment.
    pub fn new(identifier: &str) -> Result<Self, ConfigError> {
        let uri = public_url(identifier)?;
        if uri.query().is_some() {
            return Err(ConfigProblem::InvalidUrl {
                url: without_secrets(identifier),
                reason: "it has a query",
            }
            .into());
        }
        let path = uri.path();
        // `Uri` adds a path to a URL without one.
        let origin = identifier.strip_suffix(path).unwrap_or(identifier).to_owned();
        let metadata_path = format!("{WELL_KNOWN}{}", path.strip_suffix('/').unwrap_or(path));
        let metadata = Metadata {
            resource: identifier.to_owned(),
            authorization_servers: Vec::new(),
            scopes_supported: Vec::new(),
            bearer_methods_supported: vec!["header"],
            resource_name: None,
            resource_documentation: None,
            dpop_signing_alg_values_supported: Vec::new(),
            dpop_bound_access_tokens_required: false,
            tls_client_certificate_bound_access_tokens: false,
        };
        Ok(Self { metadata, origin, metadata_path })
    }

    /// Adds an authorization server whose tokens the API accepts, by its issuer.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL does not begin with `https://`. `http://` is accepted for this machine.
    pub fn add_authorization_server(mut self, issuer: &str) -> Result<Self, ConfigError> {
        public_url(issuer)?;
        self.metadata.authorization_servers.push(issuer.to_owned());
        Ok(self)
    }

    /// Sets the scopes that a client may request. By default none are listed.
    ///
    /// The scopes are separated by spaces.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not one or more scopes with one space between them.
    pub fn scopes(mut self, scopes: &str) -> Result<Self, ConfigError> {
        self.metadata.scopes_supported = checked_scopes(scopes)?.split(' ').map(str::to_owned).collect();
        Ok(self)
    }

    /// Sets the name to show to users.
    pub fn name(mut self, name: &str) -> Self {
        self.metadata.resource_name = Some(name.to_owned());
        self
    }

    /// Sets the URL of the documentation for developers.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL does not begin with `https://`. `http://` is accepted for this machine.
    pub fn documentation(mut self, url: &str) -> Result<Self, ConfigError> {
        public_url(url)?;
        self.metadata.resource_documentation = Some(url.to_owned());
        Ok(self)
    }

    /// Lists the algorithms of DPoP proofs, and says whether tokens must be DPoP-bound.
    ///
    /// They must be if [`Dpop::required`](crate::dpop::Dpop::required) is set and certificate-bound tokens are not accepted.
    ///
    /// Pass the settings of the verifier ([RFC 9728, section 2](https://www.rfc-editor.org/rfc/rfc9728#section-2)).
    #[cfg(feature = "dpop")]
    pub fn dpop(mut self, dpop: &crate::dpop::Dpop) -> Self {
        self.metadata.dpop_signing_alg_values_supported =
            dpop.accepted_algorithms().iter().map(|algorithm| algorithm.as_str()).collect();
        self.metadata.dpop_bound_access_tokens_required = dpop.is_required();
        self
    }

    /// Says that the API accepts tokens that are bound to the client certificate.
    #[cfg(feature = "mtls")]
    pub fn certificate_bound_tokens(mut self) -> Self {
        self.metadata.tls_client_certificate_bound_access_tokens = true;
        self
    }

    /// Returns the identifier.
    ///
    /// Pass it to [`JwtVerifier::audience`](crate::JwtVerifier::audience) if tokens name it as their audience.
    #[must_use]
    pub fn identifier(&self) -> &str {
        &self.metadata.resource
    }

    /// Returns the URL of the metadata.
    ///
    /// Pass it to [`JwtAuthLayer::resource_metadata`](crate::JwtAuthLayer::resource_metadata). It is
    /// `/.well-known/oauth-protected-resource`, followed by the path of the identifier
    /// ([RFC 9728, section 3.1](https://www.rfc-editor.org/rfc/rfc9728#section-3.1)).
    #[must_use]
    pub fn metadata_url(&self) -> String {
        format!("{}{}", self.origin, self.metadata_path)
    }

    /// Returns the path of the metadata, for a router.
    #[must_use]
    pub fn metadata_path(&self) -> &str {
        &self.metadata_path
    }

    /// Creates the service for [`metadata_path`](Self::metadata_path).
    ///
    /// Mount it outside the layer, since clients without a token need it. Scripts of any origin may read the document:
    /// the service answers preflight requests. Caches may keep it for an hour.
    pub fn service(&self) -> ProtectedResourceService {
        let mut metadata = self.metadata.clone();
        // Tokens that are bound to a certificate need no proof.
        metadata.dpop_bound_access_tokens_required &= !metadata.tls_client_certificate_bound_access_tokens;
        let json = serde_json::to_string(&metadata).expect("strings serialize to JSON");
        ProtectedResourceService { json: json.into() }
    }
}

const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=3600");
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The service that [`ProtectedResource::service`] creates.
///
/// It answers `GET` and `HEAD` with the metadata as JSON, and also answers `OPTIONS`.
#[derive(Clone, Debug)]
#[must_use]
pub struct ProtectedResourceService {
    json: Arc<str>,
}

impl<B> Service<Request<B>> for ProtectedResourceService {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = JsonFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let response = public_json::answer(request.method(), "application/json", CACHE_CONTROL, || {
            self.json.to_string()
        });
        JsonFuture::new(response)
    }
}
