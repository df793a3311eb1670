//! A reply under construction, and its bytes.
//!
//! Must stay true: framing, `Connection` and `Date` are written here and only here, once each; no value, whatever its
//! source, can start a new line.

use std::time::Duration;

use etransfer_contract::grant::Field;
use etransfer_contract::tus::Refusal;

use super::date;
use super::section::{is_token, is_value};
use super::{Method, Reject, reason};

/// Fields that this file writes itself; others' values for them are left out.
const OWN: [&str; 7] =
    ["connection", "content-length", "date", "keep-alive", "trailer", "transfer-encoding", "upgrade"];

/// Room for the fields of an ordinary reply.
const LINES_BYTES: usize = 256;

/// Status, fields and body of a reply.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    /// Finished field lines.
    lines: Vec<u8>,
    body: Vec<u8>,
    length: Length,
    close: bool,
    upgrade: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    OfBody,
    Known(u64),
    Chunked,
}

impl Reply {
    /// A reply without fields and body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            lines: Vec::with_capacity(LINES_BYTES),
            body: Vec::new(),
            length: Length::OfBody,
            close: false,
            upgrade: false,
        }
    }

    /// `{"detail": …}`, the ordinary refusal (easytransfer/CONTRACT.md §1.4).
    pub fn detail(status: u16, detail: impl Into<String>) -> Self {
        Self::new(status).json(&serde_json::json!({ "detail": detail.into() }))
    }

    /// What the file of an object holds is not what was recorded: nothing of it is reported or served.
    pub fn damaged(what: impl std::fmt::Display) -> Self {
        Self::detail(500, format!("this file is damaged on this node and is not served: {what}"))
    }

    /// A refusal that every dialect of TUS words the same.
    pub fn refusal(refusal: &Refusal) -> Self {
        let reply = Self::detail(refusal.status, refusal.detail.as_ref());
        refusal.headers.iter().fold(reply, |reply, (name, value)| reply.field(name, value))
    }

    /// A refusal of the bytes of a message; it closes the connection when the table says so.
    pub fn reject(reject: Reject) -> Self {
        let verdict = reject.verdict();
        let mut reply = Self::detail(verdict.status, verdict.detail);
        reply.close = verdict.close;
        match reject {
            Reject::MethodRefused => reply.field("Allow", Method::ALLOW),
            Reject::Crowded => reply.field("Retry-After", "1"),
            _ => reply,
        }
    }

    /// Adds a field. Control bytes in the value become spaces; a name that is no token, and the names this file writes
    /// itself, are left out.
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let own = OWN.iter().any(|own| name.eq_ignore_ascii_case(own));
        if !own && !name.is_empty() && name.bytes().all(is_token) {
            push(&mut self.lines, name, value.as_ref());
        }
        self
    }

    /// Adds fields.
    pub fn fields(self, fields: &[Field]) -> Self {
        fields.iter().fold(self, |reply, (name, value)| reply.field(name, value))
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.length = Length::OfBody;
        self
    }

    /// Sets a JSON body and its type.
    pub fn json(self, value: &serde_json::Value) -> Self {
        self.field("Content-Type", "application/json").body(value.to_string())
    }

    /// The caller sends the body itself; it has `bytes` bytes.
    pub fn content_length(mut self, bytes: u64) -> Self {
        self.length = Length::Known(bytes);
        self
    }

    /// The caller sends the body itself, chunked.
    pub fn chunked(mut self) -> Self {
        self.length = Length::Chunked;
        self
    }

    /// The connection is, or might have been, a WebSocket (RFC 9110 §7.8, §15.5.22).
    pub fn upgrade(mut self) -> Self {
        self.upgrade = true;
        self
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the connection ends with this reply.
    pub fn must_close(&self) -> bool {
        self.close
    }

    /// The body to send after [`head_bytes`](Self::head_bytes), unless the request was a HEAD.
    pub fn body_bytes(&self) -> &[u8] {
        if self.is_bodiless() { &[] } else { &self.body }
    }

    /// Whether a field of that name is there.
    #[cfg(test)]
    pub fn has(&self, name: &str) -> bool {
        let mut lines = self.lines.split(|byte| *byte == b'\n');
        lines.any(|line| {
            let starts = line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()));
            starts && line.get(name.len()) == Some(&b':')
        })
    }

    /// The head with `now`, since 1970, in `Date`.
    pub fn head_bytes(&self, keep_alive: bool, now: Duration) -> Vec<u8> {
        date::with_text(now, |date| self.head_bytes_at(keep_alive, date))
    }

    /// The head with `date` in `Date`.
    pub fn head_bytes_at(&self, keep_alive: bool, date: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.lines.len() + 160);
        out.extend_from_slice(format!("HTTP/1.1 {:03} {}\r\n", self.status, reason(self.status)).as_bytes());
        push(&mut out, "Date", date.as_bytes());
        out.extend_from_slice(&self.lines);
        match self.length {
            // RFC 9110 §8.6: no Content-Length in 204; of a 304 it would be that of a 200.
            _ if self.is_bodiless() => {}
            Length::OfBody => push(&mut out, "Content-Length", self.body.len().to_string().as_bytes()),
            Length::Known(bytes) => push(&mut out, "Content-Length", bytes.to_string().as_bytes()),
            Length::Chunked => push(&mut out, "Transfer-Encoding", b"chunked"),
        }
        if self.upgrade {
            push(&mut out, "Upgrade", b"websocket");
        }
        push(&mut out, "Connection", self.connection(keep_alive));
        out.extend_from_slice(b"\r\n");
        out
    }

    /// Head and body in one piece; no body for a HEAD.
    pub fn bytes(&self, keep_alive: bool, is_head: bool, now: Duration) -> Vec<u8> {
        let mut out = self.head_bytes(keep_alive, now);
        if !is_head {
            out.extend_from_slice(self.body_bytes());
        }
        out
    }

    fn connection(&self, keep_alive: bool) -> &'static [u8] {
        match (self.upgrade, self.status, keep_alive && !self.close) {
            (true, 101, _) => b"Upgrade",
            (true, _, true) => b"Upgrade, keep-alive",
            (true, _, false) => b"Upgrade, close",
            (false, _, true) => b"keep-alive",
            (false, _, false) => b"close",
        }
    }

    fn is_bodiless(&self) -> bool {
        matches!(self.status, 100..200 | 204 | 304)
    }
}

