//! The discovery documents that the library found.

use http::header::LOCATION;
use http::{StatusCode, Uri};
use serde_json::{Map, Value};

use super::recorder::{Answer, Exchange};
use crate::escape::{quoted, shortened};
use crate::screen::Mark;

/// A discovery document, and where it is.
pub(crate) struct Document {
    pub(crate) url: String,
    pub(crate) issuer: String,
    members: Map<String, Value>,
}

impl Document {
    fn read(exchange: &Exchange) -> Option<Self> {
        let response = exchange.response().filter(|response| response.status() == StatusCode::OK)?;
        let members: Map<String, Value> = serde_json::from_slice(response.body()).ok()?;
        let issuer = members.get("issuer")?.as_str()?.to_owned();
        Some(Self { url: exchange.url.clone(), issuer, members })
    }

    /// Returns the URL of the keys as it is requested.
    fn jwks_url(&self) -> Option<String> {
        self.text("jwks_uri")?.parse::<Uri>().ok().map(|url| url.to_string())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str()
    }

    pub(crate) fn list(&self, name: &str) -> Option<Vec<&str>> {
        Some(self.members.get(name)?.as_array()?.iter().filter_map(Value::as_str).collect())
    }
}

/// The exchanges of one attempt to discover an issuer.
pub(crate) struct Discovery {
    pub(crate) places: Vec<Exchange>,
    /// The document with the expected issuer, or else the first one.
    pub(crate) document: Option<Document>,
    /// The exchange for the JWK set.
    pub(crate) keys: Option<Exchange>,
}

impl Discovery {
    pub(crate) fn new(issuer: &str, mut exchanges: Vec<Exchange>) -> Self {
        let is_wanted =
            |exchange: &Exchange| Document::read(exchange).is_some_and(|document| document.issuer == issuer);
        // The library asks for the keys right after it has accepted a document.
        let accepted = exchanges.iter().position(is_wanted);
        let jwks_url = accepted.and_then(|at| Document::read(&exchanges[at])?.jwks_url());
        let is_for_keys = |exchange: &Exchange| jwks_url.as_ref() == Some(&exchange.url);
        let keys = accepted.map(|at| at + 1).filter(|at| exchanges.get(*at).is_some_and(is_for_keys));
        let keys = keys.map(|at| exchanges.remove(at));
        let document = Self::document_of(issuer, &exchanges);
        Self { places: exchanges, document, keys }
    }

    /// Returns the document with the expected issuer, or else the first one.
    pub(crate) fn document_of(issuer: &str, exchanges: &[Exchange]) -> Option<Document> {
        let mut documents: Vec<_> = exchanges.iter().filter_map(Document::read).collect();
        let wanted = documents.iter().position(|document| document.issuer == issuer);
        (!documents.is_empty()).then(|| documents.swap_remove(wanted.unwrap_or(0)))
    }

    /// Returns true if no place answered properly, so that nothing is known about the provider.
    pub(crate) fn is_unreachable(&self) -> bool {
        let is_lost = |exchange: &Exchange| match exchange.response() {
            Some(response) => is_temporary(response.status()),
            None => true,
        };
        self.document.is_none() && self.places.iter().any(is_lost)
    }
}

/// Returns true for a status that says nothing about the document.
pub(crate) fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

/// Returns the mark and the text of an exchange: its URL and what came back.
pub(crate) fn outcome(exchange: &Exchange) -> (Mark, String) {
    let url = shortened(&exchange.url);
    match &exchange.answer {
        Answer::Pending => (Mark::Fail, format!("{url}\nno response in time")),
        Answer::Failed(reason) => (Mark::Fail, format!("{url}\n{}", shortened(reason))),
        Answer::Received(response) if response.status() == StatusCode::OK => (Mark::Pass, url),
        Answer::Received(response) => {
            let location = response.headers().get(LOCATION);
            let target = location.map(|target| quoted(&String::from_utf8_lossy(target.as_bytes())));
            let status = response.status().as_u16();
            (
                Mark::Info,
                match target {
                    Some(target) if response.status().is_redirection() => {
                        format!(
                            "{url}\nstatus {status}, redirects to {target}; the library follows no redirects"
                        )
                    }
                    _ => format!("{url}\nstatus {status}"),
                },
            )
        }
    }
}
