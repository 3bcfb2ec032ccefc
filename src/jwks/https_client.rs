use std::error::Error;
use std::fmt::{self, Formatter};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::uri::Scheme;
use http::{Method, Request, Response, Uri};
use reqwest::redirect::Policy;
use reqwest::tls::Certificate;
use reqwest::{NoProxy, Proxy};

use super::client::{ClientFuture, HttpClient};
use crate::config_error::{ConfigError, ConfigProblem};
use crate::crypto::key_detection::{KeyMaterial, Kind};
use crate::url::without_secrets;
use crate::verify::pem::{self, Block, Expected};

/// The crate's own [`HttpClient`]: HTTP/1.1 with TLS by rustls.
///
/// It trusts the certificate authorities of the operating system. It follows no redirects, ignores the proxy settings
/// of the environment (see [`proxy`](Self::proxy)), and needs a tokio runtime.
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
    /// An error if the machine has no root certificates. A new client is then built for each fetch.
    client: Result<reqwest::Client, ConfigError>,
    /// Keeps connections, for introspection. Built at its first use.
    keeping: Arc<OnceLock<reqwest::Client>>,
    roots: Vec<Certificate>,
    proxy: Option<Proxy>,
    plain_http: bool,
}

impl HttpsClient {
    /// Creates a client with the trusted certificates of the operating system.
    ///
    /// The first call reads the certificates, which blocks for some milliseconds. Later calls in the same process share
    /// them. To use certificates that are installed or removed later, restart the process.
    ///
    /// Minimal container images often have none. Each `https` fetch then fails with an error that says so, while plain
    /// `http` to this machine works. Install the package `ca-certificates`, or use
    /// [`add_root_certificates`](Self::add_root_certificates).
    pub fn new() -> Self {
        Self::of(Vec::new(), None)
    }

    /// Adds trusted root certificates: one or more in PEM.
    ///
    /// The client then also works on a machine without root certificates. Each call reads those of the operating system
    /// again, so share clones of the client.
    ///
    /// # Errors
    ///
    /// Returns an error if the text has no certificate or a damaged one. The error says what was found instead.
    pub fn add_root_certificates(mut self, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        self.roots.extend(certificates(pem.as_ref())?);
        let client = Self { plain_http: self.plain_http, ..Self::of(self.roots, self.proxy) };
        client.client.as_ref().map_err(Clone::clone)?;
        Ok(client)
    }

