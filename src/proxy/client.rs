//! Where a request came from: the address of its connection, or what a proxy that is trusted says of it.

use std::net::IpAddr;

/// Addresses and networks of proxies that are believed.
#[derive(Debug, Clone, Default)]
pub struct Trusted(Vec<(IpAddr, u8)>);

/// `192.0.2.7` or `10.0.0.0/8`; none where it is neither.
pub fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok().filter(|bits| *bits <= most))?;
    Some((address, bits))
}

impl Trusted {
    pub fn of(texts: &[String]) -> Self {
        Trusted(texts.iter().filter_map(|text| network(text)).collect())
    }

    fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|(network, bits)| match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(*bits);
                u64::from(network.to_bits()) >> shift == u64::from(address.to_bits()) >> shift
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(*bits);
                let cut = |ip: &std::net::Ipv6Addr| ip.to_bits().checked_shr(shift).unwrap_or(0);
                cut(network) == cut(&address)
            }
            _ => false,
        })
    }

    /// The first address, from the nearest on, that is not one of a trusted proxy. What is no address ends the search: who wrote
    /// it could have written anything.
    pub fn client<'a>(&self, peer: IpAddr, forwarded: impl DoubleEndedIterator<Item = &'a str>) -> IpAddr {
        let mut client = peer.to_canonical();
        let hops = forwarded.flat_map(|line| line.split(',')).map(str::trim).collect::<Vec<_>>();
        for hop in hops.into_iter().rev() {
            if !self.has(client) {
                break;
            }
            let Some(next) = address(hop) else { break };
            client = next.to_canonical();
        }
        client
    }
}

/// With or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let plain = || text.parse().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    plain().or_else(with_port).or_else(bracketed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trusted_proxies_say_is_believed() {
        let trusted = Trusted::of(&["127.0.0.1".into(), "10.0.0.0/8".into(), "2001:db8::/32".into()]);
        for (peer, forwarded, client) in [
            ("192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            ("127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("127.0.0.1", &["1.2.3.4, 203.0.113.9, 10.1.1.1"], "203.0.113.9"),
            ("127.0.0.1", &["1.2.3.4", "203.0.113.9:4711"], "203.0.113.9"),
            ("127.0.0.1", &["10.1.1.1"], "10.1.1.1"),
            ("127.0.0.1", &["1.2.3.4, nonsense"], "127.0.0.1"),
            ("127.0.0.1", &["1.2.3.4, nonsense, 10.1.1.1"], "10.1.1.1"),
            ("2001:db8::1", &["[2001:dead::2]:80"], "2001:dead::2"),
            ("127.0.0.1", &[], "127.0.0.1"),
        ] {
            let found = trusted.client(peer.parse().unwrap(), forwarded.iter().copied());
            assert_eq!(found.to_string(), client, "{peer} {forwarded:?}");
        }
        assert!(Trusted::of(&["0.0.0.0/0".into()]).has("8.8.8.8".parse().unwrap()));
        for bad in ["", "10.0.0.0/33", "10.0.0", "a/8", "::/129"] {
            assert_eq!(network(bad), None, "{bad}");
        }
    }
}
