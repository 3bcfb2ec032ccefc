//! Key fetching with a real client, and a real server on this machine that responds in every wrong way.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower_jwt_auth::AuthErrorKind::{KeysUnavailable, UnknownKey};
use tower_jwt_auth::jwks::{HttpClient, HttpsClient, RemoteKeys};
use tower_jwt_auth::{Algorithm, ConfigErrorKind};

use super::{jwks, rejection, verifier};
use crate::keys::{fixture, jwk_with, set_of};

/// A response: the bytes to send, with a pause before each part. The server then closes the connection.
type Script = Vec<(Duration, Vec<u8>)>;

/// A server that follows a script, which tests can change. It counts its requests.
struct Server {
    address: String,
    script: Arc<Mutex<(Script, usize)>>,
}

impl Server {
    async fn start(script: Script) -> Self {
        Self::start_with(script, None).await
    }

    async fn start_with(script: Script, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let address = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
        let script = Arc::new(Mutex::new((script, 0)));
        let current = Arc::clone(&script);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (tls, current) = (tls.clone(), Arc::clone(&current));
                tokio::spawn(async move {
                    match tls {
                        None => {
                            let mut request = [0; 4096];
                            let _ = stream.read(&mut request).await;
                            play(&mut stream, &current).await;
                        }
                        Some(tls) => {
                            let Ok(mut stream) = tls.accept(stream).await else { return };
                            let mut request = [0; 4096];
                            let _ = stream.read(&mut request).await;
                            play(&mut stream, &current).await;
                        }
                    }
                });
            }
        });
        Self { address, script }
    }

    fn play(&self, script: Script) {
        self.script.lock().unwrap().0 = script;
    }

    fn requests(&self) -> usize {
        self.script.lock().unwrap().1
    }

    fn keys(&self) -> RemoteKeys {
        RemoteKeys::jwks_with(&format!("{}/jwks.json", self.address), client()).unwrap()
    }
}

