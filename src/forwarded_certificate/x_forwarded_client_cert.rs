use super::escaped_pem;
use crate::binding::Thumbprint;
use crate::error::FixedCause;
use crate::verify::mtls::ClientCertificate;

/// Reads the only element of `X-Forwarded-Client-Cert`.
///
/// Envoy does not quote all values. A client may have a certificate whose names contain `;Hash=..`, so a repeated key and a
/// second element are errors, and `Hash` and `Cert` must agree.
pub(super) fn read(value: &[u8]) -> Result<ClientCertificate, &'static FixedCause> {
    let (mut hash, mut cert, mut rest) = (None, None, value);
    loop {
        let pair = Pair::read(rest).ok_or(MALFORMED)?;
        let before = match &*pair.key.to_ascii_lowercase() {
            b"hash" => hash.replace(hex(pair.value).ok_or(MALFORMED)?),
            b"cert" => cert.replace(escaped_pem::read(pair.value).ok_or(MALFORMED)?),
            _ => None,
        };
        if before.is_some() {
            return Err(REPEATED);
        }
        rest = match pair.rest {
            [] => break,
            [b';', rest @ ..] => rest,
            [b',', ..] => return Err(SEVERAL_ELEMENTS),
            _ => return Err(MALFORMED),
        };
    }
    match (hash, cert) {
        (Some(hash), Some(cert)) if hash != cert => Err(DIFFERENT),
        (Some(certificate), _) | (None, Some(certificate)) => Ok(certificate),
        (None, None) => Err(NEITHER),
    }
}

/// A key with its value, and the text after it.
struct Pair<'a> {
    key: &'a [u8],
    /// Without the quotes. Backslashes stay: neither `Hash` nor `Cert` has any.
    value: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Pair<'a> {
    fn read(text: &'a [u8]) -> Option<Self> {
        let (key, text) = split_at(text, text.iter().position(|&byte| byte == b'=')?)?;
        let is_key = !key.is_empty() && key.iter().all(u8::is_ascii_alphanumeric);
        let (value, rest) = match text {
            [b'"', quoted @ ..] => split_at(quoted, closing_quote(quoted)?)?,
            plain => {
                let end = plain.iter().position(|byte| b";,".contains(byte)).unwrap_or(plain.len());
                let (value, rest) = plain.split_at(end);
                (!value.contains(&b'"')).then_some((value, rest))?
            }
        };
        is_key.then_some(Self { key, value, rest })
    }
}

/// Splits a text and drops the byte in between.
fn split_at(text: &[u8], separator: usize) -> Option<(&[u8], &[u8])> {
    Some((text.get(..separator)?, text.get(separator + 1..)?))
}

/// Returns the position of the first quote without a backslash before it.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    text.iter().position(|&byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })
}

fn hex(text: &[u8]) -> Option<ClientCertificate> {
    let mut hash = [0; 32];
    if text.len() != 2 * hash.len() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    for (byte, digits) in hash.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(digits[0])? << 4 | digit(digits[1])?;
    }
    Some(ClientCertificate::of(Thumbprint::new(hash)))
}

const MALFORMED: &FixedCause = &FixedCause(
    "the header `X-Forwarded-Client-Cert` of the proxy is malformed; `Hash` is the SHA-256 hash in hex, `Cert` is \
     percent-encoded PEM in quotes",
);
const REPEATED: &FixedCause =
    &FixedCause("the header `X-Forwarded-Client-Cert` of the proxy has more than one `Hash` or `Cert`");
const SEVERAL_ELEMENTS: &FixedCause = &FixedCause(
    "the header `X-Forwarded-Client-Cert` of the proxy has several elements; set `forward_client_cert_details` to \
     `SANITIZE_SET` in Envoy, so that it replaces those of its clients",
);
const DIFFERENT: &FixedCause = &FixedCause(
    "the `Hash` in the header `X-Forwarded-Client-Cert` of the proxy is not the hash of its `Cert`",
);
const NEITHER: &FixedCause =
    &FixedCause("the header `X-Forwarded-Client-Cert` of the proxy has neither `Hash` nor `Cert`");
