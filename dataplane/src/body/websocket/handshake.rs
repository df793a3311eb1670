//! The opening handshake (RFC 6455 §4.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use etransfer_contract::list::lists;
use sha1::{Digest as _, Sha1};

use crate::http::{Head, Method};

/// RFC 6455 §1.3
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The only one there is.
const VERSION: &[u8] = b"13";
const NONCE_BYTES: usize = 16;

/// `Sec-WebSocket-Accept` of the answer; `None`: the client did not request a WebSocket of version 13 as RFC 6455 §4.1
/// requires.
pub fn accept(head: &Head) -> Option<String> {
    let names = |field: &'static str, wanted: &str| lists(head.all_values(field), wanted);
    let asked = head.method() == Method::Get && head.version_minor() == 1 && !head.framing().has_body();
    if !asked || !names("upgrade", "websocket") || !names("connection", "upgrade") {
        return None;
    }
    let key = only(head, "sec-websocket-key")?;
    let is_nonce = STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == NONCE_BYTES);
    (is_nonce && only(head, "sec-websocket-version")? == VERSION).then(|| answer(key))
}

/// A field that may stand once.
fn only<'h>(head: &'h Head, name: &'static str) -> Option<&'h [u8]> {
    let mut values = head.all_values(name);
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    Some(value)
}

fn answer(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HeadLimits;

    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    fn accepted(line: &str, fields: &[&str]) -> Option<String> {
        let text = format!("{line}\r\nHost: h\r\n{}\r\n", fields.concat());
        accept(&Head::parse(text.as_bytes(), &HeadLimits::default()).unwrap().unwrap().0)
    }

    #[test]
    fn rfc_6455_section_4_2_1_who_asked_properly() {
        let get = "GET /s HTTP/1.1";
        let (upgrade, connection, version) =
            ("Upgrade: websocket\r\n", "Connection: Upgrade\r\n", "Sec-WebSocket-Version: 13\r\n");
        // The sample of RFC 6455 §1.3.
        let accept = Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned());
        assert_eq!(accepted(get, &[upgrade, connection, KEY, version]), accept);
        assert_eq!(accepted(get, &["upgrade: h2c, WebSocket\r\n", connection, KEY, version]), accept);
        assert_eq!(accepted(get, &[upgrade, "Connection: keep-alive, upgrade\r\n", KEY, version]), accept);
        assert_eq!(accepted(get, &[upgrade, connection, "Content-Length: 0\r\n", KEY, version]), accept);
        for (line, fields) in [
            (get, [connection, KEY, version].as_slice()),
            (get, &[upgrade, KEY, version]),
            (get, &[upgrade, connection, version]),
            (get, &[upgrade, connection, KEY]),
            (get, &[upgrade, connection, KEY, KEY, version]),
            (get, &[upgrade, connection, KEY, version, version]),
            (get, &[upgrade, connection, KEY, "Sec-WebSocket-Version: 8\r\n"]),
            (get, &[upgrade, connection, "Sec-WebSocket-Key: c2hvcnQ=\r\n", version]),
            (get, &[upgrade, connection, "Sec-WebSocket-Key: no base 64 at all!!\r\n", version]),
            (get, &["Upgrade: websockets\r\n", connection, KEY, version]),
            (get, &[upgrade, "Connection: keep-alive\r\n", KEY, version]),
            (get, &[upgrade, connection, "Content-Length: 5\r\n", KEY, version]),
            ("POST /s HTTP/1.1", &[upgrade, connection, KEY, version]),
            ("HEAD /s HTTP/1.1", &[upgrade, connection, KEY, version]),
            ("GET /s HTTP/1.0", &[upgrade, connection, KEY, version]),
        ] {
            assert_eq!(accepted(line, fields), None, "{line} {fields:?}");
        }
    }
}
