//! What an API says of itself (RFC 9728).

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

/// What an API says of itself to clients that want a token for it: OAuth 2.0 Protected Resource Metadata
/// ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)).
///
/// A client that is refused reads its address in the challenge, and the authorization servers to turn to in it. Servers of the
/// [Model Context Protocol](https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization) have to
/// have it, and to accept only tokens that are for them:
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
///     .challenge_scope("mcp:tools")? // what a client without a token is told to ask for
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
/// Of how a token may come, it says that it is in the header `Authorization` (`bearer_methods_supported`), whatever else a
/// [`TokenSource`](crate::TokenSource) reads.
#[derive(Clone, Debug)]
#[must_use]
pub struct ProtectedResource {
    metadata: Metadata,
    /// `https://` and the host.
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
}

impl ProtectedResource {
    /// The API with this resource identifier: its URL, which is also the audience of its tokens where the provider heeds
    /// `resource` ([RFC 8707](https://www.rfc-editor.org/rfc/rfc8707)); the crate's documentation says which do.
    ///
    /// # Errors
    ///
    /// If it is not a URL that begins with `https://` (or with `http://` and names this machine), or has a query or a
    /// fragment.
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
        // `Uri` gives a path to a URL that has none.
        let origin = identifier.strip_suffix(path).unwrap_or(identifier).to_owned();
        let metadata_path = format!("{WELL_KNOWN}{}", path.strip_suffix('/').unwrap_or(path));
        let metadata = Metadata {
            resource: identifier.to_owned(),
            authorization_servers: Vec::new(),
            scopes_supported: Vec::new(),
            bearer_methods_supported: vec!["header"],
            resource_name: None,
            resource_documentation: None,
        };
        Ok(Self { metadata, origin, metadata_path })
    }

    /// Adds an authorization server whose tokens it accepts: its issuer.
    ///
    /// # Errors
    ///
    /// If it is not a URL that begins with `https://` (or with `http://` and names this machine).
    pub fn add_authorization_server(mut self, issuer: &str) -> Result<Self, ConfigError> {
        public_url(issuer)?;
        self.metadata.authorization_servers.push(issuer.to_owned());
        Ok(self)
    }

    /// Sets the scopes that a client can ask for, separated by spaces. By default none are named.
    ///
    /// # Errors
    ///
    /// If it is not one or more scopes with a space between them.
    pub fn scopes(mut self, scopes: &str) -> Result<Self, ConfigError> {
        self.metadata.scopes_supported = checked_scopes(scopes)?.split(' ').map(str::to_owned).collect();
        Ok(self)
    }

    /// Sets its name, for people.
    pub fn name(mut self, name: &str) -> Self {
        self.metadata.resource_name = Some(name.to_owned());
        self
    }

    /// Sets where developers read about it.
    ///
    /// # Errors
    ///
    /// If it is not a URL that begins with `https://` (or with `http://` and names this machine).
    pub fn documentation(mut self, url: &str) -> Result<Self, ConfigError> {
        public_url(url)?;
        self.metadata.resource_documentation = Some(url.to_owned());
        Ok(self)
    }

    /// The identifier, for [`JwtVerifier::audience`](crate::JwtVerifier::audience) where it is what tokens name.
    #[must_use]
    pub fn identifier(&self) -> &str {
        &self.metadata.resource
    }

    /// The URL of the metadata, for [`JwtAuthLayer::resource_metadata`](crate::JwtAuthLayer::resource_metadata):
    /// `/.well-known/oauth-protected-resource` with the identifier's own path behind it
    /// ([RFC 9728, section 3.1](https://www.rfc-editor.org/rfc/rfc9728#section-3.1)).
    #[must_use]
    pub fn metadata_url(&self) -> String {
        format!("{}{}", self.origin, self.metadata_path)
    }

    /// The path of the metadata, for a router.
    #[must_use]
    pub fn metadata_path(&self) -> &str {
        &self.metadata_path
    }

    /// The service for that path. It stands outside of the layer, since it is for those who have no token yet. Pages of every
    /// origin may read it (preflight requests are answered, too), and it may be kept for an hour.
    pub fn service(&self) -> ProtectedResourceService {
        let json = serde_json::to_string(&self.metadata).expect("texts are JSON");
        ProtectedResourceService { json: json.into() }
    }
}

const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=3600");
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The service that a [`ProtectedResource`] makes: answers `GET` and `HEAD` with the metadata as JSON, and `OPTIONS`.
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
