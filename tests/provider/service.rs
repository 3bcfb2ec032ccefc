//! Services that accept tokens of the provider which are bound to keys and certificates.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::middleware::map_response;
use axum::response::Response;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tower_jwt_auth::dpop::Dpop;
use tower_jwt_auth::introspection::ClientAuth;
use tower_jwt_auth::jwks::RemoteKeys;
use tower_jwt_auth::mtls::{ClientCertificate, Mtls};
use tower_jwt_auth::policy::scope;
use tower_jwt_auth::verifiers::AnyOf;
use tower_jwt_auth::{AuthError, Claims, Head, JwtAuthLayer, JwtVerifier};

use crate::certificates::Authority;
use crate::node::fixture;
use crate::provider::{AUDIENCE, Provider, SECRET};

/// Starts an application over HTTP and returns the URL of its orders.
pub(crate) async fn serve(app: impl FnOnce(&str) -> Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = app(&url).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async { axum::serve(listener, service).await });
    url + "/orders"
}

/// Starts an application over TLS and returns the URL of its orders.
pub(crate) async fn serve_tls(authority: &Authority, app: impl FnOnce(&str) -> Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let app = app(&url);
    let acceptor = acceptor(authority.roots.clone());
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let app = app.clone().layer(Extension(ConnectInfo(peer)));
            tokio::spawn(serve_connection(acceptor.clone(), stream, app));
        }
    });
    url + "/orders"
}

/// Asks the client for a certificate, but also accepts clients without one.
fn acceptor(roots: RootCertStore) -> TlsAcceptor {
    let clients = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build().unwrap();
    let certificate = CertificateDer::from_pem_file(fixture("tls-localhost.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("tls-localhost.private.pem")).unwrap();
    let config =
        ServerConfig::builder().with_client_cert_verifier(clients).with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

/// Gives the client's certificate to the layer.
async fn serve_connection(acceptor: TlsAcceptor, stream: TcpStream, mut app: Router) {
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    if let Some([certificate, ..]) = stream.get_ref().1.peer_certificates() {
        app = app.layer(Extension(ClientCertificate::from_der(certificate)));
    }
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), TowerToHyperService::new(app)).await;
}

/// An application with bound and unbound tokens. Its responses have the kind of their error in a header.
pub(crate) fn orders(provider: &Provider, dpop: Dpop) -> Router {
    let jwts = JwtVerifier::<Value>::new(RemoteKeys::discover(&provider.issuer).unwrap())
        .audience(AUDIENCE)
        .dpop(dpop.clone())
        .mtls(Mtls::new());
    let opaque = provider.introspection(ClientAuth::basic("api: basic", SECRET)).dpop(dpop).mtls(Mtls::new());
    let layer = JwtAuthLayer::new(AnyOf::new().jwt(jwts).opaque(opaque)).require(scope("orders:read"));
    Router::new().fallback(async |_: Claims<Value>| "orders").layer(layer).layer(map_response(name_error))
}

/// Short-lived, so that the clients need not wait long for old ones.
pub(crate) fn with_nonces(dpop: Dpop, secret: &[u8]) -> Dpop {
    dpop.nonces(secret).unwrap().nonce_lifetime(Duration::from_secs(4))
}

/// Recognizes the proxy, whose headers are trusted, by its address.
pub(crate) fn is_proxy(request: Head<'_>) -> bool {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_string() == "127.0.0.2")
}

async fn name_error(mut response: Response) -> Response {
    if let Some(error) = response.extensions().get::<AuthError>() {
        let kind = format!("{:?}", error.kind()).parse().unwrap();
        response.headers_mut().insert("error-kind", kind);
    }
    response
}
