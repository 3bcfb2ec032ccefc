//! Detects keys and certificates in any usual encoding.
//!
//! They are rejected as HMAC secrets, because others may be able to read them. Errors about a PEM name the kind that
//! was detected.

use std::borrow::Cow;

use memchr::memmem;
use percent_encoding::percent_decode;
use spki::der::asn1::AnyRef;
use spki::der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

/// A detected key or certificate, with its encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyMaterial {
    pub(crate) kind: Kind,
    pub(crate) form: Form,
    /// The outermost encoding around `form`, if any.
    pub(crate) wrapping: Option<Wrapping>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    PublicKey,
    PrivateKey,
    EncryptedPrivateKey,
    Certificate,
    Jwk,
    SshPublicKey,
    SshPrivateKey,
    PgpKey,
    Pkcs7Or12,
    /// A PEM with any other label.
    OtherPem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Pem,
    Der,
    /// A format specific to one `Kind`.
    Own,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapping {
    Base64,
    Hex,
    Utf16,
    Percent,
    Numbers,
    /// Other text before or after the key, such as the name of a variable.
    Text,
}

impl KeyMaterial {
    /// Detects key material. Returns `None` for a secret.
    ///
    /// Random bytes, also in base64 or hex, are practically never mistaken for a key: every pattern has at least 38
    /// bits.
    ///
    /// Bare numbers look random and are not detected:
    ///
    /// - the `n` of a JWK
    /// - the 32 bytes of an Ed25519 key
    /// - the 65 bytes of an uncompressed EC point
    pub(crate) fn detect(bytes: &[u8]) -> Option<Self> {
        Self::detect_within(bytes, 4)
    }

    fn detect_within(bytes: &[u8], most_wrappings: usize) -> Option<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let found = |kind, form| Self { kind, form, wrapping: None };
        if contains(bytes, b"-----BEGIN ") {
            return Some(found(pem_kind(bytes), Form::Pem));
        }
        if let Some((_, kind)) = MARKS.iter().find(|(mark, _)| contains(bytes, mark)) {
            return Some(found(*kind, Form::Own));
        }
        if let Some(kind) = der_kind(bytes) {
            return Some(found(kind, Form::Der));
        }
        let unwrap: [(Wrapping, Unwrap); 6] = [
            (Wrapping::Utf16, from_utf16),
            (Wrapping::Percent, from_percent),
            (Wrapping::Hex, from_hex),
            (Wrapping::Base64, from_base64),
            (Wrapping::Numbers, from_numbers),
            (Wrapping::Text, longest_value),
        ];
        let unwrapped = unwrap.into_iter().filter(|_| most_wrappings > 0).find_map(|(wrapping, unwrap)| {
            let inner = Self::detect_within(&unwrap(bytes)?, most_wrappings - 1)?;
            let outermost =
                if wrapping == Wrapping::Text { inner.wrapping.unwrap_or(wrapping) } else { wrapping };
            Some(Self { wrapping: Some(outermost), ..inner })
        });
        unwrapped.or_else(|| is_part_of_pem(bytes).then_some(found(Kind::OtherPem, Form::Own)))
    }
}

impl Kind {
    /// Returns the end of the sentence "HS256 cannot be used with ...".
    pub(crate) fn as_secret(self) -> &'static str {
        match self {
            Self::PublicKey => "a public key as its secret; use random bytes",
            Self::PrivateKey | Self::EncryptedPrivateKey => "a private key as its secret; use random bytes",
            Self::Certificate => "a certificate as its secret; use random bytes",
            Self::Jwk => "a JWK as its secret; use random bytes, or `Key::jwk` to read a JWK",
            Self::SshPublicKey | Self::SshPrivateKey => "an SSH key as its secret; use random bytes",
            Self::PgpKey => "a PGP key as its secret; use random bytes",
            Self::Pkcs7Or12 => "a PKCS #7 or PKCS #12 file as its secret; use random bytes",
            Self::OtherPem => "a PEM as its secret; use random bytes",
        }
    }
}

type Unwrap = fn(&[u8]) -> Option<Vec<u8>>;

