//! What an account may store (cloudbackend/CONTRACT.md §A5, §A8, §B4 check 14): case 23.

use serde_json::{Value, json};

use super::{Person, element, error, with_quota};
use crate::oss::{content, refused};
use crate::support::wait;

/// cloudbackend/CONTRACT.md §C case 23.
#[test]
fn parallel_calls_never_pass_the_quota() {
    const PARALLEL: usize = 20;
    let node = with_quota(100_000).start();
    let alice = Person::register(&node, "alice");
    assert_eq!(
        error(alice.post("/file/get-token/", json!({"file_name": "a", "file_size": 100_001})), 400),
        "存储空间不足"
    );
    let urls: Vec<String> = (0..PARALLEL).map(|n| alice.put(&format!("alice//{n}"), &[b'x'; 4500])).collect();
    let tell = |url: &String| {
        let reply = alice.notify(json!([element("/", "a", url), element("/", "b", url)]));
        if reply.status != 201 {
            let words = ("Storage quota exceeded after upload", "Insufficient storage space");
            assert_eq!((&reply.json()["error"], &reply.json()["message"]), (&json!(words.0), &json!(words.1)));
        }
        (reply.status, alice.used())
    };
    let told: Vec<(u16, u64)> = std::thread::scope(|scope| {
        let threads: Vec<_> = urls.iter().map(|url| scope.spawn(|| tell(url))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let kept = told.iter().filter(|(status, _)| *status == 201).count();
    assert_eq!(kept, 11, "22 of 4500 bytes fit 100000, two at a time");
    assert!(told.iter().all(|(_, used)| *used <= 100_000), "{told:?}");
    assert_eq!((alice.used(), alice.list("/").len()), (99_000, 22));
    let objects = (0..PARALLEL).filter(|n| content(&node, &format!("alice//{n}")).is_some()).count();
    assert_eq!(objects, kept, "what did not fit is gone");

    let again = alice.post("/file/recalculate-storage/", json!({})).is(200).json();
    let sums = (&again["old_used_space"], &again["new_used_space"], &again["difference"]);
    assert_eq!(sums, (&json!(99_000), &json!(99_000), &json!(0)));
    let info = alice.get("/file/storage-info/").is(200).json();
    let told = json!({
        "quota": 100_000, "used_space": 99_000, "available_space": 1000, "usage_percentage": 99.0, "message": "Success",
    });
    assert_eq!(info, told);
}

/// cloudbackend/CONTRACT.md §B4 check 14.
#[test]
fn a_form_that_does_not_fit_beside_the_files_is_refused() {
    let node = with_quota(1000).start();
    let alice = Person::register(&node, "alice");
    let file = alice.file("/", "a", &[b'x'; 600]);
    refused(alice.try_put("alice/b", &[b'x'; 500]), 403, "QuotaExceeded");
    assert_eq!(content(&node, "alice/b"), None);
    // What a form was promised and did not use comes back in a moment.
    let fits = |key: &str, bytes: usize| {
        wait::until("it fits", || (alice.try_put(key, &vec![b'x'; bytes]).status == 200).then_some(()));
    };
    fits("alice/c", 400);
    let posted = alice.url("alice/c");
    refused(alice.try_put("alice/d", b"x"), 403, "QuotaExceeded");
    alice.notify(element("/", "c", &posted)).is(201);
    assert_eq!(alice.used(), 1000);
    refused(alice.try_put("alice/d", b"x"), 403, "QuotaExceeded");

    // A deleted file gives its room back at once, though its object stays for a while.
    alice.delete(&file).is(200);
    assert_eq!(alice.used(), 400);
    fits("alice/d", 600);
    assert_eq!(alice.used(), 400);

    // The same object may be two files, and counts twice.
    let more = alice.notify(element("/", "again", &posted)).is(201).json();
    assert_eq!((alice.used(), &more["file"]["size"]), (800, &json!(400)));
    alice.notify(element("/", "once more", &posted)).is(400);
    assert!(content(&node, "alice/c").is_some(), "a file is this object");
    let bob = Person::register(&node, "bob");
    bob.file("/", "b", &[b'x'; 1000]);
}

/// PROMISES.md P9: each freed byte is credited once.
#[test]
fn a_file_deleted_by_many_at_once_goes_once() {
    let node = with_quota(1_000_000).start();
    let alice = Person::register(&node, "alice");
    let folder = alice.folder("/", "f");
    let files: Vec<Value> = (0..4).map(|n| alice.file("/f", &n.to_string(), &[b'x'; 1000])).collect();
    alice.file("/", "kept", &[b'x'; 7]);
    let targets = files.iter().chain([&folder]).cycle().take(20);
    let gone = std::thread::scope(|scope| {
        let threads: Vec<_> =
            targets.map(|file| scope.spawn(|| alice.delete(file).one_of(&[200, 404]).status)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).filter(|status| *status == 200).count()
    });
    assert!((1..=5).contains(&gone), "{gone} of five were there");
    assert_eq!((alice.used(), alice.names("/")), (7, vec!["kept".to_owned()]));
    let again = alice.post("/file/recalculate-storage/", json!({})).is(200).json();
    assert_eq!(again["difference"], 0);
}
