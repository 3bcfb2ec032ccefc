//! A minimal HTTP client: it sends bytes and reads until the server closes the connection.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) const JSON: &str = "application/json";

/// Credentials of the first user.
pub(crate) const SIGNIN_BODY: &[u8] = br#"{"email":"eze@example.com","password":"okon"}"#;

pub(crate) fn get_request(path: &str, authorization: &[&str]) -> Vec<u8> {
    request("GET", path, authorization)
}

/// Builds a request without a body.
pub(crate) fn request(method: &str, path: &str, authorization: &[&str]) -> Vec<u8> {
    let headers: Vec<_> = authorization.iter().map(|value| ("Authorization", *value)).collect();
    request_with(method, path, &headers)
}

/// Builds a request with these headers and no body.
pub(crate) fn request_with(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

pub(crate) fn signin_request(content_type: &str, body: &[u8]) -> Vec<u8> {
    post_request("/signin", content_type, body)
}

/// Builds a sign-in as if a proxy had forwarded it from this address.
pub(crate) fn signin_request_from(address: &str, email: &str, password: &str) -> Vec<u8> {
    let body = json!({ "email": email, "password": password }).to_string();
    signin_request(&format!("{JSON}\r\nX-Forwarded-For: {address}"), body.as_bytes())
}

pub(crate) fn post_request(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\
         Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

pub(crate) fn signup_request(email: &str, password: &str, first_name: &str, last_name: &str) -> Vec<u8> {
    post_request("/signup", JSON, signup_body(email, password, first_name, last_name).as_bytes())
}

pub(crate) fn signup_body(email: &str, password: &str, first_name: &str, last_name: &str) -> String {
    let body = json!({
        "email": email,
        "password": password,
        "first_name": first_name,
        "last_name": last_name,
    });
    body.to_string()
}

pub(crate) async fn send(address: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    stream
}

pub(crate) async fn answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // On an error, the server closed before it read the whole request. Its response still counts.
    let _ = timeout(Duration::from_secs(60), stream.read_to_end(&mut bytes)).await.expect("an answer");
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
    let headers = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Answer { status, headers, body: body.to_owned() }
}

/// A response. Header names are lower case.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// Returns the value of a header that occurs at most once.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<_> = self.headers.iter().filter(|(known, _)| known == name).collect();
        assert!(values.len() < 2, "{values:?}");
        values.first().map(|(_, value)| value.as_str())
    }

    /// Returns the refresh cookie as a browser would send it.
    #[track_caller]
    pub(crate) fn cookie(&self) -> String {
        self.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    }

    /// Returns the access token as an `Authorization` value.
    #[track_caller]
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.json()["access_token"].as_str().unwrap())
    }

    /// Returns the fragment of `type` in an error response of the demo. Checks the whole response.
    #[track_caller]
    pub(crate) fn error(&self) -> String {
        let problem = self.problem();
        let kind = problem["type"].as_str().unwrap().strip_prefix("https://demo.example/problems#");
        kind.unwrap().to_owned()
    }

    /// Returns the body of an error response, from the demo or the library. Checks its form.
    #[track_caller]
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        let mut members: Vec<_> = problem.as_object().unwrap().keys().collect();
        members.sort();
        assert_eq!(members, ["status", "title", "type"], "{self:?}");
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert!(problem["title"].as_str().unwrap().contains(' '), "{self:?}");
        problem
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}
