//! Starts the demo on a free port, and speaks just enough HTTP to it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum_demo::{Settings, app, listen, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) const SECRET: &str = "a secret for tests, of 32+ bytes";

/// A running demo.
pub(crate) struct Demo {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Demo {
    /// With its users in memory.
    pub(crate) async fn start() -> Self {
        Self::start_with(settings("sqlite::memory:")).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Self {
        let listener = listen(settings.address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = app(&settings).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(listener, app, settings.limits, async {
            stopped.await.unwrap()
        }));
        Self {
            address,
            stop,
            served,
        }
    }

    /// Tells it to stop; what is returned ends when it has.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        self.stop.send(()).unwrap();
        self.served
    }

    pub(crate) async fn signin(&self, email: &str, password: &str) -> Answer {
        self.post_signin(
            json!({ "email": email, "password": password })
                .to_string()
                .as_bytes(),
        )
        .await
    }

    pub(crate) async fn post_signin(&self, body: &[u8]) -> Answer {
        exchange(self.address, &signin_request("application/json", body)).await
    }

    /// A token of the first user.
    pub(crate) async fn token(&self) -> String {
        self.signin("eze@example.com", "okon").await.json()["access_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// `GET /protected/`, with as many Authorization headers as there are values.
    pub(crate) async fn protected(&self, authorization: &[&str]) -> Answer {
        let headers: String = authorization
            .iter()
            .map(|value| format!("Authorization: {value}\r\n"))
            .collect();
        self.get("/protected/", &headers).await
    }

    pub(crate) async fn get(&self, path: &str, headers: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n{headers}\r\n");
        exchange(self.address, request.as_bytes()).await
    }
}

/// Settings on a free port.
pub(crate) fn settings(database: &str) -> Settings {
    read(&[
        ("DEMO_ADDR", "127.0.0.1:0"),
        ("JWT_SECRET", SECRET),
        ("DATABASE_URL", database),
    ])
    .unwrap()
}

/// The settings from these variables alone.
pub(crate) fn read(variables: &[(&str, &str)]) -> Result<Settings, axum_demo::SettingError> {
    Settings::read(|name| {
        variables
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.into())
    })
}

/// A file that is not there yet, to be named by one test only.
pub(crate) fn fresh_file(name: &str) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&file);
    file
}

pub(crate) fn signin_request(content_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST /signin HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\
         Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// An answer, with the names of its headers in small letters.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header that is there at most once.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} twice");
        value
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Sends a request and reads until the server closes the connection.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    answer(stream).await
}

pub(crate) async fn answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // An error is that the server closed with some of the request unread: what it said before that still counts.
    let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes))
        .await
        .expect("an answer");
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .unwrap()
        .parse()
        .unwrap();
    let headers = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Answer {
        status,
        headers,
        body: body.to_owned(),
    }
}
