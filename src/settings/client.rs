//! The HTTP client of all fetches.

use http::Request;

use super::names::Names;
use super::values::HttpValues;
use crate::config_error::ConfigError;
use crate::file_follower::FileFollower;
use crate::jwks::{ClientFuture, HttpClient, HttpsClient};

/// An `HttpsClient`, created again when the file with root certificates changes.
#[derive(Clone)]
pub(super) enum Client {
    Fixed(Box<HttpsClient>),
    Followed(FileFollower<HttpsClient>),
}

impl Client {
    /// Returns the client, and creates it for the first fetch.
    pub(super) fn shared(
        client: &mut Option<Self>,
        values: &HttpValues,
        names: &Names,
    ) -> Result<Self, ConfigError> {
        if client.is_none() {
            *client = Some(Self::new(values, names)?);
        }
        Ok(client.clone().expect("it has just been created"))
    }

    fn new(values: &HttpValues, names: &Names) -> Result<Self, ConfigError> {
        let mut client = HttpsClient::new();
        if values.insecure_allow_plain_http {
            client = client.insecure_allow_plain_http();
        }
        if let Some(proxy) = &values.proxy_url {
            client = client.proxy(proxy.expose()).map_err(|error| names.about("http.proxy_url", error))?;
        }
        let Some(file) = &values.ca_file else {
            return Ok(Self::Fixed(Box::new(client)));
        };
        let followed = FileFollower::open(file, move |pem| client.clone().add_root_certificates(pem));
        followed.map(Self::Followed).map_err(|error| names.about("http.ca_file", error))
    }
}

impl HttpClient for Client {
    fn fetch(&self, request: Request<Vec<u8>>, limit: usize) -> ClientFuture {
        match self {
            Self::Fixed(client) => client.fetch(request, limit),
            Self::Followed(client) => client.current().fetch(request, limit),
        }
    }

    fn allows_plain_http(&self) -> bool {
        match self {
            Self::Fixed(client) => client.allows_plain_http(),
            Self::Followed(client) => client.current().allows_plain_http(),
        }
    }
}
