//! A WebSocket for those who have a token, which a browser can send in the list of subprotocols only:
//! `cargo run --example websocket`.
//!
//! It prints a line for a browser's console, with a token in it that is good for five minutes: the server greets, sends
//! every message back, and closes the connection when the token expires. `-- --try` runs a client of its own instead,
//! once without a token and once with one that expires in two seconds. `ADDR=127.0.0.1:3000` sets where it listens.
//! A real service has TLS, and limits on how many connections there are.

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
    // Clients that are no browsers go on sending the header; one that sends both tokens is refused.
    let layer = JwtAuthLayer::new(verifier).add_token_source(TokenSource::websocket_protocol("bearer")?);
    Ok(Router::new().route("/echo", any(open)).layer(layer))
}

/// Picks what the client offered: the real protocol if it is among that, else the marker. A browser gives up if nothing
/// is picked. The token is not in the list any more, so that it cannot be sent back.
async fn open(user: Claims<User>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.protocols(["echo.v1", "bearer"]).on_upgrade(|socket| serve(socket, user))
}

/// The layer has judged the token once. That it expires while the connection stays open is noticed here or nowhere.
async fn serve(mut socket: WebSocket, user: Claims<User>) {
    let lifetime = user.token().expires_at().and_then(|end| end.duration_since(SystemTime::now()).ok());
    // The limit is around reading and sending alike, so that a client that reads nothing does not stay either.
    if timeout(lifetime.unwrap_or_default(), echo(&mut socket, &user)).await.is_err() {
        let reason = CloseFrame { code: close_code::POLICY, reason: "the token has expired".into() };
        let _ = timeout(Duration::from_secs(5), socket.send(Message::Close(Some(reason)))).await;
    }
}

async fn echo(socket: &mut WebSocket, user: &User) -> Result<(), axum::Error> {
    socket.send(format!("Hello {}", user.email).into()).await?;
    while let Some(message) = socket.recv().await {
        // The others are answered by axum.
        if let message @ (Message::Text(_) | Message::Binary(_)) = message? {
            socket.send(message).await?;
        }
    }
    Ok(())
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it says what to try")]
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

#[expect(clippy::print_stdout, reason = "it says what it sees")]
async fn try_it(addr: SocketAddr) -> Result<(), Box<dyn Error>> {
    let offer = ClientRequestBuilder::new(format!("ws://{addr}/echo").parse()?).with_sub_protocol("echo.v1");
    match connect_async(offer.clone()).await {
        Ok(_) => return Err("accepted without a token".into()),
        Err(error) => println!("without a token: {error}"),
    }
    let offer = offer.with_sub_protocol(format!("bearer.{}", demo_token(2)?));
    let (mut socket, response) = connect_async(offer).await?;
    println!("with one: {}, {:?}", response.status(), response.headers()["sec-websocket-protocol"]);
    socket.send("how are you?".into()).await?;
    while let Some(message) = socket.next().await {
        println!("received: {:?}", message?);
    }
    Ok(())
}

fn demo_token(seconds: u64) -> jsonwebtoken::errors::Result<String> {
    let exp = get_current_timestamp() + seconds;
    let claims = User { aud: AUDIENCE.to_owned(), exp, email: "eze@example.com".to_owned() };
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET))
}
