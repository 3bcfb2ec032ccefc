//! PEM as OpenSSL reads it: lines of any length, any line ends, text around the blocks (RFC 7468, section 2).

use std::str;

use base64_simd::STANDARD;

use crate::config_error::{ConfigError, ConfigProblem};
use crate::crypto::key_detection::{Form, KeyMaterial, Kind, Wrapping};

/// A BEGIN line, an END line, and the base64 between them.
pub(crate) struct Block<'a> {
    pub(crate) label: &'a str,
    body: &'a [u8],
}

/// The PEM blocks that a caller accepts, and its errors for all others.
pub(crate) struct Expected {
    pub(crate) labels: &'static [&'static str],
    /// Returns true if a block with this label is a key. Other blocks are ignored.
    pub(crate) is_key: fn(&str) -> bool,
    /// Returns the error for an unusable kind of key in any encoding.
    pub(crate) refuse: fn(Kind) -> Option<ConfigProblem>,
    pub(crate) error: fn(&'static str) -> ConfigProblem,
    pub(crate) not_pem: &'static str,
    pub(crate) not_der: &'static str,
}

impl Expected {
    /// Reads the only block with one of the labels. Returns its label and DER.
    pub(crate) fn read<'a>(&self, pem: &'a [u8]) -> Result<(&'a str, Vec<u8>), ConfigError> {
        let mut blocks = blocks(pem).map_err(|broken| self.explain(pem, broken))?;
        blocks.retain(|block| (self.is_key)(block.label));
        match &*blocks {
            [block] if self.labels.contains(&block.label) => {
                let der = block.decode().ok_or_else(|| self.explain(pem, DAMAGED))?;
                if KeyMaterial::detect(&der).is_none() {
                    return Err(self.explain(pem, NOT_WHOLE));
                }
                Ok((block.label, der))
            }
            [] | [_] => Err(self.explain(pem, self.not_pem)),
            [_, _, ..] => Err(self.explain(pem, "there is more than one key in it; give it one at a time")),
        }
    }

    /// Returns the error for an unreadable PEM: `reason`, unless the text is something else than PEM.
    pub(crate) fn explain(&self, pem: &[u8], reason: &'static str) -> ConfigError {
        let Some(found) = KeyMaterial::detect(pem) else {
            return (self.error)(unknown(pem).unwrap_or(reason)).into();
        };
        if let Some(error) = (self.refuse)(found.kind) {
            return error.into();
        }
        (self.error)(match (found.kind, found.wrapping, found.form) {
            (Kind::PgpKey, ..) => "it is a PGP key, which JWTs are not signed with; use a key in PEM",
            (Kind::Pkcs7Or12, ..) => "it is a PKCS #7 or PKCS #12 file; extract the key with `openssl`",
            (_, Some(Wrapping::Utf16), _) => "it is UTF-16; save it as UTF-8",
            (_, Some(Wrapping::Percent), _) => "it is percent-encoded; decode it first",
            (_, Some(Wrapping::Hex), _) => "it is hex; decode it first",
            (_, Some(Wrapping::Numbers), _) => "it is a list of numbers; decode it first",
            (_, Some(Wrapping::Base64), Form::Der) => {
                "it is base64 without BEGIN and END lines; add them, or decode it and use `der`"
            }
            (_, Some(Wrapping::Base64), _) => "it is the base64 of a PEM; decode it first",
            (_, None, Form::Der) => "it is DER, not PEM; use `der`",
            (_, None, Form::Pem) => misplaced(pem).unwrap_or(reason),
            (_, None, Form::Own) | (_, Some(Wrapping::Text), _) => reason,
        })
        .into()
    }

    /// Returns the error for bytes that are not DER of an accepted key.
    pub(crate) fn explain_der(&self, der: &[u8]) -> ConfigError {
        let found = KeyMaterial::detect(der);
        if let Some(error) = found.and_then(|found| (self.refuse)(found.kind)) {
            return error.into();
        }
        (self.error)(match found {
            Some(KeyMaterial { form: Form::Pem, wrapping: None, .. }) => "it is PEM, not DER; use `pem`",
            Some(KeyMaterial { form: Form::Pem, .. }) => "it is an encoded PEM; decode it and use `pem`",
            Some(KeyMaterial { wrapping: Some(_), .. }) => "it is the base64 or hex of DER; decode it first",
            _ => self.not_der,
        })
        .into()
    }
}

