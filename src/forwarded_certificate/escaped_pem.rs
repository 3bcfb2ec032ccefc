use super::certificate;
use crate::verify::mtls::ClientCertificate;
use crate::verify::pem;

/// Reads one certificate in percent-encoded PEM.
pub(super) fn read(text: &[u8]) -> Option<ClientCertificate> {
    let text: Vec<u8> = percent_encoding::percent_decode(text).collect();
    match &*pem::blocks(&text).ok()? {
        [block] if block.label == "CERTIFICATE" => certificate(&block.decode()?),
        _ => None,
    }
}
