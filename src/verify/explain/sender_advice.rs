//! The cause and the cure of a missing or wrong proof or certificate.

use std::time::Duration;

use super::advice;
use super::claim_advice::MILLISECONDS;
use super::payload::Members;
use super::shown::{self, quoted};
use super::step::Advice;
use crate::credential::PROOF;
use crate::error::AuthError;
use crate::head::Head;
use crate::kind::AuthErrorKind;
use crate::verify::base64url::decode_to_vec;
use crate::verify::json;

/// The parts of a DPoP proof that a report shows. A part that cannot be read is `None`.
#[derive(Debug, Default)]
pub(super) struct Proof {
    typ: Option<String>,
    claims: Vec<(&'static str, String)>,
    is_readable: bool,
}

/// The claims that a proof needs (RFC 9449, section 4.2).
const CLAIMS: [&str; 5] = ["htm", "htu", "iat", "jti", "ath"];

impl Proof {
    /// Reads the first proof of a request.
    pub(super) fn of(request: Head<'_>) -> Option<Self> {
        let text = request.headers().get(PROOF)?.as_bytes();
        let mut parts = text.split(|byte| *byte == b'.').map(decode_to_vec);
        let [header, payload] = [parts.next()??, parts.next()??];
        let typ = json::object_text(&header).and_then(Members::read).and_then(|header| header.text("typ"));
        let claims = claims_of(&payload);
        Some(Self { typ, is_readable: claims.is_some(), claims: claims.unwrap_or_default() })
    }

    /// Describes the request that the proof is for.
    pub(super) fn described(&self) -> String {
        let (Some(method), Some(url)) = (self.claim("htm"), self.claim("htu")) else {
            return if self.is_readable { "a proof without a request" } else { "no readable proof" }
                .to_owned();
        };
        match self.issued() {
            Some(issued) => format!("{method} {url}, made at {}", shown::time(issued)),
            None => format!("{method} {url}"),
        }
    }

    fn claim(&self, name: &str) -> Option<&str> {
        self.claims.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str())
    }

    fn issued(&self) -> Option<Duration> {
        self.claim("iat")?.parse().ok().map(Duration::from_secs)
    }

    /// Returns the public URL of a service for which `htu` is the URL of this path.
    fn public_url(&self, path: &str) -> Option<&str> {
        let url = self.claim("htu")?;
        let url = url.find(['?', '#']).map_or(url, |end| &url[..end]);
        url.strip_suffix(path).filter(|base| base.contains("://"))
    }
}

/// Returns the claims of a payload that a proof needs, as a report shows them.
fn claims_of(payload: &[u8]) -> Option<Vec<(&'static str, String)>> {
    let payload = Members::read(json::object_text(payload).filter(|text| json::is_shallow(text))?)?;
    Some(CLAIMS.into_iter().filter_map(|name| Some((name, shown::json(payload.raw(name)?)))).collect())
}

/// Returns the advice for an error of a proof.
pub(super) fn proof(error: &AuthError, proof: &Proof, request: Option<Head<'_>>) -> Advice {
    let kind = error.kind();
    let cause = || shown::source(error).unwrap_or_else(|| cause_of(kind).to_owned());
    match kind {
        AuthErrorKind::WrongProofRequest => request.and_then(|request| wrong_request(proof, request)),
        AuthErrorKind::MalformedProof => malformed(proof),
        AuthErrorKind::WrongProofTime if proof.issued() > Some(MILLISECONDS) => Some(Advice::new(
            "the `iat` of the proof is probably in milliseconds",
            "write seconds since 1970 in the client (RFC 7519, section 2)",
        )),
        AuthErrorKind::Unavailable => Some(Advice::new(
            cause(),
            "raise Dpop::max_proofs if the memory is full; otherwise check that this machine reaches the store of proofs",
        )),
        _ => None,
    }
    .unwrap_or_else(|| Advice::new(cause(), advice::cure_of(kind)))
}

/// Returns the advice for an error of the client certificate.
pub(super) fn certificate(error: &AuthError) -> Advice {
    let cause = shown::source(error).unwrap_or_else(|| cause_of(error.kind()).to_owned());
    Advice::new(cause, advice::cure_of(error.kind()))
}

/// The causes of errors without a source.
fn cause_of(kind: AuthErrorKind) -> &'static str {
    match kind {
        AuthErrorKind::WrongProofToken => {
            "the `ath` of the proof is not the hash of this token: its SHA-256 in base64url"
        }
        AuthErrorKind::InvalidProofSignature => {
            "the key in the header of the proof (`jwk`) has not signed it, or the proof was changed"
        }
        AuthErrorKind::ReplayedProof => "a proof with this key and `jti` was accepted before",
        _ => "a check of the sender failed",
    }
}

fn wrong_request(proof: &Proof, request: Head<'_>) -> Option<Advice> {
    let (method, path) = (request.method().as_str(), request.uri().path());
    let (signed, url) = (proof.claim("htm")?, proof.claim("htu")?);
    if signed != method {
        return Some(Advice::new(
            format!("the proof is for the method {}, and the request is {}", quoted(signed), quoted(method)),
            "sign a proof for the method of the request, in capital letters",
        ));
    }
    let cause = format!("the proof is for {}, which is not the URL of this request", quoted(url));
    Some(match proof.public_url(path) {
        Some(base) => Advice::new(
            cause,
            format!("if clients reach the service at {}, set Dpop::new to this URL", quoted(base)),
        ),
        None => Advice::new(
            cause,
            "sign a proof for the URL of this request; if a proxy or axum's `nest` removes a part of the path, add it to the \
             URL of Dpop::new",
        ),
    })
}

fn malformed(proof: &Proof) -> Option<Advice> {
    let missing = CLAIMS.into_iter().find(|name| proof.is_readable && proof.claim(name).is_none());
    match (&proof.typ, missing) {
        (Some(typ), _) if typ != "dpop+jwt" => Some(Advice::new(
            format!("the `typ` of the proof is {}, not `dpop+jwt`", quoted(typ)),
            "send the proof in the header `DPoP`, and the access token in `Authorization`",
        )),
        (_, Some("ath")) => Some(Advice::new(
            "the proof has no `ath`, like one for the token endpoint of the provider",
            "sign a proof for this request, with the hash of the access token as `ath` (RFC 9449, section 7)",
        )),
        (_, Some(name)) => Some(Advice::new(
            format!("the proof has no {}", quoted(name)),
            "write all claims of RFC 9449, section 4.2; a DPoP library does it",
        )),
        _ => None,
    }
}
