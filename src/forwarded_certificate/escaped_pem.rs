use super::certificate;
use crate::error::FixedCause;
use crate::verify::mtls::ClientCertificate;
use crate::verify::pem;

/// Reads a header that is only a certificate.
pub(super) fn read_header(value: &[u8]) -> Result<ClientCertificate, &'static FixedCause> {
    read(value).ok_or(MALFORMED)
}

/// Reads one certificate in percent-encoded PEM.
pub(super) fn read(text: &[u8]) -> Option<ClientCertificate> {
    let text: Vec<u8> = percent_encoding::percent_decode(text).collect();
    match &*pem::blocks(&text).ok()? {
        [block] if block.label == "CERTIFICATE" => certificate(&block.decode()?),
        _ => None,
    }
}

const MALFORMED: &FixedCause = &FixedCause(
    "the header of the proxy is not one certificate in percent-encoded PEM, such as `-----BEGIN%20CERTIFICATE-----%0A..`",
);

#[cfg(test)]
mod tests {
    use super::super::tests::{THUMBPRINT, escaped, pem};
    use super::*;

    #[test]
    fn reads_one_certificate() {
        let with_key = format!("{}-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", pem());
        for (name, text, is_read) in [
            ("Envoy and nginx", escaped(&pem()), true),
            ("AWS ALB leaves some characters", pem().replace('\n', "%0A").replace(' ', "%20"), true),
            ("lower-case escapes", escaped(&pem()).replace("%0A", "%0a").replace("%2F", "%2f"), true),
            ("every character escaped", pem().bytes().map(|byte| format!("%{byte:02X}")).collect(), true),
            ("CR and LF", escaped(&pem().replace('\n', "\r\n")), true),
            ("no line break at the end", escaped(pem().trim_end()), true),
            ("not escaped, without its line breaks", pem().replace('\n', " "), false),
            ("escaped twice", escaped(&escaped(&pem())), false),
            ("spaces as plus signs", escaped(&pem()).replace("%20", "+"), false),
            ("a broken escape", escaped(&pem()).replacen("%0A", "%0", 1), false),
            ("two certificates", escaped(&format!("{0}{0}", pem())), false),
            ("a private key", escaped(&with_key), false),
            ("another label", escaped(&pem().replace("CERTIFICATE", "PUBLIC KEY")), false),
            ("no END line", escaped(&pem().replace("-----END", "-----")), false),
            ("damaged", escaped(&pem().replacen("MII", "M!I", 1)), false),
            ("cut off", escaped(&pem().replace("+SY=", "")), false),
            ("not ASCII", "%ff%00\u{e9}".to_owned(), false),
            ("a percent sign", "%".to_owned(), false),
            ("empty", String::new(), false),
        ] {
            let thumbprint = read(text.as_bytes()).map(|certificate| certificate.thumbprint().to_string());
            assert_eq!(thumbprint.as_deref(), is_read.then_some(THUMBPRINT), "{name}");
        }
    }
}
