//! PEM layouts, and the errors for unreadable text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tower_jwt_auth::issue::SigningKey;
use tower_jwt_auth::{Algorithm, Key};

use super::{assert_error, der, fixture, jwk_of};

const PUBLIC: [(Algorithm, &str); 5] = [
    (Algorithm::RS256, "rsa2048.public.pem"),
    (Algorithm::RS256, "rsa2048.pkcs1.pem"),
    (Algorithm::ES256, "p256.public.pem"),
    (Algorithm::ES384, "p384.public.pem"),
    (Algorithm::EdDSA, "ed25519.public.pem"),
];

const PRIVATE: [(Algorithm, &str); 5] = [
    (Algorithm::RS256, "rsa2048.private.pem"),
    (Algorithm::RS256, "rsa2048.pkcs1-private.pem"),
    (Algorithm::ES256, "p256.private.pem"),
    (Algorithm::ES256, "p256.sec1-private.pem"),
    (Algorithm::EdDSA, "ed25519.private.pem"),
];

const NOT_PUBLIC: &str = "it is not a public key in PEM; it needs to begin with `-----BEGIN PUBLIC KEY-----` or \
    `-----BEGIN RSA PUBLIC KEY-----`";
const NOT_PRIVATE: &str = "it is not a private key in PEM; it needs to begin with `-----BEGIN PRIVATE KEY-----`, \
    `-----BEGIN RSA PRIVATE KEY-----` or `-----BEGIN EC PRIVATE KEY-----`";

/// Returns the same key with lines of `width` columns.
fn with_columns(pem: &str, width: usize) -> String {
    let lines: Vec<_> = pem.lines().collect();
    let [begin, body @ .., end] = &*lines else { panic!("it is PEM") };
    let body = body.concat();
    let body = body.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap());
    [*begin].into_iter().chain(body).chain([*end]).map(|line| format!("{line}\n")).collect()
}

/// Returns layouts that OpenSSL reads, and that RFC 7468, section 2 asks parsers to read.
fn layouts(pem: &str) -> Vec<(&'static str, String)> {
    vec![
        ("48 columns", with_columns(pem, 48)),
        ("76 columns", with_columns(pem, 76)),
        ("an odd number of columns", with_columns(pem, 7)),
        ("one long line", with_columns(pem, 100_000)),
        ("white space at line ends", pem.replace('\n', " \t\n")),
        ("indented", pem.replace('\n', "\n    ")),
        ("CR LF", pem.replace('\n', "\r\n")),
        ("CR", pem.replace('\n', "\r")),
        ("blank lines", pem.replace('\n', "\n\n")),
        ("text before", format!("Subject: the key of 2026\nkey = value\n\n{pem}")),
        ("text after", format!("{pem}\nthe key of 2026\n")),
        ("no line end", pem.trim_end().to_owned()),
        ("byte order mark", format!("\u{feff}{pem}")),
    ]
}

#[test]
fn reads_public_keys_as_openssl_does() {
    for (algorithm, name) in PUBLIC {
        for (layout, text) in layouts(&fixture(name)) {
            if let Err(error) = Key::pem(algorithm, text) {
                panic!("{name}, {layout}: {error}");
            }
        }
    }
}

#[test]
fn ignores_latin1_text_around_keys() {
    let text = b"Bag Attributes\n    friendlyName: J\xf6rg\n";
    let with_text = |pem: String| [text, pem.as_bytes(), text].concat();
    for (algorithm, name) in PUBLIC {
        assert!(Key::pem(algorithm, with_text(fixture(name))).is_ok(), "{name}");
    }
    let certificate = fixture("rsa2048.certificate.pem").into_bytes();
    for (algorithm, name) in PRIVATE {
        let pem = with_text(fixture(name));
        for pem in [pem.clone(), [&*certificate, &pem].concat(), [&*pem, &certificate].concat()] {
            assert!(SigningKey::pem(algorithm, pem).is_ok(), "{name}");
        }
    }
    let damaged = fixture("rsa2048.public.pem").replacen("\nM", "\n?", 1).into_bytes();
    let damaged: Vec<_> = damaged.iter().map(|byte| if *byte == b'?' { 0xf6 } else { *byte }).collect();
    assert_error(
        "in a key",
        Key::pem(Algorithm::RS256, damaged),
        "the key cannot be read: the text between its BEGIN and END lines is not base64; copy it again",
    );
}

#[test]
fn ignores_other_blocks_beside_a_private_key() {
    let block = |label: &str| format!("-----BEGIN {label}-----\nMIIB\n-----END {label}-----\n");
    for (algorithm, name) in PRIVATE {
        let pem = fixture(name);
        for label in [
            "DH PARAMETERS",
            "CERTIFICATE REQUEST",
            "X509 CRL",
            "EC PARAMETERS",
            "TRUSTED CERTIFICATE",
            "PUBLIC KEY",
        ] {
            for text in [block(label) + &pem, pem.clone() + &block(label)] {
                let key = SigningKey::pem(algorithm, text);
                assert!(key.is_ok(), "{name} with {label}: {}", key.unwrap_err());
            }
        }
        for label in ["ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", "DSA PRIVATE KEY"] {
            assert!(SigningKey::pem(algorithm, block(label) + &pem).is_err(), "{name} with {label}");
        }
    }
}

