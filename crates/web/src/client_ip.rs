use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request},
    http::{HeaderMap, request::Parts},
};

use crate::Problem;

/// How many reverse proxies of ours stand in front, each appending to `X-Forwarded-For`.
///
/// Only the entry written by the outermost of them counts; whatever a client wrote before it is
/// ignored.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrustedProxies(pub usize);

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientIp(pub IpAddr);

impl ClientIp {
    /// The network that one subscriber controls: a whole /64 for IPv6.
    #[must_use]
    pub fn subscriber(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(ip),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }
    }
}

impl fmt::Display for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TrustedProxies {
    /// The client of `request`.
    pub fn client_of(self, request: &Request) -> ClientIp {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(peer)| peer.ip());
        ClientIp(self.forwarded(request.headers()).unwrap_or(peer))
    }

    fn forwarded(self, headers: &HeaderMap) -> Option<IpAddr> {
        // Bytes that are no text are what a client wrote; they must not take our entry with them.
        let values = headers.get_all("x-forwarded-for").iter();
        let hops: Vec<&[u8]> =
            values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).collect();
        let ours = hops.len().checked_sub(self.0).filter(|_| self.0 > 0)?;
        str::from_utf8(hops.get(ours)?).ok()?.trim().parse().ok()
    }
}

impl<S: Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let missing =
            || Problem::internal(anyhow::anyhow!("the client address was not determined"));
        parts.extensions.get().copied().ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, extract::Request};

    use super::{ClientIp, TrustedProxies};

    fn client(proxies: usize, forwarded_for: impl AsRef<[u8]>) -> String {
        let request = Request::builder().header("x-forwarded-for", forwarded_for.as_ref());
        let request = request.body(Body::empty()).unwrap();
        TrustedProxies(proxies).client_of(&request).to_string()
    }

    #[test]
    fn without_a_trusted_proxy_the_header_is_ignored() {
        assert_eq!(client(0, "203.0.113.9"), "127.0.0.1");
    }

    #[test]
    fn only_the_entry_of_our_own_proxy_counts() {
        assert_eq!(client(1, "1.2.3.4, 203.0.113.9"), "203.0.113.9");
        assert_eq!(client(2, "1.2.3.4, 203.0.113.9, 10.0.0.1"), "203.0.113.9");
    }

    #[test]
    fn bytes_that_are_no_text_take_no_entry_with_them() {
        assert_eq!(client(1, b"\xff, 203.0.113.9"), "203.0.113.9");
        assert_eq!(client(2, b"\x80\xfe,1.2.3.4 ,203.0.113.9, \xff"), "203.0.113.9");
    }

    #[test]
    fn nonsense_falls_back_to_the_peer() {
        assert_eq!(client(1, "not an address"), "127.0.0.1");
        assert_eq!(client(3, "203.0.113.9"), "127.0.0.1");
        assert_eq!(client(1, "9".repeat(10_000)), "127.0.0.1");
        assert_eq!(client(1, b"203.0.113.9\xff"), "127.0.0.1");
        assert_eq!(client(1, b"\xff"), "127.0.0.1");
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_subscriber() {
        let one = ClientIp("2001:db8:1:2:3::4".parse().unwrap()).subscriber();
        let other = ClientIp("2001:db8:1:2:ffff::1".parse().unwrap()).subscriber();
        assert_eq!(one, other);
        let mapped = ClientIp("::ffff:192.0.2.1".parse().unwrap()).subscriber();
        assert_eq!(mapped.to_string(), "192.0.2.1");
    }
}
