//! The client address of a request.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;

/// A client, as far as limits on attempts distinguish them.
#[derive(Debug, PartialEq)]
pub(crate) struct Client {
    /// The IPv4 address, or the IPv6 /64 network, the size that one household gets.
    pub(crate) address: String,
    /// The IPv6 /48 network, the size that one customer of a hosting provider may get.
    pub(crate) network: Option<String>,
}

impl Client {
    pub(crate) fn new(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self { address: address.to_string(), network: None },
            IpAddr::V6(address) => {
                let network = |bits| {
                    let first = Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - bits)));
                    format!("{first}/{bits}")
                };
                Self { address: network(64), network: Some(network(48)) }
            }
        }
    }
}

/// The number of proxies whose `X-Forwarded-For` is trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct TrustedProxies(pub(crate) usize);

impl TrustedProxies {
    /// Returns the client of a request.
    pub(crate) fn client(self, peer: SocketAddr, headers: &HeaderMap) -> Client {
        Client::new(self.forwarded(headers).unwrap_or(peer.ip()))
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
            assert_eq!(client.address, expected, "{proxies} {forwarded:?}");
            let network = expected.starts_with("2001").then(|| "2001:db8:1::/48".to_owned());
            assert_eq!(client.network, network, "{proxies} {forwarded:?}");
        }
    }
}