#[test]
fn explains_that_multi_prime_keys_are_unsupported() {
    let expected = "the key cannot be read: it is an RSA key with more than two primes, which is not supported; generate \
                    one with two";
    let pem = fixture("rsa2048-three-primes.pkcs1-private.pem");
    assert_error("PEM", SigningKey::pem(Algorithm::RS256, &pem), expected);
    assert_error("DER", SigningKey::der(Algorithm::RS256, der(&pem)), expected);
}

#[test]
fn reads_private_keys_as_openssl_does() {
    for (algorithm, name) in PRIVATE {
        let pem = fixture(name);
        let certificate = fixture("rsa2048.certificate.pem");
        let mut layouts = layouts(&pem);
        layouts.push(("a certificate before", format!("{certificate}{pem}")));
        layouts.push(("a certificate after", format!("{pem}{certificate}")));
        for (layout, text) in layouts {
            if let Err(error) = SigningKey::pem(algorithm, text) {
                panic!("{name}, {layout}: {error}");
            }
        }
    }
}

/// Returns ways to damage a key, with the expected error for each.
fn spoiled(pem: &str) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let base64 = STANDARD.encode(der(pem));
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let empty = "it is empty; check the file or variable that it comes from";
    let escaped = "its line breaks are escaped as `\\n`; replace them with line breaks";
    let quotes = "there are quotes around it; remove them";
    let line = "its BEGIN line is not a line of its own; put its line breaks back";
    let path = "it looks like the path of a file; read the file and pass its content";
    let bare = "it is base64 without BEGIN and END lines; add them, or decode it and use `der`";
    let utf_16 = "it is UTF-16; save it as UTF-8";
    let two = "there is more than one key in it; give it one at a time";
    let body = "the text between its BEGIN and END lines is not base64; copy it again";
    let (first, rest) = pem.split_at(pem.len() / 2);
    vec![
        ("nothing", vec![], empty),
        ("white space", b" \r\n\t".to_vec(), empty),
        ("empty quotes", b"\"\"".to_vec(), empty),
        ("escaped line breaks", pem.replace('\n', "\\n").into(), escaped),
        ("escaped line breaks in quotes", format!("{:?}", pem).into(), escaped),
        ("escaped CR LF", pem.replace('\n', "\\r\\n").into(), escaped),
        ("quotes", format!("\"{}\"", pem.trim_end()).into(), quotes),
        ("single quotes", format!("'{pem}'\n").into(), quotes),
        ("a variable with quotes", format!("KEY=\"{}\"", pem.trim_end()).into(), quotes),
        ("spaces for line breaks", pem.replace('\n', " ").into(), line),
        ("a path", b"/run/secrets/jwt\n".to_vec(), path),
        ("a path of here", b"keys/public.pem".to_vec(), path),
        ("a path of Windows", b"C:\\keys\\public.txt".to_vec(), path),
        ("a file URL", b"file:///run/secrets/jwt".to_vec(), path),
        ("base64 of the PEM", STANDARD.encode(pem).into(), "it is the base64 of a PEM; decode it first"),
        ("bare base64", base64.into(), bare),
        (
            "hex",
            der(pem).iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
            "it is hex; decode it first",
        ),
        ("DER", der(pem), "it is DER, not PEM; use `der`"),
        (
            "percent-encoded",
            pem.replace('\n', "%0A").replace(' ', "%20").into(),
            "it is percent-encoded; decode it first",
        ),
        ("UTF-16", utf16(pem), utf_16),
        ("UTF-16 with a mark", utf16(&format!("\u{feff}{pem}")), utf_16),
        ("two keys", pem.repeat(2).into(), two),
        ("no end", first.into(), "it has no END line; copy it again to its last line"),
        (
            "no end of the first",
            format!("{first}\n{pem}").into(),
            "it has no END line; copy it again to its last line",
        ),
        ("no beginning", rest.into(), "it has no BEGIN line; copy it again from its first line"),
        (
            "another end",
            pem.replace("-----END ", "-----END SOME ").into(),
            "its BEGIN and END lines do not match; copy it again",
        ),
        ("a digit lost", pem.replacen("M", "", 1).into(), body),
        ("a comment in it", pem.replacen("\nM", "\n# a comment\nM", 1).into(), body),
        (
            "a PGP key",
            b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n".to_vec(),
            "it is a PGP key, which JWTs are not signed with; use a key in PEM",
        ),
        (
            "PKCS #7",
            b"-----BEGIN PKCS7-----\nMIIB\n-----END PKCS7-----\n".to_vec(),
            "it is a PKCS #7 or PKCS #12 file; extract the key with `openssl`",
        ),
    ]
}

