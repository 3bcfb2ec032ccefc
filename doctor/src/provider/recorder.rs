//! An HTTP client that remembers what the library asked, and the responses.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};
use tower_jwt_auth::jwks::{ClientFuture, HttpClient, HttpsClient};

use crate::screen::chain;

/// Passes requests on to the library's own client.
#[derive(Clone)]
pub(crate) struct Recorder {
    client: HttpsClient,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

/// A request, and its response.
pub(crate) struct Exchange {
    pub(crate) url: String,
    pub(crate) answer: Answer,
}

pub(crate) enum Answer {
    /// The library did not wait any longer.
    Pending,
    Failed(String),
    Received(Response<Vec<u8>>),
}

impl Exchange {
    pub(crate) fn response(&self) -> Option<&Response<Vec<u8>>> {
        match &self.answer {
            Answer::Received(response) => Some(response),
            _ => None,
        }
    }
}

impl Recorder {
    pub(crate) fn new(client: HttpsClient) -> Self {
        Self { client, exchanges: Arc::default() }
    }

    /// Returns the exchanges since the last call, in order.
    pub(crate) fn take(&self) -> Vec<Exchange> {
        mem::take(&mut self.exchanges.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpClient for Recorder {
    fn fetch(&self, request: Request<Vec<u8>>, limit: usize) -> ClientFuture {
        let exchanges = Arc::clone(&self.exchanges);
        let begun = Exchange { url: request.uri().to_string(), answer: Answer::Pending };
        let index = {
            let mut exchanges = exchanges.lock().unwrap_or_else(PoisonError::into_inner);
            exchanges.push(begun);
            exchanges.len() - 1
        };
        let fetched = self.client.fetch(request, limit);
        Box::pin(async move {
            let fetched = fetched.await;
            let answer = match &fetched {
                Ok(response) => Answer::Received(response.clone()),
                Err(error) => Answer::Failed(chain(&**error)),
            };
            if let Some(exchange) = exchanges.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
                exchange.answer = answer;
            }
            fetched
        })
    }

    fn allows_plain_http(&self) -> bool {
        self.client.allows_plain_http()
    }
}
