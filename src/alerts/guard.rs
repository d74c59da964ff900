//! Where messages may go. A name is looked up once, what it means is checked, and the connection goes to what was checked: a name
//! that means something else a moment later changes nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Why an address is not spoken to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is an address of this machine or of a private network; set alerts.allow_private = true if messages may go there"
)]
pub struct Forbidden(pub IpAddr);

/// Refuses what is not of the public network, unless the configuration allows it.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    pub allow_private: bool,
}

impl Guard {
    pub fn check(self, ip: IpAddr) -> Result<(), Forbidden> {
        match self.allow_private || is_public(ip) {
            true => Ok(()),
            false => Err(Forbidden(ip)),
        }
    }

    /// The addresses of a name; refused if a single one of them is forbidden.
    pub fn resolve(self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        let found: Vec<SocketAddr> = (host.trim_matches(['[', ']']), port).to_socket_addrs()?.collect();
        for address in &found {
            self.check(address.ip()).map_err(|why| std::io::Error::new(std::io::ErrorKind::PermissionDenied, why))?;
        }
        Ok(found)
    }
}

/// The resolver of the client for webhooks: it looks up as usual, and lets nothing forbidden through.
pub struct Guarded {
    pub guard: Guard,
    usual: DefaultResolver,
}

impl Guarded {
    pub fn new(guard: Guard) -> Self {
        Guarded { guard, usual: DefaultResolver::default() }
    }
}
impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.guard.fmt(f)
    }
}

impl Resolver for Guarded {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.usual.resolve(uri, config, timeout)?;
        for address in found.iter() {
            self.guard.check(address.ip()).map_err(|why| ureq::Error::Other(Box::new(why)))?;
        }
        Ok(found)
    }
}

/// True of what anybody on the Internet can reach. What carries an address of version 4 inside is that address.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => match carried(ip) {
            Some(inside) => is_public_v4(inside),
            None => is_public_v6(ip),
        },
    }
}

fn carried(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = ip.segments();
    let low = || Ipv4Addr::from((u32::from(s[6]) << 16) | u32::from(s[7]));
    match s {
        // Mapped (::ffff:a.b.c.d) and translated (64:ff9b::a.b.c.d); compatible (::a.b.c.d) but :: and ::1.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(low()),
        [0, 0, 0, 0, 0, 0, high, rest] if high != 0 || rest > 1 => Some(low()),
        // 6to4 has it in the middle.
        [0x2002, high, rest, ..] => Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(rest))),
        _ => None,
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = match (a, b, c) {
        (0 | 10 | 127, ..) | (240.., ..) => true,
        (100, 64..=127, _) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        (192, 0, 0 | 2) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => true,
        _ => ip.is_multicast(),
    };
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    // Only what is given out as global; of that not documentation and not Teredo, which carries others.
    (0x2000..=0x3fff).contains(&first) && !(first == 0x2001 && (second == 0xdb8 || second < 0x200))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_spoken_to() {
        for (text, public) in [
            ("8.8.8.8", true),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("127.0.0.1", false),
            ("127.255.1.1", false),
            ("169.254.169.254", false),
            ("172.15.0.1", true),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.168.1.1", false),
            ("192.0.2.1", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::808:808", true),
            ("2002:7f00:1::", false),
            ("2002:808:808::", true),
            ("2001:db8::1", false),
            ("2001::1", false),
            ("fe80::1", false),
            ("fc00::1", false),
            ("fd12:3456::1", false),
            ("ff02::1", false),
            ("2606:4700:4700::1111", true),
        ] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(Guard { allow_private: false }.check(ip).is_ok(), public, "{text}");
            assert_eq!(Guard { allow_private: true }.check(ip), Ok(()), "{text}");
        }
    }

    /// However it is written, what is connected to is what was looked up.
    #[test]
    fn other_spellings_of_this_machine_are_this_machine() {
        let guard = Guard { allow_private: false };
        for host in
            ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "[::1]", "[::ffff:7f00:1]"]
        {
            let refused = guard.resolve(host, 80).expect_err(host);
            assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied, "{host}: {refused}");
        }
    }
}
