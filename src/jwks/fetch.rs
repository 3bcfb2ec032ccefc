//! One attempt to get the keys: where they are, and what they are.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{Request, Response, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;

use super::address::{Address, PlainHttp};
use super::client::HttpClient;
use super::fetch_error::{FetchError, Problem};
use super::freshness;
use crate::verify::{JwksRules, KeySet, json};

/// How many bytes a document may have.
const BODY_LIMIT: usize = 512 * 1024;

/// How long the address of the keys is taken from metadata that were read before.
const METADATA_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Where keys come from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// Straight from this address.
    Jwks(Address),
    /// From the address that the metadata of this issuer name.
    Issuer {
        issuer: String,
        /// Where the metadata may be.
        metadata: Vec<Address>,
        /// What the address in them may be.
        plain_http: PlainHttp,
    },
}

/// Gets keys, and remembers between two attempts what spares the next one some work.
pub(crate) struct Fetcher {
    client: Arc<dyn HttpClient>,
    origin: Origin,
    rules: JwksRules,
    /// Where the metadata say that the keys are, and when they were read.
    found: Option<(Address, Instant)>,
    /// What the keys that are held were marked with.
    etag: Option<HeaderValue>,
}

/// What an attempt that has not failed brings.
pub(crate) struct Fetched {
    /// `None`: those that are held are still good.
    pub(crate) keys: Option<KeySet>,
    /// How long they say that they stay as they are.
    pub(crate) lifetime: Option<Duration>,
}

impl Fetcher {
    pub(crate) fn new(client: Arc<dyn HttpClient>, origin: Origin, rules: JwksRules) -> Self {
        Self { client, origin, rules, found: None, etag: None }
    }

    /// Makes one attempt; `holds_any` says whether keys of an earlier one are still held.
    pub(crate) async fn fetch(&mut self, holds_any: bool) -> Result<Fetched, FetchError> {
        // Put back where all goes well: after a failure, or where it is cut short, the next attempt begins anew.
        let (found, etag) = (self.found.take(), self.etag.take().filter(|_| holds_any));
        let (address, read_at) = match (&self.origin, found) {
            (Origin::Jwks(address), _) => (address.clone(), Instant::now()),
            (_, Some((address, read_at))) if read_at.elapsed() < METADATA_AGE => (address, read_at),
            (Origin::Issuer { issuer, metadata, plain_http }, _) => {
                (self.discover(issuer, metadata, *plain_http).await?, Instant::now())
            }
        };
        let response = self.get(&address, etag.as_ref()).await?;
        let fetched = match response.status() {
            StatusCode::NOT_MODIFIED if etag.is_some() => {
                Fetched { keys: None, lifetime: freshness::lifetime(response.headers()) }
            }
            _ => {
                let body = body_of(&address, &response)?;
                let keys = KeySet::jwks_with(body, &self.rules.for_public_sets());
                let keys = keys.map_err(|error| FetchError::new(&address, Problem::Keys(error)))?;
                Fetched { keys: Some(keys), lifetime: freshness::lifetime(response.headers()) }
            }
        };
        self.etag = response.headers().get(ETAG).cloned().or(etag.filter(|_| fetched.keys.is_none()));
        self.found = Some((address, read_at));
        Ok(fetched)
    }

    /// Reads from the issuer's metadata where its keys are.
    async fn discover(
        &self,
        issuer: &str,
        places: &[Address],
        plain_http: PlainHttp,
    ) -> Result<Address, FetchError> {
        let mut first_error = None;
        for place in places {
            let read = async {
                let response = self.get(place, None).await?;
                read_metadata(place, body_of(place, &response)?, issuer, plain_http)
            };
            match read.await {
                Ok(address) => return Ok(address),
                // It will not be otherwise for the other places, which are on the same host.
                Err(error) if error.is_of_transport() => return Err(error),
                // The place that most providers have is the one that others will look at first, too.
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.expect("an issuer has at least two places"))
    }

    async fn get(
        &self,
        address: &Address,
        etag: Option<&HeaderValue>,
    ) -> Result<Response<Vec<u8>>, FetchError> {
        let mut request = Request::new(());
        *request.uri_mut() = address.uri().clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, application/jwk-set+json"));
        if let Some(etag) = etag {
            headers.insert(IF_NONE_MATCH, etag.clone());
        }
        let response = self.client.fetch(request, BODY_LIMIT).await;
        response.map_err(|error| FetchError::new(address, Problem::Transport(error)))
    }
}

/// The body of an answer that is whole and as it was asked for.
fn body_of<'r>(address: &Address, response: &'r Response<Vec<u8>>) -> Result<&'r [u8], FetchError> {
    let (body, headers) = (response.body(), response.headers());
    let stated = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let problem = if response.status() != StatusCode::OK {
        Problem::Status(response.status())
    } else if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        Problem::Encoded
    } else if body.len() > BODY_LIMIT {
        Problem::TooLarge { limit: BODY_LIMIT }
    } else if stated.is_some_and(|stated| stated != body.len()) {
        Problem::CutShort
    } else {
        return Ok(body);
    };
    Err(FetchError::new(address, problem))
}

fn read_metadata(
    place: &Address,
    body: &[u8],
    issuer: &str,
    plain_http: PlainHttp,
) -> Result<Address, FetchError> {
    /// OpenID Connect Discovery 1.0, section 3; RFC 8414, section 2.
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        jwks_uri: String,
    }

    let fail = |problem| FetchError::new(place, problem);
    let metadata: Metadata = json::object(body).ok_or_else(|| fail(Problem::NotMetadata))?;
    // Whoever can make others read its metadata as somebody else's could sign for them: RFC 8414, section 3.3.
    if metadata.issuer != issuer {
        return Err(fail(Problem::OtherIssuer { expected: issuer.to_owned(), got: metadata.issuer }));
    }
    Address::parse(&metadata.jwks_uri, plain_http).map_err(|error| fail(Problem::KeysAddress(error)))
}
