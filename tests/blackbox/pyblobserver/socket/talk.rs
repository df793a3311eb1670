//! A WebSocket spoken by hand, so that what no library sends can be sent.

use serde_json::Value;

use super::super::User;
use crate::support::Node;
use crate::support::raw::{Conn, DEADLINE, Request};

/// Ends a message.
pub const FIN: u8 = 0x80;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

const KEY: [u8; 4] = [0xa1, 0, 0xff, 0x5c];

/// A conversation.
pub struct Talk {
    pub conn: Conn,
    read: Vec<u8>,
}

impl Talk {
    /// After the 101, without a token.
    #[track_caller]
    pub fn begin(node: &Node) -> Self {
        let mut conn = node.connect();
        conn.send_head(&upgrade());
        let (status, fields) = conn.read_head(std::time::Instant::now() + DEADLINE).expect("an answer");
        let field =
            |name: &str| fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        assert_eq!((status, field("Upgrade"), field("Connection")), (101, Some("websocket"), Some("Upgrade")));
        // The sample of RFC 6455 §1.3.
        assert_eq!(field("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(field("X-Content-Type-Options"), Some("nosniff"));
        Self { conn, read: Vec::new() }
    }

    /// After the token.
    #[track_caller]
    pub fn of(node: &Node, user: &User, id: &str) -> Self {
        let mut talk = Self::begin(node);
        talk.text(&user.token);
        assert_eq!(talk.hear_text(), format!("user is: {id}"));
        talk
    }

    pub fn text(&mut self, text: &str) {
        self.conn.send(&frame(FIN | TEXT, text.as_bytes()));
    }

    pub fn binary(&mut self, content: &[u8]) {
        self.conn.send(&frame(FIN | BINARY, content));
    }

    /// A file in one frame, and its answer.
    #[track_caller]
    pub fn file(&mut self, name: &str, content: &[u8]) -> Value {
        self.text(name);
        self.binary(content);
        self.hear_json()
    }

    /// The next frame of the server: its first byte and its payload.
    #[track_caller]
    pub fn hear(&mut self) -> (u8, Vec<u8>) {
        self.more(2);
        assert!(self.read[1] < 127, "a server masks nothing, and says nothing this long");
        let (begins, length) = match self.read[1] {
            126 => {
                self.more(4);
                (4, usize::from(u16::from_be_bytes([self.read[2], self.read[3]])))
            }
            short => (2, usize::from(short)),
        };
        self.more(begins + length);
        let frame: Vec<u8> = self.read.drain(..begins + length).collect();
        (frame[0], frame[begins..].to_vec())
    }

    #[track_caller]
    pub fn hear_text(&mut self) -> String {
        let (first, payload) = self.hear();
        assert_eq!(first, FIN | TEXT, "{:?}", String::from_utf8_lossy(&payload));
        String::from_utf8(payload).expect("UTF-8")
    }

    #[track_caller]
    pub fn hear_json(&mut self) -> Value {
        let text = self.hear_text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}"))
    }

    /// The code the server says goodbye with; then it closes.
    #[track_caller]
    pub fn goodbye(&mut self) -> u16 {
        let (first, payload) = self.hear();
        assert_eq!(first, FIN | CLOSE, "{:?}", String::from_utf8_lossy(&payload));
        self.conn.ends();
        u16::from_be_bytes([payload[0], payload[1]])
    }

    #[track_caller]
    fn more(&mut self, bytes: usize) {
        while self.read.len() < bytes {
            self.read.extend(self.conn.read_some(1));
        }
    }
}

/// The opening handshake.
pub fn upgrade() -> Request {
    Request::get("/blob/upload_socket")
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13")
}

/// A client's frame.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(first, payload.len() as u64);
    bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// Its head, for this many bytes.
pub fn head(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => bytes.push(0x80 | short),
        (_, Ok(medium)) => {
            bytes.push(0x80 | 126);
            bytes.extend(medium.to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(KEY);
    bytes
}