#[test]
fn names_what_was_given_as_a_public_key() {
    let pem = fixture("rsa2048.public.pem");
    let ssh = "it is an SSH key; `ssh-keygen -e -m PKCS8 -f FILE` converts it to PEM";
    let mut cases = spoiled(&pem);
    cases.extend([
        ("OpenSSH", b"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7 me@example.com".to_vec(), ssh),
        ("SSH2", b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----".to_vec(), ssh),
        (
            "OpenSSH, private",
            b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\n".to_vec(),
            "it is a private SSH key; `ssh-keygen -e -m PKCS8 -f FILE` writes its public key",
        ),
        (
            "a JWK",
            jwk_of(Algorithm::RS256).to_string().into(),
            "it is a JWK; use `Key::jwk` or `KeySet::jwks`",
        ),
        (
            "a request",
            b"-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n".to_vec(),
            NOT_PUBLIC,
        ),
        ("words", b"a key".to_vec(), NOT_PUBLIC),
        ("not UTF-8", vec![0xff; 300], "it is not UTF-8; check that it is the right file"),
    ]);
    for (name, text, reason) in cases {
        let expected = format!("the key cannot be read: {reason}");
        assert_error(name, Key::pem(Algorithm::RS256, text), &expected);
    }
}

#[test]
fn names_what_was_given_as_a_private_key() {
    let pem = fixture("rsa2048.private.pem");
    let mut cases = spoiled(&pem);
    let encrypted = "it is encrypted; `openssl pkey` decrypts it";
    let headers = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,5FE3\n\nMIIB\n\
        -----END RSA PRIVATE KEY-----\n";
    cases.extend([
        (
            "OpenSSH",
            b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\n".to_vec(),
            "it is a private SSH key; `ssh-keygen -p -m PKCS8 -f FILE` converts it to PEM",
        ),
        ("a JWK", jwk_of(Algorithm::RS256).to_string().into(), "it is a JWK; convert it to PEM"),
        ("encrypted", fixture("ed25519.encrypted-private.pem").into(), encrypted),
        (
            "encrypted, in base64",
            STANDARD.encode(der(&fixture("ed25519.encrypted-private.pem"))).into(),
            encrypted,
        ),
        ("encrypted, with headers", headers.into(), encrypted),
        ("words", b"a key".to_vec(), NOT_PRIVATE),
        ("not UTF-8", vec![0xff; 300], "it is not UTF-8; check that it is the right file"),
    ]);
    for (name, text, reason) in cases {
        let expected = format!("the key cannot be read: {reason}");
        assert_error(name, SigningKey::pem(Algorithm::RS256, text), &expected);
    }
}

#[test]
fn tells_private_from_public_in_every_encoding() {
    let private = "a private key was given where a public key is needed; `openssl pkey -pubout` extracts the public key";
    let public = "a public key was given where a private key is needed; only a private key can sign";
    let certificate = "a certificate was given where a public key is needed; \
        `openssl x509 -noout -pubkey` extracts the public key";
    let written = |name: &str| {
        let pem = fixture(name);
        let base64 = STANDARD.encode(der(&pem));
        [
            ("PEM", pem.clone().into_bytes()),
            ("PEM, escaped", pem.replace('\n', "\\n").into_bytes()),
            ("base64 of PEM", STANDARD.encode(&pem).into_bytes()),
            ("base64", base64.into_bytes()),
            ("DER", der(&pem)),
        ]
    };
    for name in ["rsa2048.private.pem", "rsa2048.pkcs1-private.pem", "p256.sec1-private.pem"] {
        for (encoding, key) in written(name) {
            let name = format!("{name} as {encoding}");
            assert_error(&name, Key::pem(Algorithm::RS256, &key), private);
            assert_error(&name, Key::der(Algorithm::RS256, &key), private);
        }
    }
    for (encoding, key) in written("rsa2048.certificate.pem") {
        assert_error(encoding, Key::pem(Algorithm::RS256, &key), certificate);
        assert_error(encoding, Key::der(Algorithm::RS256, &key), certificate);
    }
    for name in ["rsa2048.public.pem", "rsa2048.pkcs1.pem", "p256.public.pem", "rsa2048.certificate.pem"] {
        for (encoding, key) in written(name) {
            let name = format!("{name} as {encoding}");
            assert_error(&name, SigningKey::pem(Algorithm::RS256, &key), public);
            assert_error(&name, SigningKey::der(Algorithm::RS256, &key), public);
        }
    }
}

#[test]
fn names_what_was_given_as_der() {
    let (public, private) = (fixture("rsa2048.public.pem"), fixture("rsa2048.private.pem"));
    let pem = "the key cannot be read: it is PEM, not DER; use `pem`";
    assert_error("PEM", Key::der(Algorithm::RS256, &public), pem);
    assert_error("PEM", SigningKey::der(Algorithm::RS256, &private), pem);
    let base64 = "the key cannot be read: it is the base64 or hex of DER; decode it first";
    assert_error("base64", Key::der(Algorithm::RS256, STANDARD.encode(der(&public))), base64);
    assert_error("base64", SigningKey::der(Algorithm::RS256, STANDARD.encode(der(&private))), base64);
    let encoded = "the key cannot be read: it is an encoded PEM; decode it and use `pem`";
    assert_error("base64 of PEM", Key::der(Algorithm::RS256, STANDARD.encode(&public)), encoded);
}
