//! Keys, fields and values in Redis, and the node's note about them, as ever.

use super::*;
use crate::catalogue::codec;

/// Replaces what is another one in each run.
fn without(text: &str, random: &[(&str, &str)]) -> String {
    random.iter().fold(text.to_owned(), |text, (random, name)| text.replace(random, name))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key's type and content: fields and members in order, values in hex.
fn content(server: &Server, key: &str) -> String {
    let kind: String = server.ask(&format!("TYPE {key}"));
    let lines: Vec<String> = match kind.as_str() {
        "string" => vec![server.ask(&format!("GET {key}"))],
        "set" => {
            let mut members: Vec<String> = server.ask(&format!("SMEMBERS {key}"));
            members.sort();
            members
        }
        "hash" => {
            let fields: BTreeMap<String, Vec<u8>> = server.ask(&format!("HGETALL {key}"));
            fields.iter().map(|(field, value)| format!("{field} {}", hex(value))).collect()
        }
        other => panic!("{key} is a {other}"),
    };
    format!("{kind}\n{}", lines.join("\n"))
}

#[test]
fn what_is_in_redis_is_as_ever() {
    let place = Place::new(Server::start());
    let opened = place.open();
    let doc = |value: Option<&[u8]>, key: &str| Change::Doc {
        surface: SurfaceId::CloudBackend,
        key: key.into(),
        value: value.map(Into::into),
    };
    for change in [
        put(1, 5),
        put(2, 6),
        Change::Delete(id(2)),
        doc(Some(b"{}"), "a/0000000000000007"),
        doc(Some(b"1"), "gone"),
        doc(None, "gone"),
        Change::Keep(vec![id(3), id(4)]),
        Change::Trust,
    ] {
        write(&opened, vec![change]).unwrap();
    }
    let line = std::fs::read_to_string(place.state.path().join("redis-node")).unwrap();
    let name = line.split(' ').next().unwrap();
    let owner: String = place.server.ask(&format!("GET {}", place.key("owner")));
    let run = owner.split_once(':').unwrap().1;
    let random = [(name, "NAME"), (run, "RUN")];

    let mut golden = crate::golden::golden(
        "catalogue/redis/tests",
        "redis.txt",
        "The catalogue in Redis: each key with its type and content. NAME and RUN are other ones in each node and run.",
    );
    let mut keys: Vec<String> = place.server.ask("KEYS *");
    keys.sort();
    for key in keys {
        golden.text(&without(&key, &random), &without(&content(&place.server, &key), &random));
    }
    golden.text("state/redis-node", &without(&line, &random));
    let entries = golden.check();
    drop(opened);

    let is_record = |entry: &&etransfer_tests::golden::Entry| entry.name.ends_with(":records");
    let (_, value) = entries.iter().find(is_record).unwrap().line().rsplit_once(' ').unwrap();
    let bytes: Vec<u8> =
        value.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
    assert_eq!(codec::decode(&bytes), Ok(record(id(1), 5)));
    assert_eq!(place.holds(), BTreeMap::from([(1, 5)]));
}
