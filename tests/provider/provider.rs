use std::io::{BufRead, BufReader};
use std::process::{Child, Command};

use form_urlencoded::Serializer;
use http::{Request, header};
use serde_json::{Value, json};
use tower_jwt_auth::Algorithm;
use tower_jwt_auth::introspection::{ClientAuth, Introspection};
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
use tower_jwt_auth::jwks::{HttpClient, HttpsClient};

use crate::node::{fixture, node};

pub(crate) const AUDIENCE: &str = "https://api.example.com";
pub(crate) const SECRET: &str = "a client secret with & : and % in it";

/// The provider's process. It ends with this value.
pub(crate) struct Provider {
    process: Child,
    pub(crate) issuer: String,
    pub(crate) key: SigningKey,
}

impl Provider {
    pub(crate) fn start() -> Self {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let jwks = TokenIssuer::new(key.clone(), "api-key").jwks();
        let public = &serde_json::from_str::<Value>(&jwks).unwrap()["keys"][0];
        let argument = json!({
            "assertionKey": public,
            "tlsCertificate": fixture("tls-localhost.pem"),
            "tlsKey": fixture("tls-localhost.private.pem"),
        });
        let mut process =
            node("provider.mjs", &argument).spawn().expect("node cannot be started: run .ci/provider");
        let mut issuer = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut issuer).unwrap();
        Self { process, issuer: issuer.trim().to_owned(), key }
    }

    pub(crate) fn introspection(&self, auth: ClientAuth) -> Introspection<Value> {
        Introspection::discover(&self.issuer, auth).unwrap().audience(AUDIENCE)
    }

    /// Gets a token of the format `opaque` or `jwt`.
    pub(crate) async fn token(&self, format: &str) -> String {
        token_in(&self.fetch(self.token_request(format)).await)
    }

    pub(crate) fn token_request(&self, format: &str) -> Request<Vec<u8>> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "app"),
            ("client_secret", SECRET),
            ("scope", "orders:read"),
            ("resource", &format!("urn:{format}:orders")),
        ];
        self.form("/token", &form)
    }

    pub(crate) async fn revoke(&self, token: &str) {
        let form = [("token", token), ("client_id", "app"), ("client_secret", SECRET)];
        self.fetch(self.form("/token/revocation", &form)).await;
    }

    pub(crate) async fn calls(&self) -> u64 {
        String::from_utf8(self.get("/calls").await).unwrap().parse().unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Vec<u8> {
        self.fetch(Request::get(format!("{}{path}", self.issuer)).body(Vec::new()).unwrap()).await
    }

    fn form(&self, path: &str, form: &[(&str, &str)]) -> Request<Vec<u8>> {
        let body = Serializer::new(String::new()).extend_pairs(form).finish();
        Request::post(format!("{}{path}", self.issuer))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.into())
            .unwrap()
    }

    async fn fetch(&self, request: Request<Vec<u8>>) -> Vec<u8> {
        HttpsClient::new().fetch(request, 100_000).await.unwrap().into_body()
    }

    /// Lets the process hang, with its connections open.
    pub(crate) fn hang(&self) {
        let signalled =
            Command::new("kill").args(["-STOP", &self.process.id().to_string()]).status().unwrap();
        assert!(signalled.success());
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads the response to a token request.
pub(crate) fn token_in(response: &[u8]) -> String {
    let response: Value = serde_json::from_slice(response).unwrap();
    response["access_token"].as_str().unwrap_or_else(|| panic!("no token: {response}")).to_owned()
}
