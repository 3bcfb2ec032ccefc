//! Reads the client certificate from the header of a proxy that ends TLS.

mod client_cert;
mod escaped_pem;
mod x_forwarded_client_cert;

use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, Request};
use spki::der::asn1::AnyRef;
use spki::der::{Decode, Tag, Tagged};
use tower_layer::Layer;
use tower_service::Service;

use crate::error::FixedCause;
use crate::head::Head;
use crate::verify::mtls::{ClientCertificate, UnreadableCertificate};

/// Inserts the [`ClientCertificate`] that a proxy sends in a header.
///
/// It is for services behind a proxy that ends TLS, and belongs outside the [`JwtAuthLayer`](crate::JwtAuthLayer). `is_proxy` is your function that recognizes the proxy, by the
/// address of the peer or by the proxy's own certificate:
///
/// ```
/// use std::net::{IpAddr, Ipv4Addr, SocketAddr};
///
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, ServiceExt};
/// use tower_jwt_auth::mtls::{ClientCertificate, ClientCertificateLayer};
///
/// const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let layer = ClientCertificateLayer::client_cert(|request| {
///     // The server has put the address of the peer into the extensions. With axum it is `ConnectInfo<SocketAddr>`.
///     request.extensions().get::<SocketAddr>().is_some_and(|peer| peer.ip().to_canonical() == PROXY)
/// });
/// let service = ServiceBuilder::new().layer(layer).service_fn(async |request: Request<()>| {
///     Ok::<_, std::io::Error>(Response::new(request.extensions().get::<ClientCertificate>().is_some()))
/// });
///
/// let from = async |peer: &str| {
///     # let der = "MAA=";
///     let mut request = Request::get("/").header("client-cert", format!(":{der}:")).body(()).unwrap();
///     request.extensions_mut().insert(SocketAddr::new(peer.parse().unwrap(), 443));
///     service.clone().oneshot(request).await.unwrap().into_body()
/// };
/// assert!(from("10.0.0.7").await);
/// assert!(!from("192.0.2.1").await);
/// # Ok(())
/// # }
/// ```
///
/// Requests of the proxy, for which `is_proxy` returns true:
///
/// | header | `ClientCertificate` in the extensions |
/// |---|---|
/// | one field with one certificate | that of the header. It replaces the proxy's own |
/// | none, or an empty one | none: the client sent no certificate |
/// | malformed, longer than 64 KiB, several fields or certificates | none, and the header is removed |
///
/// A token that is bound to a certificate then gets 401, and its cause is in the [source](std::error::Error::source) of the
/// error.
///
/// In requests of everybody else, these headers are never read, and the certificate of the connection stays. The layer removes
/// `Client-Cert`, `Client-Cert-Chain`, `X-Forwarded-Client-Cert` and the header that it reads. In requests of the proxy, it
/// removes those that it does not read.
///
/// # Security
///
/// - Anyone for whom `is_proxy` returns true can use every stolen token. Return true for all requests only if nothing but the
///   proxy can connect, for example over a Unix socket.
/// - The proxy must remove or overwrite the header of its clients
///   ([RFC 9440, section 4](https://www.rfc-editor.org/rfc/rfc9440#section-4)).
/// - Use one such layer. A second one inside it takes away the certificate.
#[derive(Clone)]
#[must_use]
pub struct ClientCertificateLayer {
    header: HeaderName,
    read: Read,
    is_proxy: Arc<IsProxy>,
}