fn push(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    if value.iter().all(|byte| is_value(*byte)) {
        out.extend_from_slice(value);
    } else {
        out.extend(value.iter().map(|byte| if is_value(*byte) { *byte } else { b' ' }));
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn text(reply: &Reply, keep_alive: bool) -> String {
        String::from_utf8(reply.head_bytes_at(keep_alive, DATE)).unwrap()
    }

    #[test]
    fn a_reply_is_written_as_http_says() {
        let reply = Reply::new(204).field("Upload-Offset", "5").field("Tus-Resumable", String::from("1.0.0"));
        let head = format!(
            "HTTP/1.1 204 No Content\r\nDate: {DATE}\r\nUpload-Offset: 5\r\nTus-Resumable: 1.0.0\r\nConnection: keep-alive\r\n\r\n"
        );
        assert_eq!(text(&reply, true), head);
        let reply = Reply::detail(460, "another digest");
        let head = format!(
            "HTTP/1.1 460 Checksum Mismatch\r\nDate: {DATE}\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\
             Connection: close\r\n\r\n"
        );
        assert_eq!(text(&reply, false), head);
        assert_eq!(reply.body_bytes(), br#"{"detail":"another digest"}"#);
        assert!(reply.bytes(true, false, Duration::ZERO).ends_with(br#"{"detail":"another digest"}"#));
        assert!(reply.bytes(true, true, Duration::ZERO).ends_with(b"\r\n\r\n"));
    }

    #[test]
    fn framing_follows_the_status_and_is_nobody_elses() {
        assert!(!text(&Reply::new(204).body("x"), true).contains("Content-Length"));
        assert!(Reply::new(204).body("x").body_bytes().is_empty());
        assert!(!text(&Reply::new(304), true).contains("Content-Length"));
        assert!(text(&Reply::new(200), true).contains("Content-Length: 0\r\n"));
        assert!(text(&Reply::new(206).content_length(7), true).contains("Content-Length: 7\r\n"));
        assert!(text(&Reply::new(200).chunked(), true).contains("Transfer-Encoding: chunked\r\n"));
        let foreign = [
            ("content-LENGTH", "9"),
            ("Transfer-Encoding", "gzip"),
            ("Connection", "x"),
            ("Upgrade", "h2c"),
            ("Date", "y"),
            ("a b", "z"),
            ("", "z"),
        ];
        let reply = foreign.iter().fold(Reply::new(200), |reply, (name, value)| reply.field(name, value));
        assert_eq!(text(&reply, true), text(&Reply::new(200), true));
    }

    #[test]
    fn rfc_9110_section_7_8_an_upgrade_is_named_as_an_option_of_the_connection() {
        for (status, keep_alive, connection) in [
            (101, true, "Upgrade"),
            (101, false, "Upgrade"),
            (426, true, "Upgrade, keep-alive"),
            (426, false, "Upgrade, close"),
        ] {
            let head = text(&Reply::new(status).upgrade(), keep_alive);
            assert!(head.ends_with(&format!("Upgrade: websocket\r\nConnection: {connection}\r\n\r\n")), "{head}");
            assert_eq!(head.contains("Content-Length"), status == 426, "{head}");
        }
    }

    #[test]
    fn rejects_close_as_their_table_says() {
        let reply = Reply::reject(Reject::LengthAndCoding);
        assert!(reply.must_close() && text(&reply, true).contains("Connection: close\r\n"));
        let reply = Reply::reject(Reject::MethodRefused);
        assert!(!reply.must_close() && text(&reply, true).contains("Allow: GET, "));
        let reply = Reply::refusal(&Refusal::new(412, "no").with("Tus-Version", "1.0.0"));
        assert!(reply.has("tus-version") && !reply.has("tus") && reply.status() == 412);
    }

    proptest! {
        #[test]
        fn no_value_starts_a_new_line(name in "[a-zA-Z\r\n :-]{0,6}", value in prop::collection::vec(any::<u8>(), 0..20)) {
            let bytes = Reply::new(200).field(&name, &value).head_bytes_at(true, DATE);
            let lines = bytes.windows(2).filter(|pair| pair == b"\r\n").count();
            let ends = bytes.iter().filter(|byte| matches!(byte, b'\r' | b'\n' | 0)).count();
            prop_assert!(lines <= 6 && ends == 2 * lines);
            let mut headers = [httparse::EMPTY_HEADER; 8];
            let mut response = httparse::Response::new(&mut headers);
            prop_assert_eq!(response.parse(&bytes), Ok(httparse::Status::Complete(bytes.len())));
        }
    }
}
