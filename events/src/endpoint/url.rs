//! One address of an endpoint has one text.

use std::net::{Ipv4Addr, Ipv6Addr};

const URL_MAX: usize = 512;

/// The address as it is kept and compared: scheme and host in small letters, no default port, no slash and no `/v1` at the end.
/// Else what is wrong with it.
pub fn normalise(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.len() > URL_MAX {
        return Err("an address has at most 512 characters");
    }
    if text
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || matches!(c, '\\' | '"' | '<' | '>' | '`' | '{' | '}'))
    {
        return Err("an address has no spaces, control characters, backslashes, quotes or brackets");
    }
    if text.contains(['?', '#']) {
        return Err("leave out what comes after `?` or `#`: only the base of the address is wanted");
    }
    let (scheme, rest) = text.split_once("://").ok_or("write it in full, like http://192.0.2.7:8000")?;
    let (scheme, usual_port) = match scheme.to_ascii_lowercase().as_str() {
        "http" => ("http", 80),
        "https" => ("https", 443),
        _ => return Err("only http and https are possible"),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err("no name or password may stand in the address: give the key as the endpoint's secret");
    }
    let (host, port) = split_port(authority)?;
    let (host, path) = (host_of(host)?, path_of(path)?);
    Ok(match port {
        Some(port) if port != usual_port => format!("{scheme}://{host}:{port}{path}"),
        _ => format!("{scheme}://{host}{path}"),
    })
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let after_brackets = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority[after_brackets..].find(':').map(|at| after_brackets + at) else {
        return Ok((authority, None));
    };
    let (host, port) = (&authority[..colon], &authority[colon + 1..]);
    if port.is_empty() {
        return Ok((host, None));
    }
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(port) if digits && port > 0 => Ok((host, Some(port))),
        _ => Err("a port is a number from 1 to 65535"),
    }
}

fn host_of(host: &str) -> Result<String, &'static str> {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return address.map(|address| format!("[{address}]")).ok_or("the part in brackets is no IPv6 address");
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if !host.is_ascii() {
        return Err("write the host in ASCII: names with other letters begin with `xn--`");
    }
    let good = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(good) {
        return Err("the host is no name and no address");
    }
    // The last label of a name is never a number: what looks like one is an address, and a short form would have two texts.
    let last = host.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    if number && host.parse::<Ipv4Addr>().is_err() {
        return Err("an IPv4 address is written like 192.0.2.7");
    }
    Ok(host)
}

fn path_of(path: &str) -> Result<String, &'static str> {
    if path.split('/').any(|part| part == "." || part == "..") {
        return Err("`.` and `..` have no place in an address");
    }
    let mut path = path.trim_end_matches('/');
    while let Some(shorter) = path.strip_suffix("/v1") {
        path = shorter.trim_end_matches('/');
    }
    if path.contains("//") {
        return Err("there are two slashes after each other");
    }
    Ok(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// what is written | what is kept
    const GOOD: &str = "
        http://localhost:8000         | http://localhost:8000
        HTTP://LocalHost:8000/        | http://localhost:8000
        http://localhost:8000/v1      | http://localhost:8000
        http://localhost:8000/v1/     | http://localhost:8000
        http://example.com:80         | http://example.com
        https://example.com:443/      | https://example.com
        https://example.com:80        | https://example.com:80
        https://example.com.          | https://example.com
        http://example.com:           | http://example.com
        http://192.0.2.7:08000        | http://192.0.2.7:8000
        http://[2001:DB8:0:0:0:0:0:1]:11434 | http://[2001:db8::1]:11434
        http://[::1]                  | http://[::1]
        https://api.example.com/llm/Proxy// | https://api.example.com/llm/Proxy
        https://api.example.com/openai/v1 | https://api.example.com/openai
        http://gpu_box-1:1234         | http://gpu_box-1:1234
        http://xn--bcher-kva.example  | http://xn--bcher-kva.example
    ";

    #[test]
    fn an_address_has_one_text() {
        let mut count = 0;
        for (written, kept) in GOOD.lines().filter_map(|row| row.split_once('|')) {
            assert_eq!(normalise(written), Ok(kept.trim().to_string()), "{written}");
            count += 1;
        }
        assert_eq!(count, 16);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "localhost:8000",
            "ftp://example.com",
            "http://",
            "http:///v1",
            "http://user:secret@example.com",
            "http://example.com?key=1",
            "http://example.com/#top",
            "http://example.com:0",
            "http://example.com:65536",
            "http://example.com:+80",
            "http://example.com:80:80",
            "http://exa mple.com",
            "http://exam\nple.com",
            "http://bücher.example",
            "http://-a.example",
            "http://a..example",
            "http://127.1",
            "http://1.2.3.4.5",
            "http://0x7f000001",
            "http://2130706433",
            "http://[::1",
            "http://[fe80::1%25eth0]",
            "http://2001:db8::1",
            "http://example.com/a/../b",
            "http://example.com/a//b",
            "http://example.com\\@evil.example",
        ] {
            assert!(normalise(bad).is_err(), "{bad}");
        }
        assert!(normalise(&format!("http://example.com/{}", "x".repeat(600))).is_err());
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "(http|HTTPS)://[a-zA-Z0-9.:\\[\\]-]{0,20}(/[a-zA-Z0-9./_-]{0,12})?(/v1)?/?") {
            if let Ok(once) = normalise(&text) {
                prop_assert_eq!(normalise(&once), Ok(once.clone()));
            }
        }
    }
}
