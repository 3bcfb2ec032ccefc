//! URLs, read as in two standards and as simply as possible.

/// The parts of an `http` or `https` URL that its identity depends on, normalized by RFC 3986, section 6.2.
#[derive(Debug, PartialEq)]
struct Url {
    scheme: String,
    host: String,
    port: String,
    path: String,
}

impl Url {
    /// Reads a URL without its query and fragment. Returns `None` for other URLs, and for one with a user name.
    fn read(text: &str) -> Option<Self> {
        let text = text.split(['?', '#']).next()?;
        let (scheme, rest) = text.split_once(':')?;
        let scheme = scheme.to_ascii_lowercase();
        let (authority, path) = split_before(rest.strip_prefix("//")?, &['/']);
        let (host, port) = host_and_port(authority)?;
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
        let is_address = |byte: u8| byte.is_ascii_hexdigit() || b":.".contains(&byte);
        let is_good = match host.strip_prefix('[') {
            Some(address) => address.strip_suffix(']')?.bytes().all(is_address),
            None => !host.is_empty() && host.bytes().all(is_host),
        };
        if !is_good || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let default = default_port(&scheme)?;
        let port = if port.is_empty() { default } else { port };
        let path = without_dot_segments(&unescaped(path)?);
        Some(Self { host: host.to_ascii_lowercase(), port: port.to_owned(), scheme, path })
    }
}

/// Returns true if `htu` is the URL of a request with this path, below a public URL.
pub fn is_target(base: &str, path: &str, htu: &str) -> bool {
    let (Some(Url { scheme, host, port, path: prefix }), true) = (Url::read(base), path.starts_with('/'))
    else {
        return false;
    };
    let prefix = prefix.strip_suffix('/').unwrap_or(&prefix);
    // Routers do not remove dot segments, so a path with them has no normal form.
    let Some(path) = unescaped(path).filter(|path| without_dot_segments(path) == *path) else {
        return false;
    };
    let target =
        |path: String| Some(Url { scheme: scheme.clone(), host: host.clone(), port: port.clone(), path });
    let htu = Url::read(htu);
    htu == target(format!("{prefix}{path}")) || (path == "/" && htu == target(prefix.to_owned()))
}

/// Returns scheme, host and port as browsers and the crate `url` read them (WHATWG URL, section 4.4).
pub fn origin(text: &str) -> Option<(String, String, u16)> {
    let is_blank = |character: char| character <= ' ';
    let text = text.trim_matches(is_blank).replace(['\t', '\n', '\r'], "");
    let (scheme, rest) = text.split_once(':')?;
    let scheme = scheme.to_ascii_lowercase();
    let default = default_port(&scheme)?;
    let (authority, _) = split_before(rest.trim_start_matches(['/', '\\']), &['/', '\\', '?', '#']);
    let (host, port) = host_and_port(authority.rsplit('@').next()?)?;
    let port = if port.is_empty() { default } else { port };
    Some((scheme, host.to_ascii_lowercase(), port.parse().ok()?))
}

fn default_port(scheme: &str) -> Option<&'static str> {
    match scheme {
        "https" => Some("443"),
        "http" => Some("80"),
        _ => None,
    }
}

fn split_before<'a>(text: &'a str, ends: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// Splits before the colon of the port. Returns an empty port if there is none.
fn host_and_port(authority: &str) -> Option<(&str, &str)> {
    let behind_address = authority.find(']').map_or(0, |end| end + 1);
    match authority[behind_address..].split_once(':') {
        Some((rest, port)) => Some((&authority[..behind_address + rest.len()], port)),
        None => Some((authority, "")),
    }
}

/// Decodes escapes of unreserved characters (RFC 3986, section 6.2.2.2).
fn unescaped(path: &str) -> Option<String> {
    let mut unescaped = Vec::new();
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            unescaped.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?].map(|digit| char::from(digit).to_digit(16));
        let [Some(high), Some(low)] = digits else { return None };
        let byte = (high * 16 + low) as u8;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            unescaped.push(byte);
        } else {
            unescaped.extend(format!("%{byte:02X}").bytes());
        }
    }
    String::from_utf8(unescaped).ok()
}

/// Follows the steps of RFC 3986, section 5.2.4.
fn without_dot_segments(path: &str) -> String {
    let mut input = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
    let mut output = String::new();
    while !input.is_empty() {
        if let Some(rest) = input.strip_prefix("/./") {
            input = format!("/{rest}");
        } else if input == "/." {
            input = "/".to_owned();
        } else if let Some(rest) = input.strip_prefix("/../") {
            input = format!("/{rest}");
            output.truncate(output.rfind('/').unwrap_or(0));
        } else if input == "/.." {
            input = "/".to_owned();
            output.truncate(output.rfind('/').unwrap_or(0));
        } else {
            let end = input[1..].find('/').map_or(input.len(), |end| end + 1);
            output.extend(input.drain(..end));
        }
    }
    output
}
