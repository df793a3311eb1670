//! The head that travels over the control link: built from parsed parts, so that nothing ambiguous is passed on.

use etransfer_contract::link::{FIELD_PREFIX, METHOD};

use super::hop::HopByHop;
use super::{Framing, Head, Method};

/// Fields of the client that never reach the control plane, besides those of one connection: the link's own fields
/// ([`FIELD_PREFIX`]), the expectation (the data plane meets it), and `Host`, which is written once as it was judged.
const DROPPED: [&str; 2] = ["expect", "host"];

/// The client's request as the control plane shall see it: same method (HEAD as GET) and target, fields that travel,
/// `own` fields last, and the framing of the body that will follow here (none for a decide).
pub fn forwarded_head(head: &Head, own: &[(&str, &str)], framing: Framing) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    // An answer to HEAD has no body and so could not carry a grant (contract, link.rs).
    let is_head = head.method() == Method::Head;
    let method = if is_head { "GET" } else { head.method_name() };
    for part in [method, " ", head.target(), " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    if is_head {
        push(&mut out, METHOD, b"HEAD");
    }
    if let Some(host) = head.host() {
        push(&mut out, "Host", host.as_bytes());
    }
    let stays = HopByHop::of(head);
    for (name, value) in head.fields() {
        let ours = name.get(..FIELD_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(FIELD_PREFIX));
        let dropped = DROPPED.iter().any(|dropped| name.eq_ignore_ascii_case(dropped));
        if !ours && !dropped && !stays.holds(name) {
            push(&mut out, name, value);
        }
    }
    for (name, value) in own {
        push(&mut out, name, value.as_bytes());
    }
    match framing {
        Framing::None => {}
        Framing::Length(bytes) => push(&mut out, "Content-Length", bytes.to_string().as_bytes()),
        Framing::Chunked => push(&mut out, "Transfer-Encoding", b"chunked"),
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn push(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    debug_assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "parsed and own values have none");
    out.extend_from_slice(value);
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
        let own = [("Etransfer-Line", "decide"), ("Etransfer-Body", "chunked")];
        let expected = "POST /tus?x=%2f HTTP/1.1\r\nHost: H.example\r\nUpload-Length: 5\r\nupload-metadata: k YQ==\r\n\
                        Etransfer-Line: decide\r\nEtransfer-Body: chunked\r\n\r\n";
        assert_eq!(String::from_utf8(forwarded_head(&head, &own, Framing::None)).unwrap(), expected);
    }

    #[test]
    fn framing_is_written_anew() {
        let head =
            parse("PATCH /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0005\r\nConnection: host, content-length\r\n\r\n");
        for (framing, line) in [
            (Framing::None, ""),
            (Framing::Length(7), "Content-Length: 7\r\n"),
            (Framing::Chunked, "Transfer-Encoding: chunked\r\n"),
        ] {
            let text = String::from_utf8(forwarded_head(&head, &[], framing)).unwrap();
            assert_eq!(text, format!("PATCH /a HTTP/1.1\r\nHost: h\r\n{line}\r\n"));
        }
    }

    #[test]
    fn head_travels_as_get() {
        let head = parse("HEAD /tus/a HTTP/1.1\r\nHost: h\r\nEtransfer-Method: PUT\r\n\r\n");
        let text = String::from_utf8(forwarded_head(&head, &[], Framing::None)).unwrap();
        assert_eq!(text, "GET /tus/a HTTP/1.1\r\netransfer-method: HEAD\r\nHost: h\r\n\r\n");
    }

    #[test]
    fn an_old_client_without_host_is_named_by_its_target_or_not_at_all() {
        let text = |text| String::from_utf8(forwarded_head(&parse(text), &[], Framing::None)).unwrap();
        assert_eq!(text("GET / HTTP/1.0\r\n\r\n"), "GET / HTTP/1.1\r\n\r\n");
        assert_eq!(text("GET http://h?a HTTP/1.0\r\n\r\n"), "GET /?a HTTP/1.1\r\nHost: h\r\n\r\n");
    }
}
