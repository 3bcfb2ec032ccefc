//! Tokens that are bound to a client certificate (RFC 8705, feature `mtls`).
//!
//! The provider writes the thumbprint of the client's certificate into the token: `"cnf": {"x5t#S256": ".."}`. A client proves
//! in the TLS handshake that it holds the private key of its certificate. A thief has the token, but not the key.
//!
#![cfg_attr(feature = "issue", doc = "```")]
#![cfg_attr(not(feature = "issue"), doc = "```ignore")]
//! use http::{Request, Response};
//! use serde_json::json;
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
//! use tower_jwt_auth::mtls::{ClientCertificate, Mtls};
//! use tower_jwt_auth::{Algorithm, JwtAuthLayer, RegisteredClaims};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Stands in for the provider.
//! let provider = TokenIssuer::new(SigningKey::generate(Algorithm::ES256)?, "https://id.example.com")
//!     .audience("https://api.example.com");
//! let owner = ClientCertificate::from_der(b"the certificate of the client in DER");
//! let token = provider.issue(&json!({"cnf": {"x5t#S256": owner.thumbprint().to_string()}}))?;
//!
//! let verifier = provider.verifier::<RegisteredClaims>().mtls(Mtls::new());
//! let service = ServiceBuilder::new()
//!     .layer(JwtAuthLayer::new(verifier))
//!     .service_fn(async |_: Request<()>| Ok::<_, std::io::Error>(Response::new(())));
//!
//! let send = async |certificate: ClientCertificate| {
//!     let bearer = format!("Bearer {}", token.as_str());
//!     let mut request = Request::get("/").header("authorization", bearer).body(()).unwrap();
//!     // The TLS acceptor does this for each request of the connection.
//!     request.extensions_mut().insert(certificate);
//!     service.clone().oneshot(request).await.unwrap().status()
//! };
//! assert_eq!(send(owner).await, 200);
//! assert_eq!(send(ClientCertificate::from_der(b"the certificate of a thief")).await, 401);
//! # Ok(())
//! # }
//! ```
//!
//! Tokens without `cnf` are still accepted from every connection, unless you set [`Mtls::required`].
//!
//! # Checks
//!
//! | check | error | section of RFC 8705 |
//! |---|---|---|
//! | the request has a client certificate | [`MissingCertificate`](crate::AuthErrorKind::MissingCertificate) | 3 |
//! | its SHA-256 hash is the `x5t#S256` of the token | [`WrongCertificate`](crate::AuthErrorKind::WrongCertificate) | 3 |
//! | `x5t#S256` is base64url of 32 bytes, without padding | [`InvalidClaims`](crate::AuthErrorKind::InvalidClaims) | 3.1 |
//! | `cnf` has no other binding that is not checked | [`SenderConstrained`](crate::AuthErrorKind::SenderConstrained) | |
//! | the token has a `cnf`, if it is required | [`MissingBinding`](crate::AuthErrorKind::MissingBinding) | |
//!
//! All are 401 `invalid_token`. They are checked for each request, also if the token comes from the cache. An `Introspection`
//! checks the `cnf` of the provider's response (section 3.2). Handlers find the proven binding in
//! [`TokenInfo::binding`](crate::token::TokenInfo::binding).
//!
//! # The certificate of a connection
//!
//! Insert a [`ClientCertificate`] into the extensions of each request. With hyper or axum, accept the TLS connection first:
//!
//! ```ignore
//! let stream = acceptor.accept(stream).await?; // tokio-rustls
//! let chain = stream.get_ref().1.peer_certificates();
//! let certificate = chain.and_then(|chain| chain.first()).map(ClientCertificate::from_der);
//! let insert = move |mut request: Request<Incoming>| {
//!     if let Some(certificate) = certificate {
//!         request.extensions_mut().insert(certificate);
//!     }
//!     request
//! };
//! // `service` is an axum `Router` or another service with a JwtAuthLayer.
//! let service = TowerToHyperService::new(ServiceBuilder::new().map_request(insert).service(service));
//! http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?;
//! ```
//!
//! The example `mtls` is a complete server. With tonic, the chain is in the extensions already. Add this layer outside the
//! `JwtAuthLayer`:
//!
//! ```ignore
//! let insert = MapRequestLayer::new(|mut request: http::Request<tonic::body::Body>| {
//!     let info = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
//!     let chain = info.and_then(|info| info.peer_certs());
//!     if let Some(certificate) = chain.and_then(|chain| chain.first().map(ClientCertificate::from_der)) {
//!         request.extensions_mut().insert(certificate);
//!     }
//!     request
//! });
//! ```
//!
//! # Behind a proxy
//!
//! A proxy that ends TLS sends the certificate in a header. Add a [`ClientCertificateLayer`] outside the `JwtAuthLayer`:
//!
//! | proxy | settings | constructor |
//! |---|---|---|
//! | Envoy, Istio | `forward_client_cert_details: SANITIZE_SET` | [`x_forwarded_client_cert`] |
//! | HAProxy | `http-request set-header Client-Cert :%[ssl_c_der,base64]: if { ssl_c_used }` | [`client_cert`] |
//! | Google Cloud | the custom header `Client-Cert:{client_cert_leaf}` | [`client_cert`] |
//! | nginx | `ssl_verify_client optional_no_ca;` and `proxy_set_header X-Client-Cert $ssl_client_escaped_cert;` | [`escaped_pem`] with `x-client-cert` |
//! | ingress-nginx | `auth-tls-pass-certificate-to-upstream: "true"` | [`escaped_pem`] with `ssl-client-cert` |
//! | AWS ALB, verify | `Mode=verify` | [`escaped_pem`] with `x-amzn-mtls-clientcert-leaf` |
//! | AWS ALB, passthrough | `Mode=passthrough` | [`escaped_pem`] with `x-amzn-mtls-clientcert` |
//!
//! [`x_forwarded_client_cert`]: ClientCertificateLayer::x_forwarded_client_cert
//! [`client_cert`]: ClientCertificateLayer::client_cert
//! [`escaped_pem`]: ClientCertificateLayer::escaped_pem
//!
//! The name of a header is in lower case: `HeaderName::from_static("x-client-cert")`.
//!
//! HAProxy also needs `verify optional` in its `bind` line, and `http-request del-header Client-Cert` in the line before. Test
//! that your proxy replaces or removes the header of a client, also if the client has no certificate. In passthrough mode,
//! clients must send no chain.
//!
//! # Security
//!
//! - The certificate may be self-signed: the token names exactly this one. No CA has to be trusted (section 6.2). The TLS
//!   library must still verify the signature of the handshake. With rustls, a custom `ClientCertVerifier` must call
//!   `verify_tls13_signature` and `verify_tls12_signature` of `rustls::crypto`.
//! - Ask for a certificate, but do not require one, if clients with other tokens use the same port. Browsers then show a
//!   dialog to their users, so give them another host name (section 5).
//! - After a resumption, the client sends no certificate. The TLS library must return that of the first handshake, as rustls
//!   and OpenSSL do. Otherwise disable resumption
//!   ([RFC 9440, section 3.3](https://www.rfc-editor.org/rfc/rfc9440#section-3.3)).
//! - Never read the certificate from a header without checking that it comes from your proxy.
//! - Every host, listener and location through which the proxy reaches this service must set or remove the header. For example,
//!   ingress-nginx sets it only for hosts with `auth-tls-*` annotations, and a `proxy_set_header` in a `location` of nginx drops
//!   those outside. A thief could send the header through another one: certificates are public.
//! - When a client renews its certificate, its tokens stop working and it requests new ones (section 6.3).

pub use crate::forwarded_certificate::ClientCertificateLayer;
pub use crate::verify::mtls::{ClientCertificate, Mtls};
