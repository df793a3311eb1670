//! `et top` and the endpoints of `et info`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::fake::Fake;
use crate::fake_door::Mood;
use crate::user::User;

fn watched() -> (Fake, User) {
    let (fake, user) = (Fake::start(), User::new());
    user.set_up(&fake);
    fake.state().traffic = json!({
        "interfaces": [{"name": "eth7", "speed_mbps": 1000, "upload_rate": 0.0, "download_rate": 13107200.0,
                        "upload_load_percent": 0.0, "download_load_percent": 10.0}],
        "total": {"upload_rate": 0.0, "download_rate": 13107200.0},
    });
    (fake, user)
}

/// The first lines of a command that would run forever.
fn lines(user: &User, args: &[&str], count: usize) -> Vec<String> {
    let mut child = user.command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(count).map(Result::unwrap).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    lines
}

#[test]
fn top_once_is_a_table() {
    let (_fake, user) = watched();
    let table = user.ok(&["top", "--once"]);
    assert!(table.contains("eth7") && table.contains("1 Gb/s") && table.contains("12.5 MiB/s  10%"), "{table}");
    let json: Value = serde_json::from_str(&user.ok(&["top", "--once", "--json"])).unwrap();
    assert_eq!(json["interfaces"][0]["name"], "eth7");
}

#[test]
fn top_follows_the_stream_and_asks_where_there_is_none() {
    let (fake, user) = watched();
    for events in [Some(1), Some(3), None] {
        fake.state().traffic_events = events; // the stream ends, and is opened again
        let lines = lines(&user, &["top"], 2);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.starts_with("eth7 receives 12.5 MiB/s sends 0 B/s; all ")), "{lines:?}");
        assert!(lines.iter().all(|line| !line.contains('\x1b')));
    }
}

#[test]
fn info_shows_every_address_and_which_would_be_picked() {
    let (fake, doors) = Fake::with_doors(3);
    doors[2].set_mood(Mood::Stranger);
    let user = User::new();
    user.set_up(&fake);
    let port = fake.address().literal().unwrap().port();
    let entry = |at: u8, receives: u64, sends: u64| {
        json!({"url": format!("http://127.0.0.{at}:{port}"), "interface": format!("eth{at}"), "speed_mbps": 25000,
               "upload_load_percent": sends, "download_load_percent": receives})
    };
    fake.state().advertised = Some(json!([entry(1, 10, 60), entry(2, 50, 0), entry(3, 0, 0)]));
    let info = user.ok(&["info"]);
    let row = |at: u8| info.lines().find(|line| line.contains(&format!("127.0.0.{at}:"))).unwrap_or_default();
    let server = format!("http://127.0.0.1:{port}  eth1, 25 Gb/s, receives 10%, sends 60%");
    assert!(info.contains(&server) && info.contains("best for uploads"), "{info}");
    assert!(row(2).ends_with("best for downloads") && row(3).ends_with("another server"), "{info}");
    let json: Value = serde_json::from_str(&user.ok(&["info", "--json"])).unwrap();
    assert_eq!(json["candidates"].as_array().unwrap().len(), 3);
}