/// Texts that only key files contain.
const MARKS: &[(&[u8], Kind)] = &[
    // The key type in `authorized_keys`, `known_hosts` and `*.pub`, and in the binary format.
    (b"ssh-rsa ", Kind::SshPublicKey),
    (b"ssh-dss ", Kind::SshPublicKey),
    (b"ssh-ed25519 ", Kind::SshPublicKey),
    (b"ssh-ed448 ", Kind::SshPublicKey),
    (b"\0\0\0\x07ssh-rsa", Kind::SshPublicKey),
    (b"\0\0\0\x07ssh-dss", Kind::SshPublicKey),
    (b"\0\0\0\x0bssh-ed25519", Kind::SshPublicKey),
    (b"\0\0\0\x09ssh-ed448", Kind::SshPublicKey),
    (b"ecdsa-sha2-", Kind::SshPublicKey),
    (b"sk-ssh-ed25519", Kind::SshPublicKey),
    (b"-cert-v01@openssh.com", Kind::SshPublicKey),
    // RFC 4716.
    (b"---- BEGIN SSH2 ", Kind::SshPublicKey),
    (b"openssh-key-v1", Kind::SshPrivateKey),
    (b"PuTTY-User-Key-File-", Kind::SshPrivateKey),
    // A member of a JWK, also inside a JSON string and as Python prints it.
    (b"\"kty\"", Kind::Jwk),
    (b"\\\"kty\\\"", Kind::Jwk),
    (b"'kty'", Kind::Jwk),
    (b"\"x5c\"", Kind::Certificate),
    (b"\\\"x5c\\\"", Kind::Certificate),
    // The same member in YAML and JavaScript.
    (b"kty: ", Kind::Jwk),
    (b"kty:\"", Kind::Jwk),
    (b"kty:'", Kind::Jwk),
    // The usual `e`, for a JWK without `kty`.
    (b"\"AQAB\"", Kind::Jwk),
    (b"AQAB\\\"", Kind::Jwk),
    (b"'AQAB'", Kind::Jwk),
    // XML (XML-Signature, section 4.5). .NET writes private keys in the same format.
    (b"<InverseQ>", Kind::PrivateKey),
    (b"RSAKeyValue>", Kind::PublicKey),
    (b"ECKeyValue>", Kind::PublicKey),
    (b"X509Certificate>", Kind::Certificate),
    // A PEM from an HTML form.
    (b"-----BEGIN+", Kind::OtherPem),
];

/// Returns the kind of the first label in this list that the PEM contains.
fn pem_kind(text: &[u8]) -> Kind {
    const LABELS: [(&[u8], Kind); 9] = [
        (b"BEGIN SSH2 ", Kind::SshPublicKey),
        (b"BEGIN PGP ", Kind::PgpKey),
        (b"OPENSSH PRIVATE KEY-----", Kind::SshPrivateKey),
        // Matches a label and a header (RFC 1421, section 4.6.1.1).
        (b"ENCRYPTED", Kind::EncryptedPrivateKey),
        (b"PRIVATE KEY-----", Kind::PrivateKey),
        (b"PUBLIC KEY-----", Kind::PublicKey),
        (b"CERTIFICATE-----", Kind::Certificate),
        (b"PKCS7-----", Kind::Pkcs7Or12),
        (b"CMS-----", Kind::Pkcs7Or12),
    ];
    LABELS.iter().find(|(label, _)| contains(text, label)).map_or(Kind::OtherPem, |(_, kind)| *kind)
}

/// Returns true for the rest of a PEM: a BEGIN or END line without its dashes or spaces, or only one of the two lines.
fn is_part_of_pem(text: &[u8]) -> bool {
    const TYPES: [&[u8]; 7] = [b"", b"RSA ", b"EC ", b"DSA ", b"ENCRYPTED ", b"TRUSTED ", b"X509 "];
    const NAMES: [&[u8]; 3] = [b"PUBLIC KEY", b"PRIVATE KEY", b"CERTIFICATE"];
    let words = [&b"BEGIN "[..], b"END "].into_iter();
    let mut labels = words.flat_map(|word| memmem::find_iter(text, word).map(|at| &text[at + word.len()..]));
    let has_label = labels.any(|label| {
        let mut names = TYPES.iter().filter_map(|kind| label.strip_prefix(*kind));
        names.any(|name| NAMES.iter().any(|wanted| name.starts_with(wanted)))
    });
    has_label || contains(text, b"-----BEGIN") || contains(text, b"-----END")
}

