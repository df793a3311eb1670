//! Where a server is: `host:port` or `http://host[:port][/prefix]`, parsed once, printed always in the same form.
//!
//! The printed form names saved state (client.json, upload records), so it must not depend on how it was typed.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use crate::{Error, Result};

/// Port of a server when none is given.
pub const PORT_DEFAULT: u16 = 8765;

/// A server, reached over plain HTTP/1.1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// Without brackets, lower case.
    host: String,
    port: u16,
    /// Empty, or starts with `/` and does not end with one.
    prefix: String,
}

/// What is wrong with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// Nothing where the host should be.
    #[error("the host is missing")]
    NoHost,
    /// Not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    BadPort,
    /// Neither http nor https.
    #[error("only http:// is known")]
    UnknownScheme,
    /// A query, a fragment, user information, blanks or control characters.
    #[error("it holds something besides scheme, host, port and path")]
    Surplus,
}

impl Address {
    /// `host:port`, brackets around IPv6: the `Host` field.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Path below which the surface sits; empty for the root.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The one socket address it says, when the host is an IP address and no name.
    pub fn literal(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host.parse().ok()?, self.port))
    }

    /// The addresses behind the name.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        Ok((self.host.as_str(), self.port).to_socket_addrs()?.collect())
    }

    /// Its socket addresses, when every one of them is this machine; empty otherwise.
    pub fn loopback_addresses(&self) -> Vec<SocketAddr> {
        let all = self.resolve().unwrap_or_default();
        let local = all.iter().all(|address| match address.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_loopback(),
        });
        if local { all } else { Vec::new() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.prefix)
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let fault = |why| Error::Address { text: text.to_owned(), why };
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("https://") {
            return Err(Error::TlsNotBuiltIn { server: text.to_owned() });
        }
        let rest = match lower.strip_prefix("http://") {
            Some(rest) => &text[text.len() - rest.len()..],
            None if text.contains("://") => return Err(fault(AddressFault::UnknownScheme)),
            None => text,
        };
        if rest.contains(['?', '#', '@', '\\']) || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(fault(AddressFault::Surplus));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = split_port(authority).map_err(fault)?;
        Ok(Self { host: host.to_ascii_lowercase(), port, prefix: path.trim_end_matches('/').to_owned() })
    }
}

fn split_port(authority: &str) -> std::result::Result<(&str, u16), AddressFault> {
    let (host, port) = if let Some(inner) = authority.strip_prefix('[') {
        let (host, after) = inner.split_once(']').ok_or(AddressFault::NoHost)?;
        (host, after.strip_prefix(':').or(if after.is_empty() { None } else { Some("bad") }))
    } else if authority.matches(':').count() > 1 {
        (authority, None) // a bare IPv6 address
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.is_empty() {
        return Err(AddressFault::NoHost);
    }
    let digits = |port: &str| port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok()).flatten();
    let port = match port {
        None => PORT_DEFAULT,
        Some(port) => digits(port).filter(|port| *port != 0).ok_or(AddressFault::BadPort)?,
    };
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_printed_form() {
        for (text, printed) in [
            ("127.0.0.1:8765", "http://127.0.0.1:8765"),
            ("127.0.0.1", "http://127.0.0.1:8765"),
            (" http://Node.Example:80/ ", "http://node.example:80"),
            ("HTTP://node/et/", "http://node:8765/et"),
            ("[::1]:9000", "http://[::1]:9000"),
            ("::1", "http://[::1]:8765"),
            ("http://[fe80::1]", "http://[fe80::1]:8765"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), printed, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_reason() {
        for (text, why) in [
            ("", AddressFault::NoHost),
            (":8765", AddressFault::NoHost),
            ("http://", AddressFault::NoHost),
            ("node:", AddressFault::BadPort),
            ("node:0", AddressFault::BadPort),
            ("node:65536", AddressFault::BadPort),
            ("node:+80", AddressFault::BadPort),
            ("[::1]80", AddressFault::BadPort),
            ("ftp://node", AddressFault::UnknownScheme),
            ("user@node", AddressFault::Surplus),
            ("node/?x=1", AddressFault::Surplus),
            ("no de", AddressFault::Surplus),
            ("node\r\nX: y", AddressFault::Surplus),
        ] {
            match text.parse::<Address>() {
                Err(Error::Address { why: actual, .. }) => assert_eq!(actual, why, "{text:?}"),
                other => panic!("{text:?}: {other:?}"),
            }
        }
        assert!(matches!("https://node".parse::<Address>(), Err(Error::TlsNotBuiltIn { .. })));
    }

    #[test]
    fn only_this_machine_is_loopback() {
        assert!(!"127.0.0.1:1".parse::<Address>().unwrap().loopback_addresses().is_empty());
        assert!(!"[::1]:1".parse::<Address>().unwrap().loopback_addresses().is_empty());
        assert!("192.0.2.1:1".parse::<Address>().unwrap().loopback_addresses().is_empty());
    }
}