async fn play(stream: &mut (impl AsyncWrite + Unpin), script: &Mutex<(Script, usize)>) {
    let script = {
        let mut script = script.lock().unwrap();
        script.1 += 1;
        script.0.clone()
    };
    for (pause, bytes) in script {
        sleep(pause).await;
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

/// Trusts a test certificate in addition to the system's, which may be missing here.
fn client() -> HttpsClient {
    HttpsClient::new().add_root_certificates(fixture("tls-ca.pem")).unwrap()
}

/// With a certificate for `localhost`.
fn tls() -> TlsAcceptor {
    let certificates: Vec<_> = ["tls-localhost.pem"]
        .map(|name| CertificateDer::from_pem_slice(fixture(name).as_bytes()).unwrap())
        .into();
    let key = PrivateKeyDer::from_pem_slice(fixture("tls-localhost.private.pem").as_bytes()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn at_once(bytes: impl Into<Vec<u8>>) -> Script {
    vec![(Duration::ZERO, bytes.into())]
}

fn http(status: &str, headers: &str, body: &str) -> Script {
    at_once(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()))
}

fn ok(body: &str) -> Script {
    http("200 OK", "content-type: application/json\r\n", body)
}

/// Encodes bytes in the format of RFC 1952, without compression.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let crc = bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    });
    let len = u16::try_from(bytes.len()).unwrap();
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    let lens = [len.to_le_bytes(), (!len).to_le_bytes()].concat();
    [&head, &*lens, bytes, &(!crc).to_le_bytes(), &u32::from(len).to_le_bytes()].concat()
}

/// Sends one byte every ten milliseconds: each arrives in time, all of them together do not.
fn drip(script: Script) -> Script {
    let bytes = script.into_iter().flat_map(|(_, bytes)| bytes);
    bytes.map(|byte| (Duration::from_millis(10), vec![byte])).collect()
}

#[tokio::test]
async fn server_faults_neither_drop_keys_nor_stall_requests() {
    let other = jwks(&["b"]);
    let long = other.len() + 1000;
    let chunked = |chunks: usize| {
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", chunk.repeat(chunks))
    };
    // A megabyte of zeros in a kilobyte. The content after the header does not matter, because nothing is
    // decompressed.
    let bomb = [
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 20\r\n\r\n\x1f\x8b\x08",
        &[0; 17][..],
    ]
    .concat();
    let packed = gzip(other.as_bytes());
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
    let compressed = [head.as_bytes(), &packed].concat();
    let many: Vec<_> =
        (0..10_000).map(|n| json!({"kty": "OKP", "crv": "Ed25519", "kid": n.to_string()})).collect();
    let hang = vec![(Duration::from_secs(60), Vec::new())];
    let rejected = Some(KeysUnavailable);
    for (name, script, expected) in [
        ("hang", hang.clone(), rejected),
        (
            "hang after the headers",
            [at_once("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"), hang].concat(),
            rejected,
        ),
        ("drip", drip(ok(&other)), rejected),
        ("reset", Vec::new(), rejected),
        ("500", http("500 Internal Server Error", "", &other), rejected),
        ("garbage", at_once("\0\u{1}\u{2} no HTTP at all\r\n\r\n"), rejected),
        ("not JSON", ok("<!doctype html>"), rejected),
        ("truncated", at_once(format!("HTTP/1.1 200 OK\r\ncontent-length: {long}\r\n\r\n{other}")), rejected),
        ("truncated chunks", at_once(chunked(1)), rejected),
        ("huge", at_once(chunked(9)), rejected),
        ("huge headers", http("200 OK", &format!("x: {}\r\n", "x".repeat(1_000_000)), &other), rejected),
        ("gzip bomb", at_once(bomb), rejected),
        ("gzip", at_once(compressed), rejected),
        ("redirect", http("302 Found", "location: /jwks.json\r\n", &other), rejected),
        (
            "permanent redirect",
            http("308 Permanent Redirect", "location: http://localhost:1/\r\n", ""),
            rejected,
        ),
        ("10,000 keys", ok(&set_of(&many)), rejected),
        ("empty set", ok(r#"{"keys":[]}"#), rejected),
        // The body decides: files are often served with a wrong type.
        ("wrong content type", http("200 OK", "content-type: text/html\r\n", &jwks(&["a", "b"])), None),
        ("duplicate kid", ok(&jwks(&["a", "a", "b", "b"])), None),
        ("no such key", ok(&jwks(&["a"])), Some(UnknownKey)),
    ] {
        let server = Server::start(ok(&jwks(&["a"]))).await;
        // A short limit only for slow responses: on a busy machine the others may need more time.
        let takes_its_time = script.iter().any(|(pause, _)| !pause.is_zero());
        let ample = Duration::from_secs(20);
        let limit = if takes_its_time { Duration::from_millis(200) } else { ample };
        let keys = server.keys().cooldown(Duration::ZERO).fetch_timeout(limit).wait_timeout(ample);
        let verifier = verifier(&keys);
        // This may take more than one attempt.
        keys.ready().await.unwrap();
        server.play(script);
        let (start, before) = (Instant::now(), server.requests());
        assert_eq!(rejection(&verifier, "b").await, expected, "{name}");
        // Less time than the default limit of an attempt.
        assert!(start.elapsed() < Duration::from_secs(4), "{name}: {:?}", start.elapsed());
        assert_eq!(server.requests(), before + 1, "{name}");
        assert_eq!(rejection(&verifier, "a").await, None, "{name}");
        assert_eq!(keys.last_error().is_some(), expected == rejected, "{name}: {:?}", keys.last_error());
    }
}

#[tokio::test]
async fn finds_keys_by_discovery_over_http() {
    let server = Server::start(Vec::new()).await;
    let metadata = json!({"issuer": server.address, "jwks_uri": format!("{}/jwks.json", server.address)});
    // One script serves both requests: metadata is not a key set, and vice versa.
    let mut both = metadata;
    both["keys"] = json!([jwk_with(Algorithm::EdDSA, json!({"kid": "a"}))]);
    server.play(ok(&both.to_string()));
    let keys = RemoteKeys::discover_with(&server.address, client()).unwrap();
    keys.ready().await.unwrap();
    assert_eq!((server.requests(), keys.stats().keys()), (2, 1));
}

#[tokio::test]
async fn trusts_a_server_with_a_trusted_certificate() {
    let server = Server::start_with(ok(&jwks(&["a"])), Some(tls())).await;
    assert_eq!(rejection(&verifier(&server.keys()), "a").await, None);

    let stranger = HttpsClient::new().add_root_certificates(fixture("rsa2048.certificate.pem")).unwrap();
    let keys = RemoteKeys::jwks_with(&format!("{}/jwks.json", server.address), stranger).unwrap();
    assert_eq!(rejection(&verifier(&keys), "a").await, Some(KeysUnavailable));
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn added_certificates_keep_earlier_settings() {
    let server = Server::start_with(ok(&jwks(&["a"])), Some(tls())).await;
    let stranger = fixture("rsa2048.certificate.pem");
    let keys = |client| RemoteKeys::jwks_with(&format!("{}/jwks.json", server.address), client).unwrap();
    let both = client().add_root_certificates(&stranger).unwrap();
    assert_eq!(rejection(&verifier(&keys(both)), "a").await, None);

    let asked = Arc::<Mutex<Vec<String>>>::default();
    let proxy = proxy(String::new(), Arc::clone(&asked)).await;
    let client = HttpsClient::new().proxy(&format!("http://user:hunter2@{proxy}")).unwrap();
    let client = client.add_root_certificates(&stranger).unwrap();
    let elsewhere = RemoteKeys::jwks_with("https://id.example.com/jwks.json", client).unwrap();
    assert_eq!(rejection(&verifier(&elsewhere), "a").await, Some(KeysUnavailable));
    assert_eq!(*asked.lock().unwrap(), ["CONNECT id.example.com:443 HTTP/1.1"]);
}

#[cfg(feature = "settings")]
#[tokio::test]
async fn settings_configure_the_client() {
    use tower_jwt_auth::settings::AuthSettings;

    use crate::support::{AUDIENCE, Folder, ISSUER};

    let folder = Folder::new("settings_configure_the_client");
    let tls = Server::start_with(ok(&jwks(&["a"])), Some(tls())).await;
    let ca = folder.write("ca.pem", fixture("tls-ca.pem"));
    let settings = |address: &str, http: serde_json::Value| {
        let settings = json!({
            "issuer": ISSUER, "audience": AUDIENCE, "jwks_url": format!("{address}/jwks.json"), "http": http
        });
        serde_json::from_value::<AuthSettings>(settings).unwrap()
    };
    let trusting = settings(&tls.address, json!({"ca_file": ca})).remote_keys().unwrap().remove(0);
    trusting.ready().await.unwrap();
    let untrusting = settings(&tls.address, json!({})).remote_keys().unwrap().remove(0);
    assert!(untrusting.ready_timeout(Duration::from_millis(200)).ready().await.is_err());

    let asked = Arc::new(Mutex::new(Vec::new()));
    let proxy = proxy(tls.address.replace("https://", ""), Arc::clone(&asked)).await;
    let http = json!({"ca_file": ca, "proxy_url": format!("http://user:word@{proxy}")});
    let proxied = settings("https://id.example.com", http).remote_keys().unwrap().remove(0);
    assert!(proxied.ready_timeout(Duration::from_millis(200)).ready().await.is_err(), "it is for localhost");
    assert_eq!(asked.lock().unwrap()[0], "CONNECT id.example.com:443 HTTP/1.1");

    let plain = settings("http://id.example.com", json!({"insecure_allow_plain_http": true}));
    assert_eq!(plain.remote_keys().unwrap().len(), 1);
    assert!(settings("http://id.example.com", json!({})).remote_keys().is_err());
    let broken = folder.write("broken.pem", "no certificate");
    let error = settings("https://id.example.com", json!({"ca_file": broken})).remote_keys().unwrap_err();
    assert_eq!(error.kind(), ConfigErrorKind::InvalidCertificate);
    assert!(error.to_string().starts_with("invalid setting `http.ca_file`: cannot use `"), "{error}");
}

/// A client for requests other than those of `RemoteKeys`.
#[tokio::test]
async fn client_sends_the_request_body() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let request = http::Request::post(address).body(b"token=abc".to_vec()).unwrap();
    let answer = tokio::spawn(client().fetch(request, 100));
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut sent = Vec::new();
    let all = async {
        while !sent.ends_with(b"\r\n\r\ntoken=abc") && stream.read_buf(&mut sent).await.unwrap() > 0 {}
    };
    timeout(Duration::from_secs(2), all).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    assert_eq!(answer.await.unwrap().unwrap().body(), b"{}");
}

/// A proxy that requires a password and sends every host to one server. Records its requests.
async fn proxy(server: String, asked: Arc<Mutex<Vec<String>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (server, asked) = (server.clone(), Arc::clone(&asked));
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let line = head.lines().next().unwrap().to_owned();
                // `user:word`, encoded as in RFC 7617.
                let is_known = head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjp3b3jk");
                let is_tunnel = line.starts_with("CONNECT ");
                asked.lock().unwrap().push(line);
                match is_known {
                    true => {
                        let mut server = tokio::net::TcpStream::connect(server).await.unwrap();
                        match is_tunnel {
                            true => stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap(),
                            false => server.write_all(head.as_bytes()).await.unwrap(),
                        }
                        let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
                    }
                    false => stream.write_all(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n").await.unwrap(),
                }
            });
        }
    });
    address.to_string()
}

