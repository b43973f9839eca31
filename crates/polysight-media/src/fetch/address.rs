//! Which addresses are public.

use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;

/// Ranges that nothing is fetched from, and what they are for.
///
/// Source: the IANA special-purpose registries of IPv4 and IPv6, read 2026-11-27. Forms of IPv6 that carry an address of IPv4
/// are refused whole: a gateway on the way would open them.
const REFUSED: [(&str, &str); 37] = [
    ("0.0.0.0/8", "an unspecified"),
    ("10.0.0.0/8", "a private"),
    ("100.64.0.0/10", "a carrier's private"),
    ("127.0.0.0/8", "a loopback"),
    ("168.63.129.16/32", "a cloud's own"),
    ("169.254.0.0/16", "a link-local"),
    ("172.16.0.0/12", "a private"),
    ("192.0.0.0/24", "a reserved"),
    ("192.0.2.0/24", "a documentation"),
    ("192.31.196.0/24", "a reserved"),
    ("192.52.193.0/24", "a reserved"),
    ("192.88.99.0/24", "a 6to4 relay's"),
    ("192.168.0.0/16", "a private"),
    ("192.175.48.0/24", "a reserved"),
    ("198.18.0.0/15", "a benchmarking"),
    ("198.51.100.0/24", "a documentation"),
    ("203.0.113.0/24", "a documentation"),
    ("224.0.0.0/4", "a multicast"),
    ("255.255.255.255/32", "a broadcast"),
    ("240.0.0.0/4", "a reserved"),
    ("::/128", "an unspecified"),
    ("::1/128", "a loopback"),
    ("::/96", "an IPv4-compatible"),
    ("::ffff:0:0/96", "an IPv4-mapped"),
    ("::ffff:0:0:0/96", "an IPv4-translated"),
    ("64:ff9b::/96", "a NAT64"),
    ("64:ff9b:1::/48", "a NAT64"),
    ("100::/64", "a discarding"),
    ("2001::/32", "a Teredo"),
    ("2001:2::/48", "a benchmarking"),
    ("2001:db8::/32", "a documentation"),
    ("2001::/23", "a reserved"),
    ("2002::/16", "a 6to4"),
    ("3fff::/20", "a documentation"),
    ("fc00::/7", "a private"),
    ("fe80::/10", "a link-local"),
    ("fec0::/10", "a site-local"),
];

/// The only unicast range of IPv6 that is assigned so far, and multicast, which has a name of its own.
const PUBLIC: &str = "2000::/3";
const MULTICAST: &str = "ff00::/8";

static RANGES: LazyLock<Vec<(IpNet, &str)>> = LazyLock::new(|| {
    let listed = REFUSED.iter().chain([&(MULTICAST, "a multicast")]);
    listed.filter_map(|(range, what)| Some((range.parse().ok()?, *what))).collect()
});

/// What kind of address this is, where it is none of the public internet: `a loopback`, `a private`.
pub(super) fn not_public(address: IpAddr) -> Option<&'static str> {
    if let Some((_, what)) = RANGES.iter().find(|(range, _)| range.contains(&address)) {
        return Some(what);
    }
    let is_assigned =
        address.is_ipv4() || PUBLIC.parse::<IpNet>().is_ok_and(|range| range.contains(&address));
    (!is_assigned).then_some("a reserved")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_is_well_formed() {
        assert_eq!(RANGES.len(), REFUSED.len() + 1);
    }

    #[test]
    fn addresses_of_the_inside_are_named() {
        for (address, what) in [
            ("0.0.0.0", "an unspecified"),
            ("0.1.2.3", "an unspecified"),
            ("10.255.255.255", "a private"),
            ("100.64.0.1", "a carrier's private"),
            ("100.100.100.200", "a carrier's private"),
            ("127.255.0.1", "a loopback"),
            ("168.63.129.16", "a cloud's own"),
            ("169.254.169.254", "a link-local"),
            ("172.31.0.1", "a private"),
            ("192.0.0.8", "a reserved"),
            ("192.0.2.1", "a documentation"),
            ("192.88.99.1", "a 6to4 relay's"),
            ("192.168.1.1", "a private"),
            ("198.19.0.1", "a benchmarking"),
            ("198.51.100.1", "a documentation"),
            ("203.0.113.1", "a documentation"),
            ("224.0.0.1", "a multicast"),
            ("239.255.255.255", "a multicast"),
            ("240.0.0.1", "a reserved"),
            ("255.255.255.255", "a broadcast"),
            ("::", "an unspecified"),
            ("::1", "a loopback"),
            ("::7f00:1", "an IPv4-compatible"),
            ("::ffff:127.0.0.1", "an IPv4-mapped"),
            ("::ffff:8.8.8.8", "an IPv4-mapped"),
            ("::ffff:0:127.0.0.1", "an IPv4-translated"),
            ("64:ff9b::7f00:1", "a NAT64"),
            ("64:ff9b:1::1", "a NAT64"),
            ("100::1", "a discarding"),
            ("2001::1", "a Teredo"),
            ("2001:2::1", "a benchmarking"),
            ("2001:db8::1", "a documentation"),
            ("2001:1ff::1", "a reserved"),
            ("2002:7f00:1::", "a 6to4"),
            ("3fff:fff::1", "a documentation"),
            ("4000::1", "a reserved"),
            ("5f00::1", "a reserved"),
            ("fd00:ec2::254", "a private"),
            ("fe80::1", "a link-local"),
            ("fec0::1", "a site-local"),
            ("ff02::1", "a multicast"),
        ] {
            assert_eq!(not_public(address.parse().unwrap()), Some(what), "{address}");
        }
    }

    #[test]
    fn addresses_beside_the_ranges_are_public() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2400:3200::1",
            "2606:4700::1111",
            "2003::1",
            "3ffe::1",
        ] {
            assert_eq!(not_public(address.parse().unwrap()), None, "{address}");
        }
    }
}
