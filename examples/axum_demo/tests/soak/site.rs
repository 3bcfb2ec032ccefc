//! State that all clients share: the servers, the allowed responses and the results.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use fastrand::Rng;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::outages::Outages;
use crate::signed_out::SignedOut;
use crate::tally::Tally;

/// Maximum time for a response: the request limits of the demo with some margin.
pub(crate) const LONGEST_ANSWER: Duration = Duration::from_secs(20);

/// Time for which an outage may still affect responses after its end.
const AFTERMATH: Duration = Duration::from_secs(2);

pub(crate) struct Site {
    pub(crate) demos: [SocketAddr; 2],
    pub(crate) services: [SocketAddr; 2],
    pub(crate) tally: Tally,
    pub(crate) outages: Outages,
    pub(crate) signed_out: SignedOut,
    client: Client,
}

/// The time at which clients stop.
#[derive(Clone, Copy)]
pub(crate) struct Until(pub(crate) Instant);

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// The refresh cookie as a browser would send it.
    pub(crate) cookie: Option<String>,
    pub(crate) asked: Instant,
}

/// A reason why a good request may get 503.
#[derive(Clone, Copy)]
pub(crate) enum Excuse {
    /// Too many concurrent sign-ins or refreshes.
    Busy,
    Database,
    /// The revocation list is older than a minute.
    Redis,
    /// The server does not have the key and cannot fetch it.
    Provider,
}

impl Site {
    pub(crate) fn new(demos: [SocketAddr; 2], services: [SocketAddr; 2]) -> Self {
        let client = Client::builder()
            .no_proxy()
            .timeout(LONGEST_ANSWER)
            // Closes connections before the servers do, which could hit a request.
            .pool_idle_timeout(Duration::from_secs(1))
            .build();
        Self {
            demos,
            services,
            client: client.unwrap(),
            tally: Tally::default(),
            outages: Outages::default(),
            signed_out: SignedOut::default(),
        }
    }

    pub(crate) fn request(&self, method: Method, server: SocketAddr, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{server}{path}"))
    }

    pub(crate) fn get(&self, server: SocketAddr, path: &str) -> RequestBuilder {
        self.request(Method::GET, server, path)
    }

    pub(crate) fn post(&self, server: SocketAddr, path: &str) -> RequestBuilder {
        self.request(Method::POST, server, path)
    }

    /// Sends a request. Returns `None` if the connection was closed or the response is late.
    pub(crate) async fn ask(&self, what: &'static str, request: RequestBuilder) -> Option<Answer> {
        let asked = Instant::now();
        let answered = async {
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            let cookie = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok());
            let cookie = cookie.and_then(|value| value.split(';').next()).map(str::to_owned);
            Ok::<_, reqwest::Error>(Answer { status, cookie, body: answer.text().await?, asked })
        };
        match answered.await {
            Ok(answer) => Some(answer),
            Err(error) if error.is_timeout() => {
                self.tally.fault(what, format!("no response within {LONGEST_ANSWER:?}"));
                None
            }
            Err(_) => {
                self.tally.count(what, "closed");
                None
            }
        }
    }

    /// Counts a response and returns whether it is an expected one. Any other has an excuse or is a fault.
    pub(crate) fn judge(
        &self,
        what: &'static str,
        answer: &Answer,
        expected: &[u16],
        excuses: &[Excuse],
    ) -> bool {
        let Answer { status, body, .. } = answer;
        self.tally.count(what, status);
        let is_expected = expected.contains(status);
        if !is_expected && !excuses.iter().any(|excuse| self.excused(*excuse, answer)) {
            self.tally.fault(what, format!("{status} {body}"));
        }
        is_expected
    }

    fn excused(&self, excuse: Excuse, answer: &Answer) -> bool {
        let outages = &self.outages;
        let is_late = answer.status == 408 && answer.error() == "timed_out";
        let is_unavailable = answer.status == 503 && matches!(&*answer.error(), "" | "unavailable");
        match excuse {
            Excuse::Busy => answer.status == 503 && answer.error() == "too_busy",
            Excuse::Database => {
                (is_unavailable || is_late) && outages.database.touches(answer.asked, AFTERMATH)
            }
            Excuse::Redis => is_unavailable && outages.redis.lasts_long(answer.asked, AFTERMATH),
            Excuse::Provider => is_unavailable && outages.provider.touches(answer.asked, AFTERMATH),
        }
    }
}

impl Until {
    pub(crate) fn is_over(self) -> bool {
        Instant::now() >= self.0
    }

    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

impl Answer {
    /// The kind of a problem of the demo. Empty for problems of the library.
    pub(crate) fn error(&self) -> String {
        let kind = self.member("type");
        kind.strip_prefix("https://demo.example/problems#").unwrap_or_default().to_owned()
    }

    pub(crate) fn token(&self) -> String {
        self.member("access_token")
    }

    /// The email of the profile.
    pub(crate) fn email(&self) -> String {
        self.member("email")
    }

    fn member(&self, name: &str) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body[name].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn any<T: Copy>(random: &mut Rng, of: &[T]) -> T {
    of[random.usize(..of.len())]
}
