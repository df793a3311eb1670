//! cloudbackend/CONTRACT.md §C case 25: what was answered survives a kill, and what was not is not there.

use serde_json::json;

use super::{Person, element, setup};
use crate::oss::{Form, content};
use crate::support::{Conn, Oracle, audit, wait};

#[test]
fn a_kill_takes_back_nothing_that_was_answered() {
    let mut node = setup().start();
    let bytes = Oracle(9).bytes(0..300_000);
    let (access, id, file, deleted) = {
        let alice = Person::register(&node, "alice");
        let folder = alice.folder("/", "before");
        let file = alice.file("/before/", "a.bin", &bytes);
        let deleted = alice.file("/", "deleted", b"12345");
        alice.update(&folder, json!({"name": "after"})).is(200);
        alice.delete(&deleted).is(200);
        (alice.access.clone(), alice.id, file, deleted)
    };
    node.kill_and_start_again();
    let url;
    {
        let alice = Person { node: &node, name: "alice".into(), id, access: access.clone() };
        assert_eq!((alice.names("/"), alice.names("/after")), (vec!["after".to_owned()], vec!["a.bin".to_owned()]));
        assert_eq!(alice.used(), 300_000);
        assert!(alice.download(&file) == bytes, "it is intact");
        alice.delete(&deleted).is(404);
        let next = alice.folder("/", "next");
        assert!(next["id"].as_u64() > deleted["id"].as_u64(), "no number comes twice");
        url = alice.put("alice//told later", b"content");
        let request = Form::of_front_end("alice//half", Oracle(3).bytes(0..3_000_000)).request();
        let whole = request.bytes(&node.addr().to_string());
        let mut conn = Conn::open(node.addr());
        conn.send(&whole[..whole.len() / 2]);
        wait::until("its bytes reach the disk", || (audit::blocks_below(node.storage()) > 1_500_000).then_some(()));
    }
    node.kill_and_start_again();
    let alice = Person { node: &node, name: "alice".into(), id, access };
    assert_eq!(content(&node, "alice//half"), None);
    alice.notify(element("/", "half", &alice.url("alice//half"))).is(400);
    alice.notify(element("/", "told", &url)).is(201);
    assert_eq!(alice.used(), 300_007);
    let again = alice.post("/file/recalculate-storage/", json!({})).is(200).json();
    assert_eq!((&again["new_used_space"], &again["difference"]), (&json!(300_007), &json!(0)));
}
