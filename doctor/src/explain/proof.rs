//! The DPoP proof of a request (RFC 9449), and the request.

use std::time::Duration;

use clap::Args;
use http::{HeaderValue, Method, Request, Uri};
use tower_jwt_auth::dpop::Dpop;

use super::source::SETTINGS;
use crate::duration;
use crate::escape::quoted;
use crate::outcome::Failure;

/// A proof that is verified with the token.
#[derive(Args, Debug)]
pub(crate) struct ProofArguments {
    /// DPoP proof of a request with the token, the value of its header `DPoP`; needs --url
    #[arg(long, value_name = "PROOF", requires = "url", conflicts_with_all = SETTINGS)]
    dpop_proof: Option<String>,
    /// Method of that request
    #[arg(long, default_value = "GET", requires = "dpop_proof")]
    method: Method,
    /// URL of that request, as the client sends it
    #[arg(long, requires = "dpop_proof")]
    url: Option<Uri>,
    /// Public URL of the service, as in Dpop::new; by default scheme and host of --url
    #[arg(long, value_name = "URL", requires = "dpop_proof")]
    public_url: Option<String>,
    /// Accepted age of the proof; a longer one is for proofs from a log
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration::parse, requires = "dpop_proof")]
    max_proof_age: Duration,
}

/// A request with a proof, as a service sees it.
pub(crate) struct Proof {
    pub(crate) request: Request<()>,
    pub(crate) dpop: Dpop,
}

impl ProofArguments {
    pub(crate) fn proof(&self) -> Result<Option<Proof>, Failure> {
        let (Some(proof), Some(url)) = (&self.dpop_proof, &self.url) else {
            return Ok(None);
        };
        let public_url = self.public_url.clone().map_or_else(|| origin(url), Ok)?;
        let dpop = Dpop::new(&public_url)?.max_age(self.max_proof_age);
        let value = HeaderValue::try_from(without_name(proof)).map_err(
            |_| "--dpop-proof is not the value of a header: it has line breaks or control characters",
        )?;
        let request = Request::builder().method(self.method.clone()).uri(path(url, &public_url)?);
        Ok(Some(Proof { request: request.header("dpop", value).body(())?, dpop }))
    }
}

/// Removes the name of the header, which is often copied with its value.
fn without_name(proof: &str) -> &str {
    let proof = proof.trim();
    match proof.split_at_checked("dpop:".len()) {
        Some((name, value)) if name.eq_ignore_ascii_case("dpop:") => value.trim(),
        _ => proof,
    }
}

fn origin(url: &Uri) -> Result<String, Failure> {
    match (url.scheme_str(), url.authority()) {
        (Some(scheme), Some(authority)) => Ok(format!("{scheme}://{authority}")),
        _ => Err("--url needs a scheme and a host, such as https://api.example.com/orders".into()),
    }
}

/// Returns the part of the URL that is the path of the request for the service.
fn path(url: &Uri, public_url: &str) -> Result<String, Failure> {
    let text = url.to_string();
    let rest = text.strip_prefix(public_url.strip_suffix('/').unwrap_or(public_url));
    match rest {
        Some(rest) if rest.starts_with('/') => Ok(rest.to_owned()),
        Some(rest) if rest.is_empty() || rest.starts_with('?') => Ok(format!("/{rest}")),
        _ => {
            Err(format!("--url {} does not begin with the public URL {}", quoted(&text), quoted(public_url))
                .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_follows_public_url() {
        for (url, public_url, expected) in [
            ("https://a.example/orders?b=c", "https://a.example", Some("/orders?b=c")),
            ("https://a.example", "https://a.example", Some("/")),
            ("https://a.example/v1?b", "https://a.example/v1/", Some("/?b")),
            ("https://a.example/v1/orders", "https://a.example/v1", Some("/orders")),
            ("https://a.example/v10/orders", "https://a.example/v1", None),
            ("https://b.example/orders", "https://a.example", None),
        ] {
            assert_eq!(path(&url.parse().unwrap(), public_url).ok().as_deref(), expected, "{url}");
        }
        assert!(origin(&"/orders".parse().unwrap()).is_err());
    }
}
