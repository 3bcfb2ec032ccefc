use base64_simd::STANDARD;

use super::certificate;
use crate::error::FixedCause;
use crate::verify::mtls::ClientCertificate;

/// Reads `Client-Cert`: one byte sequence (RFC 9651, section 3.3.5) without parameters.
pub(super) fn read(value: &[u8]) -> Result<ClientCertificate, &'static FixedCause> {
    byte_sequence(value).and_then(|der| certificate(&der)).ok_or(MALFORMED)
}

fn byte_sequence(value: &[u8]) -> Option<Vec<u8>> {
    let base64 = value.trim_ascii().strip_prefix(b":")?.strip_suffix(b":")?;
    STANDARD.decode_to_vec(base64).ok()
}

const MALFORMED: &FixedCause = &FixedCause(
    "the header `Client-Cert` of the proxy is not one certificate in DER, encoded in base64 between two colons, such as \
     `:MIIBqDCC..:` (RFC 9440, section 2.1)",
);

#[cfg(test)]
mod tests {
    use super::super::tests::{PEM, THUMBPRINT, assert_read, base64};
    use super::*;

    /// The certificate of RFC 9440, appendix A.
    const RFC_9440: &str = include_str!("../../tests/fixtures/rfc9440.certificate.pem");

    #[test]
    fn reads_one_byte_sequence() {
        let certificate = &base64(PEM);
        let rfc_9440 = ClientCertificate::from_der(STANDARD.decode_to_vec(base64(RFC_9440)).unwrap());
        let rfc_9440 = &*rfc_9440.thumbprint().to_string();
        let good = || format!(":{certificate}:");
        for (name, value, expected) in [
            ("appendix A of RFC 9440", format!(":{}:", base64(RFC_9440)), Ok(rfc_9440)),
            ("appendix A of RFC 8705", good(), Ok(THUMBPRINT)),
            ("white space around it", format!(" {}\t", good()), Ok(THUMBPRINT)),
            ("empty", String::new(), Err("not one certificate")),
            ("one colon", ":".to_owned(), Err("not one certificate")),
            ("an empty sequence", "::".to_owned(), Err("not one certificate")),
            ("no colons", certificate.clone(), Err("not one certificate")),
            ("no first colon", format!("{certificate}:"), Err("not one certificate")),
            ("no last colon", format!(":{certificate}"), Err("not one certificate")),
            ("asterisks, as in RFC 8941 drafts", format!("*{certificate}*"), Err("not one certificate")),
            ("a string", format!("\"{certificate}\""), Err("not one certificate")),
            ("a list", format!("{0}, {0}", good()), Err("not one certificate")),
            ("a parameter", format!("{};a=1", good()), Err("not one certificate")),
            ("without padding", good().replace("=:", ":"), Err("not one certificate")),
            ("too much padding", good().replace("=:", "==:"), Err("not one certificate")),
            ("other trailing bits", good().replace("Y=:", "Z=:"), Err("not one certificate")),
            ("base64url", good().replace('/', "_"), Err("not one certificate")),
            ("a space inside", good().replacen('B', "B ", 1), Err("not one certificate")),
            ("not ASCII", good().replacen('B', "\u{e9}", 1), Err("not one certificate")),
            ("percent-encoded", good().replace('=', "%3D"), Err("not one certificate")),
            ("PEM", format!(":{}:", PEM), Err("not one certificate")),
            ("base64 of PEM", format!(":{}:", STANDARD.encode_to_string(PEM)), Err("not one certificate")),
            ("cut off", format!(":{}:", &certificate[..200]), Err("not one certificate")),
            ("two certificates", format!(":{}:", twice()), Err("not one certificate")),
            ("an integer", format!(":{}:", STANDARD.encode_to_string([2, 1, 7])), Err("not one certificate")),
        ] {
            assert_read(read, name, &value, expected);
        }
    }

    fn twice() -> String {
        let der = STANDARD.decode_to_vec(base64(PEM)).unwrap();
        STANDARD.encode_to_string([&*der, &*der].concat())
    }
}