/// Recognizes DER by the types of its first elements. Ignores bytes after it.
fn der_kind(bytes: &[u8]) -> Option<Kind> {
    let outer = AnyRef::decode(&mut SliceReader::new(bytes).ok()?).ok()?;
    let mut elements = (outer.tag() == Tag::Sequence).then(|| SliceReader::new(outer.value()).ok())??;
    let first = AnyRef::decode(&mut elements).ok()?;
    let second = AnyRef::decode(&mut elements).ok()?;
    let third = match elements.is_finished() {
        true => None,
        false => Some(AnyRef::decode(&mut elements).ok()?.tag()),
    };
    // An `AlgorithmIdentifier` or a `ContentInfo` starts with an OID.
    let has_oid = |element: AnyRef<'_>| element.value().first() == Some(&0x06);
    match (first.tag(), second.tag(), third) {
        (Tag::Sequence, Tag::BitString, None) if has_oid(first) => Some(Kind::PublicKey),
        // An `RSAPublicKey`.
        (Tag::Integer, Tag::Integer, None) => Some(Kind::PublicKey),
        (Tag::Sequence, Tag::Sequence, Some(Tag::BitString)) if has_oid(second) => Some(Kind::Certificate),
        (Tag::Sequence, Tag::OctetString, None) if has_oid(first) => Some(Kind::EncryptedPrivateKey),
        // The next three are an `RSAPrivateKey`, a `PrivateKeyInfo` and an `ECPrivateKey`. An `RSAPrivateKey` with more
        // than two primes has version 1.
        (Tag::Integer, Tag::Integer, Some(Tag::Integer)) if matches!(first.value(), [0 | 1]) => {
            Some(Kind::PrivateKey)
        }
        (Tag::Integer, Tag::Sequence, Some(Tag::OctetString)) if has_oid(second) => Some(Kind::PrivateKey),
        (Tag::Integer, Tag::OctetString, _) if first.value() == [1] => Some(Kind::PrivateKey),
        (Tag::ObjectIdentifier, Tag::ContextSpecific { number: TagNumber(0), .. }, None) => {
            Some(Kind::Pkcs7Or12)
        }
        (Tag::Integer, Tag::Sequence, _) if first.value() == [3] && has_oid(second) => Some(Kind::Pkcs7Or12),
        _ => None,
    }
}

/// Decodes UTF-16 if the text has a byte order mark, or if at least half of its characters are Latin.
fn from_utf16(bytes: &[u8]) -> Option<Vec<u8>> {
    let zeros = |from| bytes.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let read = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ if zeros(1) > bytes.len() / 4 => u16::from_le_bytes,
        _ if zeros(0) > bytes.len() / 4 => u16::from_be_bytes,
        _ => return None,
    };
    let units: Vec<_> = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
    Some(String::from_utf16_lossy(&units).trim_start_matches('\u{feff}').into())
}

fn from_percent(bytes: &[u8]) -> Option<Vec<u8>> {
    match Cow::from(percent_decode(bytes)) {
        Cow::Owned(decoded) => Some(decoded),
        Cow::Borrowed(_) => None,
    }
}

/// Decodes pairs of hex digits, also in formats like `30-82`, `0x30, 0x82` and `\x30\x82`.
fn from_hex(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut digits = Vec::with_capacity(bytes.len());
    let kept = without(bytes, b":-{}();");
    let mut rest = &*kept;
    while let [first, after @ ..] = rest {
        rest = match rest {
            // A prefix of a pair.
            [b'0', b'x' | b'X', after @ ..] | [b'x', after @ ..] if digits.len() % 2 == 0 => after,
            _ => {
                digits.push(char::from(*first).to_digit(16)?);
                after
            }
        };
    }
    // Ignores a single digit at the end.
    digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).ok()).collect()
}

/// Decodes a list of decimal bytes, signed or unsigned. If the text has square brackets, reads only the list inside
/// them.
fn from_numbers(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(bytes).ok()?;
    let list = text.split_once('[').map_or(text, |(_, list)| list);
    let list = list.split_once(']').map_or(list, |(list, _)| list);
    let numbers =
        list.split(|c: char| c == ',' || c.is_ascii_whitespace()).filter(|number| !number.is_empty());
    numbers.map(|number| number.parse().or_else(|_| number.parse().map(i8::cast_unsigned)).ok()).collect()
}

/// Returns the longest text between delimiters, such as `MII..` in `KEY=MII..`, `data:;base64,MII..` and
/// `<Key>MII..</Key>`.
fn longest_value(bytes: &[u8]) -> Option<Vec<u8>> {
    let values = bytes.split(|byte| b":=,;<>(){}[]\"'`".contains(byte));
    let longest = values.max_by_key(|value| value.len())?;
    (longest.len() < bytes.len()).then(|| longest.to_vec())
}

/// Decodes either base64 alphabet up to the first `=`. The padding is optional.
fn from_base64(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = without(bytes, b"");
    let digits = text.split(|byte| *byte == b'=').next()?.iter().map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => *byte,
    });
    let mut digits: Vec<_> = digits.collect();
    // Ignores a single digit at the end, which is less than a byte.
    if digits.len() % 4 == 1 {
        digits.pop();
    }
    base64_simd::forgiving_decode_to_vec(&digits).ok()
}

/// Removes characters that may surround or separate the digits of a key: white space, also escaped, quotes, array
/// syntax, zero bytes, and `more`.
fn without(bytes: &[u8], more: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        rest = match rest {
            [b'\\', b'n' | b'r' | b't', after @ ..] => after,
            _ => after,
        };
        if !(first.is_ascii_whitespace() || b"\0\\\"'`[],".contains(first) || more.contains(first)) {
            kept.push(*first);
        }
    }
    kept
}

fn contains(bytes: &[u8], mark: &[u8]) -> bool {
    memmem::find(bytes, mark).is_some()
}