#[tokio::test]
async fn uses_the_configured_proxy() {
    let (plain, tls) = (Server::start(ok(&jwks(&["a"]))).await, Some(tls()));
    let tls = Server::start_with(ok(&jwks(&["a"])), tls).await;
    let host_of = |server: &Server| server.address.split_once("://").unwrap().1.to_owned();
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let asked_for = || std::mem::take(&mut *asked.lock().unwrap());
    let keys = async |server: &Server, user: &str, address: &str| {
        let proxy = proxy(host_of(server), Arc::clone(&asked)).await;
        let client = client().proxy(&format!("http://{user}@{proxy}")).unwrap();
        RemoteKeys::jwks_with(address, client.insecure_allow_plain_http()).unwrap()
    };
    let through = keys(&plain, "user:word", "http://id.example.com/jwks.json").await;
    assert_eq!(rejection(&verifier(&through), "a").await, None);
    assert_eq!(asked_for(), ["GET http://id.example.com/jwks.json HTTP/1.1"]);

    // With TLS the proxy only forwards, and cannot respond for another host.
    let elsewhere = keys(&tls, "user:word", "https://id.example.com/jwks.json").await;
    assert_eq!(rejection(&verifier(&elsewhere), "a").await, Some(KeysUnavailable));
    assert_eq!(
        (tls.requests(), asked_for().as_slice()),
        (0, &["CONNECT id.example.com:443 HTTP/1.1".into()][..])
    );
    // It would retry after a second.
    drop(elsewhere);

    // This machine may be reached without TLS and without the proxy.
    for address in
        [plain.address.clone(), plain.address.replace("localhost", "127.0.0.1"), tls.address.clone()]
    {
        let here = keys(&plain, "user:word", &format!("{address}/jwks.json")).await;
        assert_eq!(rejection(&verifier(&here), "a").await, None, "{address}");
        assert!(asked_for().is_empty(), "{address}");
    }

    let strangers = keys(&plain, "user:hunter2", "http://id.example.com/jwks.json").await;
    assert_eq!(rejection(&verifier(&strangers), "a").await, Some(KeysUnavailable));
    let mut seen = format!("{strangers:?}");
    let error = strangers.last_error().unwrap();
    let mut next: Option<&dyn std::error::Error> = Some(&*error);
    while let Some(error) = next {
        seen += &format!("{error} {error:?}");
        next = error.source();
    }
    assert!(!seen.contains("hunter2") && !seen.contains("aHVudGVyMg"), "{seen}");
}