    /// Sets a proxy for all requests except those to this machine.
    ///
    /// The URL begins with `http://` or `https://`. It may contain a port, a user name and a password. The proxy only
    /// tunnels `https` requests and cannot read them. By default no proxy is used, whatever the environment says.
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
    /// Returns an error if the text is not such a URL.
    pub fn proxy(self, address: &str) -> Result<Self, ConfigError> {
        let invalid = |reason| -> ConfigError {
            ConfigProblem::InvalidProxy { address: without_secrets(address), reason }.into()
        };
        let uri: Uri = address.parse().map_err(|_| invalid("it is not a URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(invalid("it needs to begin with `http://` or `https://`"));
        }
        let proxy = Proxy::all(address).map_err(|_| invalid("it is not a URL"))?;
        // Requests to this machine may be plain HTTP, and the proxy must not answer them.
        let proxy = proxy.no_proxy(NoProxy::from_string("localhost,127.0.0.0/8,::1"));
        Ok(Self { plain_http: self.plain_http, ..Self::of(self.roots, Some(proxy)) })
    }

    /// Allows URLs with `http://` for hosts other than this machine.
    ///
    /// # Security
    ///
    /// Anyone on the network path can then replace the provider's keys and sign any token. Use this only if something
    /// else protects the connection.
    pub fn insecure_allow_plain_http(self) -> Self {
        Self { plain_http: true, ..self }
    }

    fn of(roots: Vec<Certificate>, proxy: Option<Proxy>) -> Self {
        let client = closing(&roots, proxy.as_ref());
        Self { client, keeping: Arc::default(), roots, proxy, plain_http: false }
    }

    /// Returns the client that keeps connections, or none if it cannot be built.
    fn keeping(&self) -> Option<reqwest::Client> {
        if let Some(client) = self.keeping.get() {
            return Some(client.clone());
        }
        let client = build(&self.roots, self.proxy.clone(), Tls::System, Idle::Keep).ok()?;
        Some(self.keeping.get_or_init(|| client).clone())
    }

    fn client_for(&self, uri: &Uri) -> Result<reqwest::Client, ConfigError> {
        match &self.client {
            Ok(client) => Ok(client.clone()),
            Err(_) if uri.scheme() == Some(&Scheme::HTTP) => {
                build(&self.roots, self.proxy.clone(), Tls::NoRoots, Idle::Close)
            }
            // The certificates may have been installed since.
            Err(_) => closing(&self.roots, self.proxy.as_ref()),
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
    not_pem: "no certificate in PEM found; it needs to begin with `-----BEGIN CERTIFICATE-----`",
    not_der: "a certificate is damaged; copy it again",
};

impl Default for HttpsClient {
    fn default() -> Self {
        Self::new()
    }
}

/// The certificate authorities that are trusted.
#[derive(Clone, Copy)]
enum Tls {
    /// Those of the operating system, and the added ones.
    System,
    /// None: for plain HTTP.
    NoRoots,
}

/// The use of a connection after a response.
#[derive(Clone, Copy)]
enum Idle {
    /// Fetches of keys are rare: an idle connection would only go stale.
    Close,
    /// Calls for introspection follow each other.
    Keep,
}

/// Idle connections to each host.
const MAX_IDLE: usize = 8;
/// Shorter than the timeouts of most servers.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns a client that closes its connections. All clients without own settings are one: reading the certificates takes
/// milliseconds, and holding them 100 KiB.
fn closing(roots: &[Certificate], proxy: Option<&Proxy>) -> Result<reqwest::Client, ConfigError> {
    static DEFAULT: OnceLock<reqwest::Client> = OnceLock::new();
    let new = || build(roots, proxy.cloned(), Tls::System, Idle::Close);
    if !roots.is_empty() || proxy.is_some() {
        return new();
    }
    match DEFAULT.get() {
        Some(client) => Ok(client.clone()),
        // An error is not kept: the certificates may be installed later.
        None => new().map(|client| DEFAULT.get_or_init(|| client).clone()),
    }
}

fn build(
    roots: &[Certificate],
    proxy: Option<Proxy>,
    tls: Tls,
    idle: Idle,
) -> Result<reqwest::Client, ConfigError> {
    let builder = match tls {
        Tls::System => reqwest::Client::builder().tls_certs_merge(roots.iter().cloned()),
        Tls::NoRoots => reqwest::Client::builder().tls_certs_only([]),
    };
    let builder = builder
        .redirect(Policy::none())
        .no_proxy()
        // Overrides whatever reqwest features the application enables.
        .http1_only()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .no_hickory_dns()
        .pool_max_idle_per_host(if matches!(idle, Idle::Keep) { MAX_IDLE } else { 0 })
        .pool_idle_timeout(IDLE_TIMEOUT)
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
        let keeping = if parts.method == Method::POST { self.keeping() } else { None };
        let mut request = client.request(parts.method, parts.uri.to_string()).headers(parts.headers);
        if !body.is_empty() {
            request = request.body(body);
        }
        Box::pin(async move {
            let answer = match keeping {
                Some(keeping) => send_kept(&keeping, &client, request).await,
                None => request.send().await,
            };
            // `FetchError` already names the URL, and without its query.
            read(answer.map_err(reqwest::Error::without_url)?, limit).await
        })
    }

    fn allows_plain_http(&self) -> bool {
        self.plain_http
    }
}

/// Sends a request over an idle connection if there is one, and else over a new one.
///
/// The server may close an idle connection at the same moment. The request is then sent again over a new connection: to
/// ask twice about a token does no harm.
async fn send_kept(
    keeping: &reqwest::Client,
    fresh: &reqwest::Client,
    request: reqwest::RequestBuilder,
) -> reqwest::Result<reqwest::Response> {
    let request = request.build()?;
    let again = request.try_clone();
    match (keeping.execute(request).await, again) {
        (Err(error), Some(again)) if error.is_request() && !error.is_connect() && !error.is_timeout() => {
            fresh.execute(again).await
        }
        (answer, _) => answer,
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
                "the response is larger than {limit} bytes; RemoteKeys::max_document_bytes sets the limit"
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
