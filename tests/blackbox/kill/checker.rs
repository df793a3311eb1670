//! The checker: reads the log of acknowledgements and asks the server. It shares nothing else with the load.

use std::collections::{BTreeMap, HashMap};

use crate::support::tus::Upload;
use crate::support::{Node, Oracle, Request, TOKEN, wait};

use super::load::Log;

/// What the log says about one upload.
#[derive(Default)]
struct Observed {
    seed: u64,
    length: u64,
    offset: u64,
    ranges: Vec<(u64, u64)>,
    going: bool,
    gone: bool,
}

fn read(log: &Log) -> BTreeMap<String, Observed> {
    let text = std::fs::read_to_string(log.path()).expect("read the log");
    let mut all: BTreeMap<String, Observed> = BTreeMap::new();
    for line in text.lines() {
        let word: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| word[at].parse::<u64>().expect("a number");
        let told = all.entry(word[1].to_owned()).or_default();
        match word[0] {
            "created" => (told.seed, told.length) = (number(2), number(3)),
            "offset" => told.offset = told.offset.max(number(2)),
            "range" => told.ranges.push((number(2), number(3))),
            "deleting" | "consuming" => told.going = true,
            "deleted" | "consumed" => told.gone = true,
            other => panic!("{other}"),
        }
    }
    all
}

/// What is counted as used is what is there, as soon as bodies that were cut have ended and removals are done.
fn ledger(node: &Node) -> Option<String> {
    let mut last = None;
    let equal = wait::within(std::time::Duration::from_secs(10), || {
        let files: Vec<_> = list(node).into_values().flatten().collect();
        let received: u64 = files.iter().map(|file| file["uploaded_size"].as_u64().expect("a number")).sum();
        let used = node.get("/api/storage").is(200).json()["used"].as_u64().expect("a number");
        let same = |file: &&serde_json::Value| file["uploaded_size"].as_u64() == Some(received.abs_diff(used));
        let suspects: Vec<_> = files.iter().filter(same).collect();
        last = Some(format!("the ledger says {used}, the objects sum up to {received}; of that size: {suspects:?}"));
        (used == received).then_some(())
    });
    if equal.is_some() { None } else { last }
}