#[test]
fn rejects_invalid_proxies() {
    for (address, expected) in [
        ("", "invalid proxy URL ``: it is not a URL"),
        (
            "proxy.example.com:3128",
            "invalid proxy URL `proxy.example.com:3128`: it needs to begin with `http://` or `https://`",
        ),
        (
            "socks5://user:word@proxy.example.com",
            "invalid proxy URL `..@proxy.example.com`: it needs to begin with `http://` or `https://`",
        ),
        ("http://", "invalid proxy URL `http://`: it is not a URL"),
    ] {
        assert_eq!(client().proxy(address).unwrap_err().to_string(), expected);
    }
}

/// Runs this test again in a process without certificates of authorities.
#[tokio::test]
async fn fetches_plain_http_without_certificate_authorities() {
    const CHILD: &str = "TOWER_JWT_AUTH_WITHOUT_CERTIFICATES";
    if std::env::var_os(CHILD).is_none() {
        let test = "remote_keys::faults::fetches_plain_http_without_certificate_authorities";
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(CHILD, "1")
            .env("SSL_CERT_FILE", "/nonexistent/certificates.pem")
            .env("SSL_CERT_DIR", "/nonexistent/certificates")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
        return;
    }
    let plain = Server::start(ok(&jwks(&["a"]))).await;
    let tls = Server::start_with(ok(&jwks(&["a"])), Some(tls())).await;
    let proxied = HttpsClient::new().proxy("http://proxy.example.com:3128").unwrap();
    for client in [HttpsClient::new(), proxied] {
        let keys = RemoteKeys::jwks_with(&format!("{}/jwks.json", plain.address), client.clone()).unwrap();
        assert_eq!(rejection(&verifier(&keys), "a").await, None);

        let keys = RemoteKeys::jwks_with(&format!("{}/jwks.json", tls.address), client).unwrap();
        assert_eq!(rejection(&verifier(&keys), "a").await, Some(KeysUnavailable));
        let error = keys.last_error().unwrap();
        let mut causes = Vec::new();
        let mut next: Option<&dyn std::error::Error> = Some(&*error);
        while let Some(error) = next {
            causes.push(error.to_string());
            next = error.source();
        }
        assert!(causes[1].contains("package `ca-certificates`"), "{causes:?}");
        assert!(causes.last().unwrap().contains("No CA certificates were loaded"), "{causes:?}");
    }
    assert!(RemoteKeys::discover("https://id.example.com").is_ok());
    // With an added certificate, none of the system's is required.
    let keys = RemoteKeys::jwks_with(&format!("{}/jwks.json", tls.address), client()).unwrap();
    assert_eq!(rejection(&verifier(&keys), "a").await, None);
}

