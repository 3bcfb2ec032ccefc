//! A client of the demo, or of a proxy in front of it.

use std::net::SocketAddr;

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::http::{
    self, Answer, JSON, SIGNIN_BODY, get_request, request_with, signin_request, signin_request_from,
    signup_request,
};

pub(crate) struct Client {
    pub(crate) address: SocketAddr,
}

impl Client {
    pub(crate) async fn send(&self, request: &[u8]) -> TcpStream {
        http::send(self.address, request).await
    }

    pub(crate) async fn exchange(&self, request: &[u8]) -> Answer {
        http::answer(self.send(request).await).await
    }

    pub(crate) async fn signin(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password }).to_string();
        self.exchange(&signin_request(JSON, body.as_bytes())).await
    }

    /// Signs in as if a proxy had forwarded the request from this address.
    pub(crate) async fn signin_from(&self, address: &str, email: &str, password: &str) -> Answer {
        self.exchange(&signin_request_from(address, email, password)).await
    }

    /// Signs in with the cookie of an earlier session.
    pub(crate) async fn sign_in_over(&self, email: &str, password: &str, cookie: &str) -> Answer {
        let body = json!({ "email": email, "password": password }).to_string();
        let content_type = format!("{JSON}\r\nCookie: {cookie}");
        self.exchange(&signin_request(&content_type, body.as_bytes())).await
    }

    pub(crate) async fn signup(&self, email: &str, password: &str) -> Answer {
        self.exchange(&signup_request(email, password, "Ada", "Lovelace")).await
    }

    /// Starts a sign-in. The server has requested the body, which is `SIGNIN_BODY`.
    pub(crate) async fn begin_signin(&self) -> TcpStream {
        let length = SIGNIN_BODY.len();
        let head = format!(
            "POST /signin HTTP/1.1\r\nHost: demo\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        );
        let mut stream = self.send(head.as_bytes()).await;
        let mut asked = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        stream.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream
    }

    /// Signs the first user in and returns the credential.
    pub(crate) async fn bearer(&self) -> String {
        self.sign_in().await.bearer()
    }

    /// Signs the first user in.
    pub(crate) async fn sign_in(&self) -> Answer {
        let answer = self.signin("eze@example.com", "okon").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    pub(crate) async fn refresh(&self, cookie: &str) -> Answer {
        self.exchange(&request_with("POST", "/refresh", &[("Cookie", cookie)])).await
    }

    /// Signs out with this route.
    pub(crate) async fn sign_out(&self, path: &str, authorization: &str) -> Answer {
        self.exchange(&request_with("POST", path, &[("Authorization", authorization)])).await
    }

    pub(crate) async fn sign_out_with_cookie(&self, path: &str, cookie: &str) -> Answer {
        self.exchange(&request_with("POST", path, &[("Cookie", cookie)])).await
    }

    /// Sends `GET /protected/` with one `Authorization` header for each value.
    pub(crate) async fn protected(&self, authorization: &[&str]) -> Answer {
        self.exchange(&get_request("/protected/", authorization)).await
    }
}
