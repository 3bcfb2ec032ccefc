//! Regular users: they sign up, sign in, call the protected route, refresh and sign out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::json;
use tokio::time::sleep;

use crate::signed_out::Gone;
use crate::site::Excuse::{Busy, Database, Redis};
use crate::site::{Answer, Site, Until};

const PASSWORD: &str = "nobody rows to the moon at noon";

pub(crate) struct Visitor {
    site: Arc<Site>,
    random: Rng,
    email: String,
    address: String,
}

/// One session, as the browser of the user sees it.
struct Session {
    /// All access tokens. They stay valid during the session, because 15 minutes are longer than the soak.
    tokens: Vec<String>,
    cookie: String,
}

impl Visitor {
    pub(crate) fn new(site: &Arc<Site>, turn: usize, number: usize) -> Self {
        Self {
            site: Arc::clone(site),
            random: Rng::with_seed((turn * 1_000 + number) as u64),
            email: email(turn, number),
            address: format!("198.51.100.{number}"),
        }
    }

    pub(crate) async fn stay(mut self, until: Until) {
        while self.sign_up().await.is_none() {
            sleep(Duration::from_secs(1)).await;
        }
        while !until.is_over() {
            if self.visit(until).await.is_none() {
                sleep(Duration::from_millis(500)).await;
            }
        }
    }

    /// Returns `None` if a step failed. That step has been counted.
    async fn visit(&mut self, until: Until) -> Option<()> {
        let mut session = self.sign_in().await?;
        for _ in 0..self.random.usize(1..4) {
            self.look_around(&session, until).await;
            self.refresh(&mut session).await?;
        }
        match self.random.u8(..3) {
            0 => self.sign_out(session).await,
            1 => {
                let elsewhere = self.sign_in().await?;
                self.sign_out_everywhere(session, elsewhere).await
            }
            _ => self.refresh_twice(session).await,
        }
    }

    async fn sign_up(&mut self) -> Option<()> {
        let body = json!({
            "email": self.email, "password": PASSWORD, "first_name": "Ada", "last_name": "Lovelace",
        });
        let what = "sign-up";
        let answer = self.post(what, "/signup", "", body.to_string()).await?.0;
        // An earlier sign-up may have succeeded, with its response lost in an outage.
        self.site.judge(what, &answer, &[201, 409], &[Busy, Database]).then_some(())
    }

    async fn sign_in(&mut self) -> Option<Session> {
        let body = json!({"email": self.email, "password": PASSWORD});
        let what = "sign-in";
        let answer = self.post(what, "/signin", "", body.to_string()).await?.0;
        let is_in = self.site.judge(what, &answer, &[200], &[Busy, Database]);
        is_in.then(|| Session { tokens: vec![answer.token()], cookie: answer.cookie.clone().unwrap() })
    }

    async fn look_around(&mut self, session: &Session, until: Until) {
        for _ in 0..self.random.usize(50..150) {
            if until.is_over() {
                return;
            }
            let what = "protected, good token";
            let token = &session.tokens[self.random.usize(..session.tokens.len())];
            let server = self.site.demos[self.random.usize(..2)];
            let request = self.site.get(server, "/protected/").bearer_auth(token);
            if let Some(answer) = self.site.ask(what, request).await
                && self.site.judge(what, &answer, &[200], &[Database, Redis])
            {
                self.site.tally.latency(answer.asked.elapsed());
                if answer.email() != self.email {
                    self.site
                        .tally
                        .fault(what, format!("{} was taken for another: {}", self.email, answer.body));
                }
            }
            sleep(Duration::from_millis(self.random.u64(..10))).await;
        }
    }

    async fn refresh(&mut self, session: &mut Session) -> Option<()> {
        let what = "refresh";
        let (answer, _) = self.post(what, "/refresh", &session.cookie, String::new()).await?;
        if !self.site.judge(what, &answer, &[200], &[Busy, Database]) {
            return None;
        }
        session.tokens.push(answer.token());
        session.cookie = answer.cookie.unwrap();
        Some(())
    }

    /// Uses one token twice, as its owner and a thief would. The server cannot tell them apart, so the session ends.
    async fn refresh_twice(&mut self, mut session: Session) -> Option<()> {
        let used = session.cookie.clone();
        self.refresh(&mut session).await?;
        let what = "refresh, used token";
        let (answer, server) = self.post(what, "/refresh", &used, String::new()).await?;
        self.site.judge(what, &answer, &[401], &[Busy, Database]).then(|| self.gone(session, true, server))
    }

    async fn sign_out(&mut self, session: Session) -> Option<()> {
        let (what, token) = ("sign-out", session.tokens[0].clone());
        let (answer, server) = self.post(what, "/signout", &token, String::new()).await?;
        let is_out = self.site.judge(what, &answer, &[204], &[Database, Redis]);
        self.leave(&answer, is_out, vec![session], server)
    }

    async fn sign_out_everywhere(&mut self, session: Session, elsewhere: Session) -> Option<()> {
        let (what, token) = ("sign-out everywhere", session.tokens[0].clone());
        let (answer, server) = self.post(what, "/signout/everywhere", &token, String::new()).await?;
        let is_out = self.site.judge(what, &answer, &[204], &[Database, Redis]);
        let sessions = if is_out { vec![session, elsewhere] } else { vec![session] };
        self.leave(&answer, is_out, sessions, server)
    }

    /// Counts a sign-out. Without the database it is not stored, but the tokens are invalid anyway.
    fn leave(&self, answer: &Answer, is_out: bool, sessions: Vec<Session>, server: usize) -> Option<()> {
        let counts = is_out || answer.error() == "unavailable";
        if counts {
            sessions.into_iter().for_each(|session| self.gone(session, is_out, server));
        }
        counts.then_some(())
    }

    fn gone(&self, session: Session, is_written_down: bool, server: usize) {
        let cookie = is_written_down.then_some(session.cookie);
        self.site.signed_out.add(Gone::new(session.tokens, cookie, Instant::now(), server));
    }

    /// Sends a request to either server and returns which. `/refresh` gets a cookie, the other routes get a token.
    async fn post(
        &mut self,
        what: &'static str,
        path: &str,
        credential: &str,
        body: String,
    ) -> Option<(Answer, usize)> {
        let server = self.random.usize(..2);
        let request = self.site.post(self.site.demos[server], path).header("X-Forwarded-For", &self.address);
        let request = match path {
            "/refresh" => request.header("Cookie", credential),
            "/signin" | "/signup" => request.header("Content-Type", "application/json").body(body),
            _ => request.bearer_auth(credential),
        };
        Some((self.site.ask(what, request).await?, server))
    }
}

/// The email that attackers target.
pub(crate) fn email(turn: usize, number: usize) -> String {
    format!("visitor-{turn}-{number}@example.com")
}
