use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::Config;

/// What of IPv4 is no host on the internet (IANA's registry of special purposes), and services of
/// clouds that have public addresses.
const SPECIAL_V4: &[Ipv4Net] = &[
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10), // carriers' networks; Alibaba's metadata
    v4([127, 0, 0, 0], 8),
    v4([168, 63, 129, 16], 32), // Azure's metadata
    v4([169, 254, 0, 0], 16),   // everybody else's metadata
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24), // Oracle's metadata
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 3), // multicast, reserved, broadcast
];

/// The part of IPv6 from which public addresses are given out. Outside of it are loopback, link-local,
/// private and multicast addresses, and those that hold one of IPv4 (mapped, compatible, NAT64).
const PUBLIC_V6: Ipv6Net = v6([0x2000, 0], 3);

/// What of that is no host on the internet, or holds an address of IPv4.
const SPECIAL_V6: &[Ipv6Net] = &[
    v6([0x2001, 0], 23), // protocols, among them Teredo
    v6([0x2001, 0xdb8], 32),
    v6([0x2002, 0], 16), // 6to4
    v6([0x3fff, 0], 20),
];

/// Which addresses may be dialled.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    blocked: Arc<[IpNet]>,
    loopback: bool,
}

impl Addresses {
    pub(crate) fn new(config: &Config) -> Self {
        let loopback = config.egress_allow_loopback;
        Self { blocked: config.egress_blocked_networks.clone().into(), loopback }
    }

    pub(crate) fn allow(&self, address: IpAddr) -> bool {
        let public = is_public(address) && !self.blocked.iter().any(|it| it.contains(&address));
        public || (self.loopback && address.is_loopback())
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => !SPECIAL_V4.iter().any(|network| network.contains(&it)),
        IpAddr::V6(it) => {
            PUBLIC_V6.contains(&it) && !SPECIAL_V6.iter().any(|network| network.contains(&it))
        }
    }
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b]: [u16; 2], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

#[cfg(test)]
mod tests {
    use super::{Addresses, is_public};
    use crate::Config;

    #[test]
    fn no_special_address_counts_as_public() {
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:0:7f00:1::",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "4000::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "168.63.129.17",
            "169.253.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.0.1",
            "192.169.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn an_operator_can_block_networks_of_his_own_that_are_public() {
        let egress_blocked_networks = vec!["8.8.8.0/24".parse().unwrap()];
        let addresses = Addresses::new(&Config { egress_blocked_networks, ..Config::default() });
        assert!(!addresses.allow("8.8.8.8".parse().unwrap()));
        assert!(addresses.allow("8.8.4.4".parse().unwrap()));
    }

    #[test]
    fn development_reaches_its_own_machine_and_no_other_private_one() {
        let open = Config { egress_allow_loopback: true, ..Config::default() };
        let addresses = Addresses::new(&open);
        for loopback in ["127.0.0.1", "127.0.0.2", "::1"] {
            assert!(addresses.allow(loopback.parse().unwrap()), "{loopback}");
        }
        for other in ["10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "0.0.0.0", "fd00::1"] {
            assert!(!addresses.allow(other.parse().unwrap()), "{other}");
        }
    }
}
