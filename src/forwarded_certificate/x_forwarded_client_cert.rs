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

#[cfg(test)]
mod tests {
    use super::super::tests::{PEM, THUMBPRINT, assert_read, escaped};
    use super::*;

    /// [`THUMBPRINT`] in hex.
    const HASH: &str = "0380ed2f626650c840b2f263e6d2b29fae12ab39ae5db32b25ad27efad72e6fd";
    /// The first example of Envoy's documentation.
    const ENVOY: &str = "By=http://frontend.lyft.com;Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688;\
        Subject=\"/C=US/ST=CA/L=San Francisco/OU=Lyft/CN=Test Client\";URI=http://testclient.lyft.com";
    const ENVOY_THUMBPRINT: &str = "Ro7TO-dO7mVW2QwBScEwnpumHWQlMDRDwHSKAt2N5og";

    #[test]
    fn reads_one_element() {
        let cert = format!("Cert=\"{}\"", escaped(PEM));
        let other = HASH.replacen('0', "1", 1);
        let second = "By=http://backend.lyft.com;Hash=9ba61d6425303443c0748a02dd8de688468ed33be74eee6556d90c0149c1309e;\
            URI=http://frontend.lyft.com";
        for (name, value, expected) in [
            ("first example of Envoy", ENVOY.to_owned(), Ok(ENVOY_THUMBPRINT)),
            ("second example of Envoy", format!("{ENVOY},{second}"), Err("several elements")),
            (
                "third example of Envoy",
                format!("{ENVOY};DNS=lyft.com;DNS=www.lyft.com"),
                Ok(ENVOY_THUMBPRINT),
            ),
            ("hash", format!("Hash={HASH}"), Ok(THUMBPRINT)),
            ("hash in quotes", format!("Hash=\"{HASH}\""), Ok(THUMBPRINT)),
            ("hash in capitals", format!("HASH={}", HASH.to_uppercase()), Ok(THUMBPRINT)),
            ("certificate", cert.clone(), Ok(THUMBPRINT)),
            ("certificate without quotes", cert.replace('"', ""), Ok(THUMBPRINT)),
            ("both", format!("By=;Hash={HASH};{cert};Chain=\"%0A\""), Ok(THUMBPRINT)),
            ("both in the other order", format!("{cert};hash={HASH}"), Ok(THUMBPRINT)),
            ("an unknown key", format!("Next=1;Hash={HASH}"), Ok(THUMBPRINT)),
            ("a URI with an equals sign", format!("Hash={HASH};URI=https://a/?b=c"), Ok(THUMBPRINT)),
            ("separators in quotes", format!("Subject=\"CN=a;b,c=\";Hash={HASH}"), Ok(THUMBPRINT)),
            ("an escaped quote", format!(r#"Subject="CN=\";Hash=1";Hash={HASH}"#), Ok(THUMBPRINT)),
            ("an escaped backslash", format!(r#"Subject="CN=\\";Hash={HASH}"#), Ok(THUMBPRINT)),
            ("another hash", format!("Hash={other};{cert}"), Err("not the hash of its `Cert`")),
            ("two hashes", format!("Hash={HASH};Hash={HASH}"), Err("more than one")),
            (
                "a hash in a name of the client",
                format!("Hash={HASH};URI=a;hash={other}"),
                Err("more than one"),
            ),
            ("two certificates", format!("{cert};{cert}"), Err("more than one")),
            (
                "an element in a name of the client",
                format!("Hash={HASH};URI=a,Hash={other}"),
                Err("several elements"),
            ),
            ("two elements", format!("Hash={HASH},Hash={HASH}"), Err("several elements")),
            ("an empty second element", format!("Hash={HASH},"), Err("several elements")),
            ("neither", "By=a;URI=b".to_owned(), Err("neither")),
            ("empty", String::new(), Err("malformed")),
            ("an empty first element", format!(",Hash={HASH}"), Err("malformed")),
            ("an empty pair", format!("Hash={HASH};"), Err("malformed")),
            ("no key", format!("={HASH}"), Err("malformed")),
            ("no value", "Hash".to_owned(), Err("malformed")),
            ("an empty hash", "Hash=".to_owned(), Err("malformed")),
            ("an empty certificate, as of nginx", "Cert=\"\"".to_owned(), Err("malformed")),
            ("a short hash", format!("Hash={}", &HASH[1..]), Err("malformed")),
            ("a long hash", format!("Hash={HASH}0"), Err("malformed")),
            ("a hash with colons", format!("Hash={}", HASH.replace("80", "8:0")), Err("malformed")),
            ("a hash in base64url", format!("Hash={THUMBPRINT}"), Err("malformed")),
            (
                "a hash with another digit",
                format!("Hash={}", HASH.replacen('0', "\u{660}", 1)),
                Err("malformed"),
            ),
            ("a space before the key", format!("By=a; Hash={HASH}"), Err("malformed")),
            ("a space before the value", format!("Hash= {HASH}"), Err("malformed")),
            ("an open quote", format!("Hash=\"{HASH}"), Err("malformed")),
            ("an escaped last quote", format!(r#"Subject="a\";Hash={HASH}"#), Err("malformed")),
            ("text after a quote", format!("Hash=\"{HASH}\"a"), Err("malformed")),
            ("a quote inside a value", format!("URI=a\"b;Hash={HASH}"), Err("malformed")),
            ("only a quote", "Cert=\"".to_owned(), Err("malformed")),
            ("two PEM blocks", format!("Cert=\"{}\"", escaped(PEM).repeat(2)), Err("malformed")),
            ("Client-Cert", ":MIIB:".to_owned(), Err("malformed")),
        ] {
            assert_read(read, name, &value, expected);
        }
    }
}
