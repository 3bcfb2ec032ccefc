use std::error::Error;
use std::fmt::{self, Formatter};

use http::uri::Scheme;
use http::{Request, Response, Uri};
use reqwest::redirect::Policy;
use reqwest::tls::Certificate;
use reqwest::{NoProxy, Proxy};

use super::client::{ClientFuture, HttpClient};
use crate::config_error::{ConfigError, ConfigProblem};
use crate::crypto::key_detection::{KeyMaterial, Kind};
use crate::url::without_secrets;
use crate::verify::pem::{self, Block, Expected};

/// The [`HttpClient`] that comes with this crate: HTTP/1.1, and TLS by rustls, which trusts whom the operating system
/// trusts. It follows no redirect, goes through no [proxy](Self::proxy) unless it is told to, and needs a tokio runtime.
///
/// ```no_run
/// use tower_jwt_auth::jwks::{HttpsClient, RemoteKeys};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = HttpsClient::new().add_root_certificates(std::fs::read("ca.pem")?)?;
/// let keys = RemoteKeys::discover_with("https://id.internal.example", client)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct HttpsClient {
    /// An error where the machine has no certificate authorities. It is made again then for each fetch.
    client: Result<reqwest::Client, ConfigError>,
    roots: Vec<Certificate>,
    proxy: Option<Proxy>,
    plain_http: bool,
}

impl HttpsClient {
    /// A client that trusts the certificate authorities that the operating system trusts.
    ///
    /// Minimal container images often have none. Each fetch by `https` then fails, and the error says so, while plain
    /// `http` to this machine works: install the package `ca-certificates`, or use
    /// [`add_root_certificates`](Self::add_root_certificates).
    pub fn new() -> Self {
        Self { client: build(&[], None, Tls::System), roots: Vec::new(), proxy: None, plain_http: false }
    }

    /// Trusts these certificates as well: one or more in PEM. The client then works without any certificate of the operating
    /// system.
    ///
    /// # Errors
    ///
    /// If the text has no certificate, or one that cannot be read. The error says what was found instead.
    pub fn add_root_certificates(mut self, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        self.roots.extend(certificates(pem.as_ref())?);
        self.client = Ok(build(&self.roots, self.proxy.clone(), Tls::System)?);
        Ok(self)
    }