/// Everything that is wrong.
pub fn check(node: &Node, log: &Log) -> Result<(), Vec<String>> {
    let mut wrong = Vec::new();
    let told = read(log);
    let listed = list(node);
    wrong.extend(ledger(node));
    for (id, told) in &told {
        wrong.extend(check_one(node, id, told, listed.get(id).map(Vec::as_slice).unwrap_or_default()));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn list(node: &Node) -> HashMap<String, Vec<serde_json::Value>> {
    let mut all: HashMap<String, Vec<serde_json::Value>> = HashMap::new();
    for page in 1.. {
        let list = node.get(&format!("/api/files?per_page=1000&page={page}")).is(200).json();
        let files = list["files"].as_array().expect("a list");
        if files.is_empty() {
            break;
        }
        for file in files {
            all.entry(file["file_id"].as_str().expect("an id").to_owned()).or_default().push(file.clone());
        }
    }
    all
}

fn check_one(node: &Node, id: &str, told: &Observed, listed: &[serde_json::Value]) -> Option<String> {
    let upload = Upload::at(&format!("/tus/{id}"));
    let head = node.head(&upload);
    if told.gone {
        let back = head.status == 200 || !listed.is_empty();
        return back.then(|| format!("{id} was removed and is back: {head:?}"));
    }
    if told.going && matches!(head.status, 404 | 410) {
        return (!listed.is_empty()).then(|| format!("{id} is 404 and listed"));
    }
    if head.status != 200 {
        return Some(format!("{id} is lost: {head:?}"));
    }
    if head.number("Upload-Length") != told.length {
        return Some(format!("{id}: length {} was {}", head.number("Upload-Length"), told.length));
    }
    let offset = head.number("Upload-Offset");
    if offset < told.offset || offset > told.length {
        return Some(format!("{id}: offset {offset}, acknowledged {} of {}", told.offset, told.length));
    }
    let ranges: Vec<(u64, u64)> = head
        .header("X-Received-Ranges")
        .unwrap_or_default()
        .split(',')
        .filter_map(|range| range.split_once('-'))
        .map(|(from, to)| (from.parse().expect("a number"), to.parse().expect("a number")))
        .collect();
    let missing = told.ranges.iter().find(|(from, to)| from < to && !ranges.iter().any(|(a, b)| a <= from && to <= b));
    if let Some((from, to)) = missing {
        return Some(format!("{id}: {from}-{to} was acknowledged, there are {ranges:?}"));
    }
    let complete = offset == told.length;
    let [file] = listed else { return Some(format!("{id} is listed {} times", listed.len())) };
    if (file["status"] == "complete") != complete {
        return Some(format!("{id}: offset {offset} of {}, and {file}", told.length));
    }
    content(node, &upload, told, offset)
}

/// The bytes that the offset claims are the bytes that were sent.
fn content(node: &Node, upload: &Upload, told: &Observed, offset: u64) -> Option<String> {
    if offset < 2 {
        // One byte cannot be shared by two receivers.
        return None;
    }
    // Never all of it at once: that would consume a `download_once` file. The first byte and the rest, by two receivers.
    let other = crate::support::OTHER_TOKEN;
    for (token, from, to) in [(TOKEN, 0, 1), (other, 1, offset)] {
        if from == to {
            continue;
        }
        let range = format!("bytes={from}-{}", to - 1);
        let request = Request::get(&upload.download()).header("X-API-Token", token).header("Range", range);
        let got = node.send(&request);
        if got.status == 409 && told.going {
            // Its receiver may hold every byte already: the file is bound to that one (easytransfer/CONTRACT.md §3 rule
            // 3).
            continue;
        }
        if got.status != 206 || got.body.len() as u64 != to - from {
            return Some(format!("{from}-{to} of {}: {got:?}", upload.id));
        }
        if let Err(mismatch) = Oracle(told.seed).check(from, &got.body) {
            return Some(format!("{}: {mismatch}", upload.id));
        }
    }
    None
}

/// At the end every unfinished upload can be finished, and every file is what was sent.
pub fn finish(node: &Node, log: &Log) {
    let wrong = check(node, log);
    assert!(wrong.is_ok(), "{wrong:#?}");
    for (id, told) in read(log) {
        let upload = Upload::at(&format!("/tus/{id}"));
        if told.gone || (told.going && node.head(&upload).status != 200) {
            continue;
        }
        let content = Oracle(told.seed).bytes(0..told.length);
        wait::until("the upload can be finished", || {
            let offset = node.offset(&upload);
            if offset < told.length {
                node.patch(&upload, offset, &content[offset as usize..]).one_of(&[204, 409]);
            }
            (node.offset(&upload) == told.length).then_some(())
        });
        let got = node.get(&upload.download()).is(200);
        assert!(got.body == content, "{id} differs at the end");
    }
}

/// The control: a checker that finds nothing wrong with lost or altered data proves nothing.
#[test]
fn the_checker_catches_a_lost_upload_and_an_altered_byte() {
    let node = Node::start();
    let log = Log::create(node.dir().join("told.log"));
    let upload = node.complete(&Oracle(1).bytes(0..1_000));
    let say = |lines: &str| std::fs::write(log.path(), lines).expect("write the log");
    say(&format!("created {} 1 1000\noffset {} 1000\nrange {} 0 1000\n", upload.id, upload.id, upload.id));
    assert_eq!(check(&node, &log), Ok(()));
    say(&format!("created {} 2 1000\noffset {} 1000\n", upload.id, upload.id));
    assert!(check(&node, &log).is_err(), "other bytes than were sent");
    say(&format!("created {} 1 2000\noffset {} 1001\n", upload.id, upload.id));
    assert!(check(&node, &log).is_err(), "less than was acknowledged");
    say(&format!("created {} 1 1000\ndeleting {}\ndeleted {}\n", upload.id, upload.id, upload.id));
    assert!(check(&node, &log).is_err(), "deleted and back");
    let lost = "0".repeat(32);
    say(&format!("created {lost} 1 1000\n"));
    assert!(check(&node, &log).is_err(), "created and lost");
    say(&format!("created {} 1 1000\ndeleting {lost}\n", upload.id));
    assert_eq!(check(&node, &log), Ok(()), "a removal without an answer may have happened");
}
