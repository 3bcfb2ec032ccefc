//! The endpoints that an issuer's discovery document names (OpenID Connect Discovery 1.0; RFC 8414).

use http::Request;
use http::header::{ACCEPT, HeaderValue};
use serde::Deserialize;
use tokio::time::Instant;

use super::client::HttpClient;
use super::documents::Documents;
use super::fetch_error::{FetchError, Problem};
use super::fetch_url::{FetchUrl, PlainHttp, metadata_addresses};
use crate::config_error::ConfigError;
use crate::verify::json;

/// The discovery document of an issuer.
#[derive(Clone, Debug)]
pub(crate) struct Discovery {
    issuer: String,
    /// The possible URLs of the document.
    places: Vec<FetchUrl>,
    /// The rule for the URLs in the document.
    plain_http: PlainHttp,
}

/// A member of the document whose value is a URL.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Endpoint {
    Jwks,
    #[cfg(feature = "introspection")]
    Introspection,
}

impl Discovery {
    /// Looks for the document in the places that follow from the issuer.
    pub(crate) fn new(issuer: &str, client: &dyn HttpClient) -> Result<Self, ConfigError> {
        let allowed = client.allows_plain_http();
        Ok(Self::in_places(issuer, metadata_addresses(issuer, PlainHttp::for_settings(allowed))?, allowed))
    }

    /// Looks for the document at this URL. The issuer may be any text.
    pub(crate) fn at(issuer: &str, url: &str, client: &dyn HttpClient) -> Result<Self, ConfigError> {
        let allowed = client.allows_plain_http();
        let place = FetchUrl::parse(url, PlainHttp::for_settings(allowed))?;
        Ok(Self::in_places(issuer, vec![place], allowed))
    }

    fn in_places(issuer: &str, places: Vec<FetchUrl>, allows_plain_http: bool) -> Self {
        let plain_http = places[0].plain_http_for_linked(allows_plain_http);
        Self { issuer: issuer.to_owned(), places, plain_http }
    }

    /// Returns the most common URL of the document. The others have the same origin.
    pub(super) fn address(&self) -> &FetchUrl {
        &self.places[0]
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Fetches the document until `end`, and returns the URL of an endpoint.
    pub(crate) async fn locate(
        &self,
        endpoint: Endpoint,
        documents: &Documents,
        end: Instant,
    ) -> Result<FetchUrl, FetchError> {
        let mut errors = Vec::new();
        for place in &self.places {
            match self.read_at(place, endpoint, documents, end).await {
                Ok(address) => return Ok(address),
                // No time is left for another URL.
                Err(error) if error.is_deadline() => return Err(error),
                Err(error) => errors.push(error),
            }
        }
        // Of several alike, report that of the most common URL: a person would look there first.
        let telling = errors.into_iter().rev().max_by_key(FetchError::tells);
        Err(telling.expect("an issuer has at least one discovery URL"))
    }

    async fn read_at(
        &self,
        place: &FetchUrl,
        endpoint: Endpoint,
        documents: &Documents,
        end: Instant,
    ) -> Result<FetchUrl, FetchError> {
        let mut request = Request::new(Vec::new());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let response = documents.send(place, request, end).await?;
        let body = documents.body_of(place, &response)?;
        let fail = |problem| FetchError::new(place, problem);
        let (issuer, address) = endpoint.read(body).map_err(fail)?;
        // Without this check an attacker could impersonate another issuer (RFC 8414, section 3.3).
        if issuer != self.issuer {
            return Err(fail(Problem::OtherIssuer { expected: self.issuer.clone(), got: issuer }));
        }
        FetchUrl::parse(&address, self.plain_http)
            .map_err(|error| fail(Problem::EndpointAddress(endpoint.name(), endpoint.explain(error))))
    }
}

impl Endpoint {
    /// Returns the name of the member.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jwks => "jwks_uri",
            #[cfg(feature = "introspection")]
            Self::Introspection => "introspection_endpoint",
        }
    }

    /// Returns the error about its URL.
    fn explain(self, error: ConfigError) -> ConfigError {
        match self {
            Self::Jwks => error,
            #[cfg(feature = "introspection")]
            Self::Introspection => error.about_introspection(),
        }
    }

    /// Reads the issuer and the URL. Other members may have any type.
    fn read(self, document: &[u8]) -> Result<(String, String), Problem> {
        #[derive(Deserialize)]
        struct Keys {
            issuer: String,
            jwks_uri: String,
        }

        #[cfg(feature = "introspection")]
        #[derive(Deserialize)]
        struct Introspection {
            issuer: String,
            introspection_endpoint: String,
        }

        match self {
            Self::Jwks => json::object::<Keys>(document).map(|keys| (keys.issuer, keys.jwks_uri)),
            #[cfg(feature = "introspection")]
            Self::Introspection => json::object::<Introspection>(document)
                .map(|introspection| (introspection.issuer, introspection.introspection_endpoint)),
        }
        .ok_or(Problem::NotMetadata(self.name()))
    }
}
