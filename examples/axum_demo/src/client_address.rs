//! The client address of a request.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;

/// The number of proxies whose `X-Forwarded-For` is trusted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TrustedProxies(pub(crate) usize);

impl TrustedProxies {
    /// Returns the key of a client: its IPv4 address, or its IPv6 /64 network, the size that one household gets.
    pub(crate) fn client(self, peer: SocketAddr, headers: &HeaderMap) -> String {
        let address = self.forwarded(headers).unwrap_or(peer.ip());
        match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let network = Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64));
                format!("{network}/64")
            }
        }
    }

    /// Reads from the right, because each proxy appends the address of its peer. The client may have forged the rest.
    fn forwarded(self, headers: &HeaderMap) -> Option<IpAddr> {
        let Self(proxies) = self;
        let values: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
        let hops = values.iter().rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        hops.take(proxies).map_while(address).last()
    }
}

/// Parses an address. Some proxies add the port, or write IPv6 in brackets.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop).ok()?.trim();
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    bare.parse().ok().or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_peer_of_the_outermost_trusted_proxy() {
        for (proxies, peer, forwarded, expected) in [
            (0, "192.0.2.1:80", &["198.51.100.1"][..], "192.0.2.1"),
            (1, "192.0.2.1:80", &[], "192.0.2.1"),
            (1, "192.0.2.1:80", &["198.51.100.1"], "198.51.100.1"),
            (1, "192.0.2.1:80", &["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
            (2, "192.0.2.1:80", &["203.0.113.9, 198.51.100.1"], "203.0.113.9"),
            (2, "192.0.2.1:80", &["203.0.113.9", "198.51.100.1"], "203.0.113.9"),
            (3, "192.0.2.1:80", &["203.0.113.9, 198.51.100.1"], "203.0.113.9"),
            (2, "192.0.2.1:80", &["unknown, 198.51.100.1"], "198.51.100.1"),
            (1, "192.0.2.1:80", &["198.51.100.1:4711"], "198.51.100.1"),
            (1, "192.0.2.1:80", &["[2001:db8:1:2:3:4:5:6]:4711"], "2001:db8:1:2::/64"),
            (1, "192.0.2.1:80", &["[2001:db8:1:2:3:4:5:6]"], "2001:db8:1:2::/64"),
            (0, "[2001:db8:1:2:3:4:5:6]:80", &[], "2001:db8:1:2::/64"),
            (0, "[::ffff:192.0.2.1]:80", &[], "192.0.2.1"),
        ] {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            let client = TrustedProxies(proxies).client(peer.parse().unwrap(), &headers);
            assert_eq!(client, expected, "{proxies} {forwarded:?}");
        }
    }
}
