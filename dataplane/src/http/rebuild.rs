//! The head that goes over the line: built from parsed parts, so that nothing ambiguous is passed on.

use etransfer_contract::line::{FIELD_PREFIX, METHOD};

use super::hop::is_hop_by_hop;
use super::{Head, Method};

/// Fields of the client that never reach the control plane, besides those of one connection: the line's own words
/// ([`FIELD_PREFIX`]), the expectation (the data plane meets it), and `Host`, which is written once as it was judged.
const DROPPED: [&str; 2] = ["expect", "host"];

/// The body that follows the head on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    /// None: a decide.
    None,
    /// So many bytes.
    Length(u64),
}

/// The client's request as the control plane shall see it: same method (HEAD as `line.rs` says) and target, the fields
/// that travel, then `own` fields and the framing of what is attached.
pub fn request(head: &Head, own: &[(&str, String)], attached: Attached) -> Vec<u8> {
    let is_head = head.method() == Method::Head;
    let method = if is_head { Method::Get.as_str() } else { head.method_name() };
    let mut out = Vec::with_capacity(1024);
    for part in [method, " ", head.target(), " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    if let Some(host) = head.host() {
        push(&mut out, "Host", host.as_bytes());
    }
    for (name, value) in head.fields() {
        let ours = name.get(..FIELD_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(FIELD_PREFIX));
        let dropped = DROPPED.iter().any(|dropped| name.eq_ignore_ascii_case(dropped));
        if !ours && !dropped && !is_hop_by_hop(head, name) {
            push(&mut out, name, value);
        }
    }
    for (name, value) in own {
        push(&mut out, name, value.as_bytes());
    }
    if is_head {
        push(&mut out, METHOD, Method::Head.as_str().as_bytes());
    }
    match attached {
        Attached::None => {}
        Attached::Length(bytes) => push(&mut out, "Content-Length", bytes.to_string().as_bytes()),
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn push(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend(value.iter().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HeadLimits;

    fn parse(text: &str) -> Head {
        Head::parse(text.as_bytes(), &HeadLimits::default()).unwrap().unwrap().0
    }

    #[test]
    fn a_forwarded_head_has_no_field_of_the_connection_and_none_of_ours() {
        let head = parse(
            "POST http://h.example:80/tus?x=%2f HTTP/1.1\r\nHost: H.example\r\nConnection: keep-alive, X-Secret\r\nX-Secret: a\r\n\
             ETransfer-Line: decide\r\netransfer-PEER: 1.2.3.4:5\r\nKeep-Alive: 5\r\nTE: trailers\r\nTrailer: a\r\nUpgrade: h2c\r\n\
             Proxy-Authorization: b\r\nProxy-Connection: c\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\
             Upload-Length: 5\r\nupload-metadata: k YQ==\r\n\r\n",
        );
        let own = [("Etransfer-Line", "decide".to_owned()), ("Etransfer-Body", "chunked".to_owned())];
        let expected = "POST /tus?x=%2f HTTP/1.1\r\nHost: H.example\r\nUpload-Length: 5\r\nupload-metadata: k YQ==\r\n\
                        Etransfer-Line: decide\r\nEtransfer-Body: chunked\r\n\r\n";
        assert_eq!(String::from_utf8(request(&head, &own, Attached::None)).unwrap(), expected);
    }

    #[test]
    fn framing_is_written_anew() {
        let head =
            parse("PATCH /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0005\r\nConnection: host, content-length\r\n\r\n");
        for (attached, line) in [(Attached::None, ""), (Attached::Length(7), "Content-Length: 7\r\n")] {
            let text = String::from_utf8(request(&head, &[], attached)).unwrap();
            assert_eq!(text, format!("PATCH /a HTTP/1.1\r\nHost: h\r\n{line}\r\n"));
        }
    }

    #[test]
    fn head_travels_as_get() {
        let head = parse("HEAD /tus/a HTTP/1.1\r\nHost: h\r\nEtransfer-Method: PUT\r\n\r\n");
        let text = String::from_utf8(request(&head, &[], Attached::None)).unwrap();
        assert_eq!(text, "GET /tus/a HTTP/1.1\r\nHost: h\r\netransfer-method: HEAD\r\n\r\n");
    }

    #[test]
    fn an_old_client_without_host_is_named_by_its_target_or_not_at_all() {
        let text = |text| String::from_utf8(request(&parse(text), &[], Attached::None)).unwrap();
        assert_eq!(text("GET / HTTP/1.0\r\n\r\n"), "GET / HTTP/1.1\r\n\r\n");
        assert_eq!(text("GET http://h?a HTTP/1.0\r\n\r\n"), "GET /?a HTTP/1.1\r\nHost: h\r\n\r\n");
    }
}
