//! Authenticates a WebSocket: `cargo run --example websocket`.
//!
//! A browser can send the token only in the list of subprotocols. The server sends a greeting and echoes every
//! message. It closes the connection when the token expires.
//!
//! The example prints lines for the console of a browser, with a token for five minutes. `-- --try` runs a client
//! instead, without a token and with one that expires in two seconds.
//!
//! `ADDR=127.0.0.1:3000` sets the address. A real service needs TLS and limits on connections.

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::{Router, response::Response, routing::any};
use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::{EncodingKey, Header, get_current_timestamp};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, time::timeout};
use tokio_tungstenite::{connect_async, tungstenite::ClientRequestBuilder};
use tower_jwt_auth::{Algorithm, Claims, ConfigError, JwtAuthLayer, JwtVerifier, KeySet, TokenSource};

const AUDIENCE: &str = "https://api.example.com";
const SECRET: &[u8] = b"a secret that every reader knows";

#[derive(Deserialize, Serialize)]
struct User {
    aud: String,
    exp: u64,
    email: String,
}

fn service() -> Result<Router, ConfigError> {
    let verifier = JwtVerifier::<User>::new(KeySet::hmac(Algorithm::HS256, SECRET)?).audience(AUDIENCE);
    // Other clients can still send the header. A request with both tokens is rejected.
    let layer = JwtAuthLayer::new(verifier).add_token_source(TokenSource::websocket_protocol("bearer")?);
    Ok(Router::new().route("/echo", any(open)).layer(layer))
}

/// Selects a subprotocol: the real one if the client offers it, else the marker. Browsers close the connection if the
/// server selects none. The layer has removed the token from the list, so the response cannot contain it.
async fn open(user: Claims<User>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.protocols(["echo.v1", "bearer"]).on_upgrade(|socket| serve(socket, user))
}

/// The layer verified the token once. Only this function can close the connection when the token expires.
async fn serve(mut socket: WebSocket, user: Claims<User>) {
    let remaining = user.token().remaining(SystemTime::now()).unwrap_or_default();
    // The time limit also covers sends, so it ends clients that read nothing.
    if timeout(remaining, echo(&mut socket, &user)).await.is_err() {
        let reason = CloseFrame { code: close_code::POLICY, reason: "the token has expired".into() };
        let _ = timeout(Duration::from_secs(5), socket.send(Message::Close(Some(reason)))).await;
    }
}

async fn echo(socket: &mut WebSocket, user: &User) -> Result<(), axum::Error> {
    socket.send(format!("Hello {}", user.email).into()).await?;
    while let Some(message) = socket.recv().await {
        // axum handles the other kinds of messages.
        if let message @ (Message::Text(_) | Message::Binary(_)) = message? {
            socket.send(message).await?;
        }
    }
    Ok(())
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints lines to try")]
async fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let server = axum::serve(listener, service()?);
    if std::env::args().nth(1).as_deref() == Some("--try") {
        tokio::spawn(server.into_future());
        return timeout(Duration::from_secs(10), try_it(addr)).await?;
    }
    println!("let socket = new WebSocket(\"ws://{addr}/echo\", [\"bearer\", \"{}\"]);", demo_token(300)?);
    println!("socket.onmessage = (message) => console.log(message.data);");
    println!("socket.onclose = (close) => console.log(close.code, close.reason);");
    println!("socket.onopen = () => socket.send(\"how are you?\");");
    Ok(server.await?)
}

#[expect(clippy::print_stdout, reason = "prints the messages")]
async fn try_it(addr: SocketAddr) -> Result<(), Box<dyn Error>> {
    let offer = ClientRequestBuilder::new(format!("ws://{addr}/echo").parse()?).with_sub_protocol("echo.v1");
    match connect_async(offer.clone()).await {
        Ok(_) => return Err("accepted without a token".into()),
        Err(error) => println!("without a token: {error}"),
    }
    let offer = offer.with_sub_protocol(format!("bearer.{}", demo_token(2)?));
    let (mut socket, response) = connect_async(offer).await?;
    println!("with a token: {}, {:?}", response.status(), response.headers()["sec-websocket-protocol"]);
    socket.send("how are you?".into()).await?;
    while let Some(message) = socket.next().await {
        println!("received: {:?}", message?);
    }
    Ok(())
}

fn demo_token(seconds: u64) -> jsonwebtoken::errors::Result<String> {
    let exp = get_current_timestamp() + seconds;
    let claims = User { aud: AUDIENCE.to_owned(), exp, email: "eze@example.com".to_owned() };
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)?)
}