impl Block<'_> {
    /// Decodes the base64 between the lines. Makes no temporary copy, which would leave a private key in memory.
    pub(crate) fn decode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.body.len());
        bytes.extend(self.body.iter().filter(|byte| !byte.is_ascii_whitespace()));
        let len = STANDARD.decode_inplace(&mut bytes).ok()?.len();
        bytes.truncate(len);
        Some(bytes)
    }
}

/// Returns the blocks of a text in order, or the reason why it is broken. Text around them may have any encoding.
pub(crate) fn blocks(pem: &[u8]) -> Result<Vec<Block<'_>>, &'static str> {
    let text = pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem);
    let (mut blocks, mut open, mut end) = (Vec::new(), None, 0);
    for line in text.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        let start = end;
        end += line.len();
        match (open, boundary(line, "BEGIN "), boundary(line, "END ")) {
            (None, Some(label), _) => open = Some((label, end)),
            (Some((label, body)), _, Some(ended)) if label == ended => {
                blocks.push(Block { label, body: &text[body..start] });
                open = None;
            }
            (Some(_), _, Some(_)) => {
                return Err("its BEGIN and END lines do not match; copy it again");
            }
            (None, _, Some(_)) => return Err("it has no BEGIN line; copy it again from its first line"),
            (Some(_), Some(_), _) => return Err(NO_END),
            (_, None, None) => {}
        }
    }
    if open.is_some() { Err(NO_END) } else { Ok(blocks) }
}

const NO_END: &str = "it has no END line; copy it again to its last line";
const NOT_WHOLE: &str = "the text between its BEGIN and END lines is not a whole key; copy it again";
pub(crate) const DAMAGED: &str = "the text between its BEGIN and END lines is not base64; copy it again";

/// Returns the label of a BEGIN or END line (RFC 7468, section 3).
fn boundary<'a>(line: &'a [u8], word: &str) -> Option<&'a str> {
    let label =
        str::from_utf8(line).ok()?.trim().strip_prefix("-----")?.strip_prefix(word)?.strip_suffix("-----")?;
    (!label.contains("-----")).then_some(label)
}

/// Explains why a PEM has no BEGIN line on a separate line.
fn misplaced(pem: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(pem);
    let text = text.trim_start_matches('\u{feff}').trim();
    let has_begin = text.split(['\n', '\r']).any(|line| boundary(line.as_bytes(), "BEGIN ").is_some());
    if text.contains("\\n") {
        Some("its line breaks are escaped as `\\n`; replace them with line breaks")
    } else if text.starts_with(['"', '\'', '`']) || text.contains(['"', '\'', '`']) && !has_begin {
        Some("there are quotes around it; remove them")
    } else if !has_begin {
        Some("its BEGIN line is not a line of its own; put its line breaks back")
    } else {
        None
    }
}

/// Explains a text that is no key material at all.
fn unknown(text: &[u8]) -> Option<&'static str> {
    const NAMES: [&str; 12] =
        [".pem", ".key", ".pub", ".crt", ".cer", ".der", ".p8", ".p12", ".pfx", ".pk8", ".txt", ".json"];
    let Ok(text) = str::from_utf8(text) else {
        return Some("it is not UTF-8; check that it is the right file");
    };
    let text = text.trim().trim_matches(['"', '\'']);
    if text.is_empty() {
        return Some("it is empty; check the file or variable that it comes from");
    }
    let begins = ["/", "./", "../", "~/", ".\\", "..\\", "file:"].iter().any(|begin| text.starts_with(begin));
    let is_path = begins || text.get(1..3) == Some(":\\") || NAMES.iter().any(|name| text.ends_with(name));
    (is_path && !text.contains(['\n', '\r']))
        .then_some("it looks like the path of a file; read the file and pass its content")
}