#[test]
fn rejects_invalid_certificates() {
    let ca = fixture("tls-ca.pem");
    let not_pem = "no certificate in PEM found; it needs to begin with `-----BEGIN CERTIFICATE-----`";
    for (pem, expected) in [
        (String::new(), "it is empty; check the file or variable that it comes from"),
        ("not PEM".to_owned(), not_pem),
        (fixture("p256.public.pem"), not_pem),
        (
            "/etc/ssl/ca.pem".to_owned(),
            "it looks like the path of a file; read the file and pass its content",
        ),
        (
            ca.trim_end().replace('\n', "\\n"),
            "its line breaks are escaped as `\\n`; replace them with line breaks",
        ),
        (ca.replace("MII", "M-I"), "the text between its BEGIN and END lines is not base64; copy it again"),
        (ca.replace("MII", "AAA"), "a certificate is damaged; copy it again"),
        (format!("{ca}{}", &ca[..ca.len() / 2]), "it has no END line; copy it again to its last line"),
    ] {
        let error = HttpsClient::new().add_root_certificates(pem).unwrap_err();
        assert_eq!(error.kind(), ConfigErrorKind::InvalidCertificate, "{error}");
        assert_eq!(error.to_string(), format!("the certificates cannot be read: {expected}"));
    }
}

#[test]
fn reads_certificates_as_openssl_does() {
    let ca = fixture("tls-ca.pem");
    let body = ca.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    for (name, pem) in [
        ("one long line", format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----")),
        ("CR LF", ca.replace('\n', "\r\n")),
        ("white space at line ends", ca.replace('\n', " \t\n")),
        ("a bundle", format!("The first\n=========\n{ca}\nThe second\n{ca}")),
    ] {
        assert!(HttpsClient::new().add_root_certificates(pem).is_ok(), "{name}");
    }
}

#[test]
fn plain_http_needs_explicit_opt_in() {
    let url = "http://id.example.com/jwks.json";
    assert!(RemoteKeys::jwks_with(url, client()).is_err());
    assert!(RemoteKeys::jwks_with(url, client().insecure_allow_plain_http()).is_ok());
}
