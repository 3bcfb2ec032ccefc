//! Accepts tokens that are bound to a client certificate: `cargo run --example mtls --features mtls`.
//!
//! It starts a server with mutual TLS and three clients that send the same token: its owner, a thief with another
//! certificate, and a thief without one. Then it ends.
//!
//! A real service reads its certificate and keys from files and gets its tokens from a provider. It also needs limits on
//! connections.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jsonwebtoken::{EncodingKey, Header, get_current_timestamp};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower::ServiceBuilder;
use tower_jwt_auth::mtls::{ClientCertificate, Mtls};
use tower_jwt_auth::{Algorithm, Claims, JwtAuthLayer, JwtVerifier, KeySet};

const AUDIENCE: &str = "https://api.example.com";
const SECRET: &[u8] = b"a secret that every reader knows";

type Certified = (CertificateDer<'static>, PrivateKeyDer<'static>);
type Failure = Box<dyn Error + Send + Sync>;

async fn serve(listener: TcpListener, tls: TlsAcceptor) -> Result<(), Failure> {
    let keys = KeySet::hmac(Algorithm::HS256, SECRET)?;
    let verifier = JwtVerifier::<Value>::new(keys).audience(AUDIENCE).mtls(Mtls::new().required());
    let service = ServiceBuilder::new().layer(JwtAuthLayer::new(verifier)).service_fn(hello);
    loop {
        let (stream, _) = listener.accept().await?;
        let (tls, service) = (tls.clone(), service.clone());
        tokio::spawn(async move {
            // rustls has verified that the client holds the private key of its certificate.
            let stream = tls.accept(stream).await?;
            let chain = stream.get_ref().1.peer_certificates();
            let certificate = chain.and_then(|chain| chain.first()).map(ClientCertificate::from_der);
            let insert = move |mut request: Request<Incoming>| {
                if let Some(certificate) = certificate {
                    request.extensions_mut().insert(certificate);
                }
                request
            };
            let service =
                TowerToHyperService::new(ServiceBuilder::new().map_request(insert).service(service));
            let mut server = http1::Builder::new();
            Ok::<_, Failure>(
                server.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await?,
            )
        });
    }
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failure> {
    let claims = Claims::<Value>::find(request.extensions())?;
    Ok(Response::new(format!("Hello {}", claims["email"]).into()))
}

/// Runs the server and the three clients. Returns the names of the clients with their responses.
async fn demonstrate() -> Result<Vec<(&'static str, String)>, Failure> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut roots = RootCertStore::empty();
    roots.add(ca.self_signed(&ca_key)?.into())?;
    let ca = Issuer::new(ca, ca_key);
    let [server, owner, thief] =
        [certify(&ca, "localhost")?, certify(&ca, "owner.example.com")?, certify(&ca, "thief.example.com")?];
    let token = token_for(&owner.0)?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(serve(listener, acceptor(&roots, server)?));

    let mut responses = Vec::new();
    let clients = [
        ("owner", Some(owner)),
        ("thief with another certificate", Some(thief)),
        ("thief without a certificate", None),
    ];
    for (name, certificate) in clients {
        responses.push((name, ask(addr, connector(&roots, certificate)?, &token).await?));
    }
    Ok(responses)
}

fn certify(ca: &Issuer<'_, KeyPair>, name: &str) -> Result<Certified, rcgen::Error> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, ca)?;
    Ok((certificate.into(), key.into()))
}

/// Asks each client for a certificate, but lets those without one connect. They get a 401 that says why.
fn acceptor(roots: &RootCertStore, (certificate, key): Certified) -> Result<TlsAcceptor, Failure> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients.allow_unauthenticated().build()?)
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn connector(roots: &RootCertStore, certificate: Option<Certified>) -> Result<TlsConnector, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots.clone());
    Ok(TlsConnector::from(Arc::new(match certificate {
        Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key)?,
        None => config.with_no_client_auth(),
    })))
}

async fn ask(addr: SocketAddr, tls: TlsConnector, token: &str) -> Result<String, Failure> {
    let mut stream = tls.connect("localhost".try_into()?, TcpStream::connect(addr).await?).await?;
    let head = format!(
        "GET / HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    Ok(response)
}

/// Stands in for a provider, which knows the certificate from the TLS connection to its token endpoint.
fn token_for(certificate: &CertificateDer<'_>) -> jsonwebtoken::errors::Result<String> {
    let thumbprint = ClientCertificate::from_der(certificate).thumbprint().to_string();
    let exp = get_current_timestamp() + 300;
    let claims =
        json!({"aud": AUDIENCE, "exp": exp, "email": "eze@example.com", "cnf": {"x5t#S256": thumbprint}});
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)?)
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints the responses")]
async fn main() -> Result<(), Failure> {
    for (name, response) in demonstrate().await? {
        println!("{name}:\n\n{response}\n");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn only_the_owner_can_use_the_token() {
        let responses = super::demonstrate().await.unwrap();
        let expected = [
            ("owner", "HTTP/1.1 200 OK", "Hello \"eze@example.com\""),
            (
                "thief with another certificate",
                "HTTP/1.1 401 Unauthorized",
                "the token is bound to another client certificate",
            ),
            ("thief without a certificate", "HTTP/1.1 401 Unauthorized", "and the connection has none"),
        ];
        assert_eq!(responses.len(), expected.len());
        for ((name, response), (expected_name, status, part)) in responses.iter().zip(expected) {
            assert_eq!(*name, expected_name);
            assert!(response.starts_with(status) && response.contains(part), "{name}: {response}");
        }
    }
}
