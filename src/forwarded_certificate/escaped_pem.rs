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
    use super::super::tests::{PEM, THUMBPRINT, escaped};
    use super::*;

    #[test]
    fn reads_one_certificate() {
        let with_key = format!("{}-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", PEM);
        for (name, text, is_read) in [
            ("Envoy and nginx", escaped(PEM), true),
            ("AWS ALB leaves some characters", PEM.replace('\n', "%0A").replace(' ', "%20"), true),
            ("lower-case escapes", escaped(PEM).replace("%0A", "%0a").replace("%2F", "%2f"), true),
            ("every character escaped", PEM.bytes().map(|byte| format!("%{byte:02X}")).collect(), true),
            ("CR and LF", escaped(&PEM.replace('\n', "\r\n")), true),
            ("no line break at the end", escaped(PEM.trim_end()), true),
            ("not escaped, without its line breaks", PEM.replace('\n', " "), false),
            ("escaped twice", escaped(&escaped(PEM)), false),
            ("spaces as plus signs", escaped(PEM).replace("%20", "+"), false),
            ("a broken escape", escaped(PEM).replacen("%0A", "%0", 1), false),
            ("two certificates", escaped(&format!("{0}{0}", PEM)), false),
            ("a private key", escaped(&with_key), false),
            ("another label", escaped(&PEM.replace("CERTIFICATE", "PUBLIC KEY")), false),
            ("no END line", escaped(&PEM.replace("-----END", "-----")), false),
            ("damaged", escaped(&PEM.replacen("MII", "M!I", 1)), false),
            ("cut off", escaped(&PEM.replace("+SY=", "")), false),
            ("not ASCII", "%ff%00\u{e9}".to_owned(), false),
            ("a percent sign", "%".to_owned(), false),
            ("empty", String::new(), false),
        ] {
            let thumbprint = read(text.as_bytes()).map(|certificate| certificate.thumbprint().to_string());
            assert_eq!(thumbprint.as_deref(), is_read.then_some(THUMBPRINT), "{name}");
        }
    }
}
