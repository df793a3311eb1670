//! Names of hosts, compared as `Host` means them: without port, in any case, with or without the root's dot.

/// `Files.Example.org.:8765` → `files.example.org`; brackets of an IPv6 address stay.
pub fn bare(host: &str) -> String {
    let host = host.trim();
    let end = match host.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host.find(':').unwrap_or(host.len()),
    };
    host[..end].trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn section_2_ports_and_case_do_not_count() {
        for (host, expected) in [
            ("Files.Example.org", "files.example.org"),
            ("files.example.org:8765", "files.example.org"),
            ("files.example.org.:80", "files.example.org"),
            ("[::1]:8765", "[::1]"),
            ("[FE80::1]", "[fe80::1]"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("", ""),
            (":80", ""),
        ] {
            assert_eq!(bare(host), expected, "{host}");
        }
    }
}