type IsProxy = dyn Fn(Head<'_>) -> bool + Send + Sync;

/// Reads the value of a header.
type Read = fn(&[u8]) -> Result<ClientCertificate, &'static FixedCause>;

static CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
static CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");
static X_FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

const LONGEST_HEADER: usize = 64 * 1024;

impl ClientCertificateLayer {
    /// Reads `Client-Cert` ([RFC 9440](https://www.rfc-editor.org/rfc/rfc9440#section-2.2)), such as `:MIIBqDCC..:`.
    ///
    /// The header `Client-Cert-Chain` of the proxy stays for your handlers.
    pub fn client_cert(is_proxy: impl Fn(Head<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self { header: CLIENT_CERT.clone(), read: client_cert::read, is_proxy: Arc::new(is_proxy) }
    }

    /// Reads the `X-Forwarded-Client-Cert` of
    /// [Envoy](https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert).
    ///
    /// The header must have one element, with a `Hash`, a `Cert` or both: `Hash=468ed33b..;Cert="-----BEGIN%20CERT.."`. Set
    /// `forward_client_cert_details` to `SANITIZE_SET`.
    pub fn x_forwarded_client_cert(is_proxy: impl Fn(Head<'_>) -> bool + Send + Sync + 'static) -> Self {
        let (header, read) = (X_FORWARDED_CLIENT_CERT.clone(), x_forwarded_client_cert::read);
        Self { header, read, is_proxy: Arc::new(is_proxy) }
    }

    /// Reads percent-encoded PEM from a header of this name.
    ///
    /// Examples are `X-Amzn-Mtls-Clientcert-Leaf` of AWS and `$ssl_client_escaped_cert` of nginx.
    pub fn escaped_pem(
        header: HeaderName,
        is_proxy: impl Fn(Head<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { header, read: escaped_pem::read_header, is_proxy: Arc::new(is_proxy) }
    }

    /// Sets the certificate of a request, and removes untrusted headers.
    fn prepare<B>(&self, request: &mut Request<B>) {
        let certificate = (self.is_proxy)(Head::from(&*request)).then(|| self.find(request.headers()));
        let is_usable = matches!(certificate, Some(Ok(Some(_))));
        for name in [&CLIENT_CERT, &CLIENT_CERT_CHAIN, &X_FORWARDED_CLIENT_CERT, &self.header] {
            let is_read = *name == self.header || (*name == CLIENT_CERT_CHAIN && self.header == CLIENT_CERT);
            if !(is_usable && is_read) {
                request.headers_mut().remove(name);
            }
        }
        let Some(certificate) = certificate else { return };
        let extensions = request.extensions_mut();
        extensions.remove::<ClientCertificate>();
        match certificate {
            Ok(Some(certificate)) => drop(extensions.insert(certificate)),
            Ok(None) => {}
            Err(cause) => drop(extensions.insert(UnreadableCertificate(cause))),
        }
    }

    /// Returns the certificate in the headers of the proxy.
    fn find(&self, headers: &HeaderMap) -> Result<Option<ClientCertificate>, &'static FixedCause> {
        let mut fields = headers.get_all(&self.header).iter();
        match (fields.next(), fields.next()) {
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(SEVERAL_FIELDS),
            // Some proxies send an empty field if the client has no certificate.
            (Some(field), None) if field.is_empty() => Ok(None),
            (Some(field), None) if field.len() > LONGEST_HEADER => Err(TOO_LONG),
            (Some(field), None) => (self.read)(field.as_bytes()).map(Some),
        }
    }
}

const SEVERAL_FIELDS: &FixedCause = &FixedCause(
    "the request of the proxy has several header fields for the client certificate; have the proxy replace those of its \
     clients",
);
const TOO_LONG: &FixedCause = &FixedCause(
    "the header of the proxy for the client certificate is longer than 64 KiB; leave out the chain",
);

/// Returns the certificate if the bytes are one DER sequence.
///
/// This finds PEM in place of DER. A hash of anything else would not match a token either.
fn certificate(der: &[u8]) -> Option<ClientCertificate> {
    let outer = AnyRef::from_der(der).ok()?;
    (outer.tag() == Tag::Sequence).then(|| ClientCertificate::from_der(der))
}

impl<S> Layer<S> for ClientCertificateLayer {
    type Service = ClientCertificateService<S>;

    fn layer(&self, inner: S) -> ClientCertificateService<S> {
        ClientCertificateService { inner, layer: self.clone() }
    }
}

/// The service that [`ClientCertificateLayer`](crate::mtls::ClientCertificateLayer) creates.
#[derive(Clone)]
#[must_use]
pub struct ClientCertificateService<S> {
    inner: S,
    layer: ClientCertificateLayer,
}

impl<S> ClientCertificateService<S> {
    /// Returns a reference to the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B> Service<Request<B>> for ClientCertificateService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        self.layer.prepare(&mut request);
        self.inner.call(request)
    }
}

impl fmt::Debug for ClientCertificateLayer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificateLayer").field("header", &self.header).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug> fmt::Debug for ClientCertificateService<S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificateService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The certificate of RFC 8705, appendix A, and its thumbprint.
    pub(super) const PEM: &str = include_str!("../../tests/fixtures/rfc8705.certificate.pem");
    pub(super) const THUMBPRINT: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";

    /// Returns the base64 in a PEM, without line breaks.
    pub(super) fn base64(pem: &str) -> String {
        pem.lines().filter(|line| !line.starts_with('-')).collect()
    }

    /// Returns a PEM percent-encoded, as Envoy and nginx do.
    pub(super) fn escaped(pem: &str) -> String {
        let escapes = [('\n', "%0A"), (' ', "%20"), ('+', "%2B"), ('/', "%2F"), ('=', "%3D")];
        escapes
            .iter()
            .fold(pem.replace('%', "%25"), |text, (character, escape)| text.replace(*character, escape))
    }

    #[track_caller]
    pub(super) fn assert_read(read: Read, name: &str, value: &str, expected: Result<&str, &str>) {
        let read = read(value.as_bytes()).map(|certificate| certificate.thumbprint().to_string());
        match (&read, expected) {
            (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{name}"),
            (Err(cause), Err(expected)) => assert!(cause.0.contains(expected), "{name}: {cause}"),
            _ => panic!("{name}: {read:?}"),
        }
    }

    proptest! {
        #[test]
        fn readers_reject_arbitrary_bytes(
            value in prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), "[:;,=\"\\\\%Hashcert0-9]{0,90}".prop_map(String::into)],
        ) {
            prop_assert!(client_cert::read(&value).is_err());
            prop_assert!(escaped_pem::read_header(&value).is_err());
            prop_assert!(x_forwarded_client_cert::read(&value).is_err());
        }
    }
}
