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
