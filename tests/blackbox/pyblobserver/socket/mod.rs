//! Section 8, `WS /upload_socket`: by hand what no polite client sends; `clients.rs` has the polite one.

mod talk;

use serde_json::json;

use super::{USER, User, blob_env, open, setup, text};
use crate::support::raw::Request;
use crate::support::wait;
use talk::{BINARY, CLOSE, FIN, PING, PONG, TEXT, Talk, frame, head, upgrade};

#[test]
fn section_8_a_token_then_a_name_and_a_content_per_file() {
    let node = setup().start();
    let user = User::first(&node, USER);
    let mut talk = Talk::of(&node, &user, USER);
    let told = talk.file("../t.txt", b"hello");
    let id = text(&told["file_id"]);
    let url = format!("{}/blob/s/{id}", node.url());
    assert_eq!(told, json!({"file_id": id, "file_url": url, "show_image": format!("{url}?output=html")}));
    assert_eq!(open(&node, Request::get(&format!("/s/{id}"))).is(200).body, b"hello");
    let listed = user.list();
    assert_eq!((&listed[0]["file_name"], &listed[0]["file_size"]), (&json!("t.txt"), &json!(5)));
    assert_eq!(user.total(USER), 5);
    talk.conn.send(&frame(FIN | CLOSE, &[&1000_u16.to_be_bytes()[..], b"bye"].concat()));
    talk.closed(1000);
}