    /// Sends all requests, but for those to this machine, through the proxy at this address: `http://` or `https://`, a host,
    /// and if need be a port, and a user name and a password for it in front. What is fetched by `https` it only passes on, and
    /// cannot read. By default there is none, whatever the environment says.
    ///
    /// ```
    /// use tower_jwt_auth::jwks::HttpsClient;
    ///
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// let client = HttpsClient::new().proxy("http://proxy.internal.example:3128")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If it is not such an address.
    pub fn proxy(self, address: &str) -> Result<Self, ConfigError> {
        let invalid = |reason| -> ConfigError {
            ConfigProblem::InvalidProxy { address: without_secrets(address), reason }.into()
        };
        let uri: Uri = address.parse().map_err(|_| invalid("it is not a URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(invalid("it needs to begin with `http://` or `https://`"));
        }
        let proxy = Proxy::all(address).map_err(|_| invalid("it is not a URL"))?;
        // What this machine serves itself may be plain http, which nobody else is to answer.
        let proxy = proxy.no_proxy(NoProxy::from_string("localhost,127.0.0.0/8,::1"));
        let proxy = Some(proxy);
        Ok(Self { client: build(&self.roots, proxy.clone(), Tls::System), proxy, ..self })
    }

    /// Allows addresses that begin with `http://`, and not only those of this machine. Whoever is on the way can then
    /// put keys of their own in place of the provider's, and sign any token: set this only where something else guards
    /// the way.
    pub fn insecure_allow_plain_http(self) -> Self {
        Self { plain_http: true, ..self }
    }

    fn client_for(&self, uri: &Uri) -> Result<reqwest::Client, ConfigError> {
        match &self.client {
            Ok(client) => Ok(client.clone()),
            Err(_) if uri.scheme() == Some(&Scheme::HTTP) => {
                build(&self.roots, self.proxy.clone(), Tls::Nobody)
            }
            // There may be certificates by now.
            Err(_) => build(&self.roots, self.proxy.clone(), Tls::System),
        }
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, ConfigError> {
    let malformed = |reason| CERTIFICATES.explain(pem, reason);
    let blocks = pem::blocks(pem).map_err(malformed)?;
    let wanted = blocks.iter().filter(|block| CERTIFICATES.labels.contains(&block.label));
    let read = |block: &Block<'_>| {
        let der = block.decode().ok_or_else(|| malformed(pem::DAMAGED))?;
        let is_certificate = KeyMaterial::detect(&der).is_some_and(|found| found.kind == Kind::Certificate);
        let certificate = Certificate::from_der(&der).ok().filter(|_| is_certificate);
        certificate.ok_or_else(|| malformed(CERTIFICATES.not_der))
    };
    let roots: Vec<_> = wanted.map(read).collect::<Result<_, _>>()?;
    if roots.is_empty() { Err(malformed(CERTIFICATES.not_pem)) } else { Ok(roots) }
}

const CERTIFICATES: Expected = Expected {
    labels: &["CERTIFICATE", "X509 CERTIFICATE"],
    is_key: |_| true,
    refuse: |_| None,
    error: |reason| ConfigProblem::MalformedCertificate { reason },
    not_pem: "there is none in PEM; it needs to begin with `-----BEGIN CERTIFICATE-----`",
    not_der: "one of them is damaged; copy it again",
};

impl Default for HttpsClient {
    fn default() -> Self {
        Self::new()
    }
}

/// Whose certificates are trusted.
#[derive(Clone, Copy)]
enum Tls {
    /// Those of the operating system's authorities, and of the given ones.
    System,
    /// Nobody's: for plain http.
    Nobody,
}

fn build(roots: &[Certificate], proxy: Option<Proxy>, tls: Tls) -> Result<reqwest::Client, ConfigError> {
    let builder = match tls {
        Tls::System => reqwest::Client::builder().tls_certs_merge(roots.iter().cloned()),
        Tls::Nobody => reqwest::Client::builder().tls_certs_only([]),
    };
    let builder = builder
        .redirect(Policy::none())
        .no_proxy()
        // Whatever features of reqwest's the application has switched on.
        .http1_only()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .no_hickory_dns()
        // The keys are fetched once in a while: a connection that is kept would only go stale.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("tower-jwt-auth/", env!("CARGO_PKG_VERSION")));
    let builder = proxy.into_iter().fold(builder, reqwest::ClientBuilder::proxy);
    builder.build().map_err(|error| ConfigProblem::HttpClient { source: error.into() }.into())
}

impl HttpClient for HttpsClient {
    fn fetch(&self, request: Request<Vec<u8>>, limit: usize) -> ClientFuture {
        let (parts, body) = request.into_parts();
        let client = match self.client_for(&parts.uri) {
            Ok(client) => client,
            Err(error) => return Box::pin(async move { Err(error.into()) }),
        };
        let mut request = client.request(parts.method, parts.uri.to_string()).headers(parts.headers);
        if !body.is_empty() {
            request = request.body(body);
        }
        Box::pin(async move {
            // Whose address it is, is said by what asks; a query in it is not for logs.
            let answer = request.send().await.map_err(reqwest::Error::without_url)?;
            read(answer, limit).await
        })
    }

    fn allows_plain_http(&self) -> bool {
        self.plain_http
    }
}

async fn read(
    mut answer: reqwest::Response,
    limit: usize,
) -> Result<Response<Vec<u8>>, Box<dyn Error + Send + Sync>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > limit {
            return Err(format!(
                "it has more than {limit} bytes: RemoteKeys::max_document_bytes sets how many it may have"
            )
            .into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(body);
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

impl fmt::Debug for HttpsClient {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpsClient").field("plain_http", &self.plain_http).finish_non_exhaustive()
    }
}
