//! The request target and `Host` (RFC 9112 §3.2): one authority, one path, nothing else.

use std::ops::Range;

use super::{Method, Reject};

/// A target taken apart, as indices of the bytes it came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// `host[:port]` of an absolute-form target, and the port its scheme implies.
    pub authority: Option<(Range<usize>, u16)>,
    /// Path and query; empty or starting with `?` when an absolute-form target has no path.
    pub origin: Range<usize>,
}

/// A byte a target may have: visible ASCII but for what no URI has and hyper, at the other end of the link, refuses
/// too.
pub(super) const fn is_target(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b'`' | b'#')
}

impl Target {
    /// Takes the target at `at` apart.
    pub fn parse(bytes: &[u8], at: Range<usize>, method: Method) -> Result<Self, Reject> {
        let text = &bytes[at.clone()];
        match (text, method) {
            ([b'/', ..], _) => Ok(Self { authority: None, origin: at }),
            (b"*", Method::Options) => Ok(Self { authority: None, origin: at }),
            // Refused anyway; its target is an authority and not looked at.
            (_, Method::Connect) => Ok(Self { authority: None, origin: at }),
            _ => Self::absolute(text, &at).ok_or(Reject::Target),
        }
    }

    fn absolute(text: &[u8], at: &Range<usize>) -> Option<Self> {
        let scheme = [("http://", 80), ("https://", 443)];
        let (scheme, port) = scheme.into_iter().find(|(scheme, _)| {
            text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
        })?;
        let start = at.start + scheme.len();
        let rest = &text[scheme.len()..];
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
        Some(Self { authority: Some((start..start + end, port)), origin: start + end..at.end })
    }
}

/// `host[:port]` with a host of letters, digits, `-`, `.`, `_`, `~`, or an IPv6 address in brackets. Narrower than
/// RFC 3986: no user information, no percent-encoding, no sub-delimiters, none of which a real host has.
pub(super) fn is_authority(text: &[u8]) -> bool {
    let (host, port) = split_port(text);
    let host_fits = match host {
        [b'[', address @ .., b']'] => {
            std::str::from_utf8(address).is_ok_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
        }
        name => !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte)),
    };
    let port_fits = port.is_none_or(|port| {
        let digits = port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
        digits && number(port) <= u32::from(u16::MAX)
    });
    host_fits && port_fits
}

/// Whether two authorities are the same place: hosts compare without case, a missing port is the scheme's.
pub(super) fn is_same(one: &[u8], other: &[u8], default_port: u16) -> bool {
    let (host, port) = split_port(one);
    let (other_host, other_port) = split_port(other);
    let port_or = |port: Option<&[u8]>| match port {
        None | Some(b"") => u32::from(default_port),
        Some(port) => number(port),
    };
    host.eq_ignore_ascii_case(other_host) && port_or(port) == port_or(other_port)
}

/// Host and port, at the last colon that is not inside brackets.
fn split_port(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let after_bracket = text.iter().rposition(|byte| *byte == b']').map_or(0, |index| index + 1);
    match text[after_bracket..].iter().position(|byte| *byte == b':') {
        Some(colon) => (&text[..after_bracket + colon], Some(&text[after_bracket + colon + 1..])),
        None => (text, None),
    }
}

fn number(digits: &[u8]) -> u32 {
    digits
        .iter()
        .fold(0, |value: u32, digit| value.saturating_mul(10).saturating_add(u32::from(digit.wrapping_sub(b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_host_with_an_optional_port_is_an_authority() {
        for (text, good) in [
            ("example.org", true),
            ("example.org:8765", true),
            ("example.org:", true),
            ("127.0.0.1:80", true),
            ("[::1]", true),
            ("[::1]:8765", true),
            ("a_b-c~d", true),
            ("", false),
            (":80", false),
            ("a:b", false),
            ("a:123456", false),
            ("a:65536", false),
            ("a:1:2", false),
            ("user@host", false),
            ("host/path", false),
            ("a b", false),
            ("a,b", false),
            ("a%41", false),
            ("::1", false),
            ("[::1", false),
            ("[::g]", false),
            ("[::1]x", false),
            ("h\u{e9}", false),
        ] {
            assert_eq!(is_authority(text.as_bytes()), good, "{text:?}");
        }
    }

    #[test]
    fn a_missing_port_is_the_schemes() {
        assert!(is_same(b"A.example:80", b"a.EXAMPLE", 80));
        assert!(is_same(b"a:", b"a:080", 80));
        assert!(!is_same(b"a:443", b"a", 80));
        assert!(!is_same(b"a", b"b", 80));
        assert!(is_same(b"[::1]", b"[::1]:443", 443));
    }
}
