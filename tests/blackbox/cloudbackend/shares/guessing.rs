//! Who guesses is stopped: case 22, and passwords of one share from everywhere.

use serde_json::json;

use super::{Person, behind_a_proxy, error, from, json_post, setup, share, visit, with};

#[test]
fn case_22_thirty_wrong_codes() {
    let node = setup().start();
    let alice = Person::register(&node, "alice");
    let file = alice.file("/", "a.txt", b"12345");
    share(&alice, json!({"files": [file["id"]], "code": "right"}));
    let statuses: Vec<u16> = (0..30).map(|code| visit(&node, json!({"code": format!("wrong{code}")})).status).collect();
    assert_eq!(statuses, [[404; 20].as_slice(), &[429; 10]].concat());
    let refused = visit(&node, json!({"code": "right"})).is(429);
    assert!((1..=61).contains(&refused.number("Retry-After")), "{refused:?}");
    assert_eq!(error(refused, 429), "请求过于频繁");
    let download = format!("/file/{}/download/", file["id"]);
    node.send(&json_post(&download, &json!({"code": "right"}))).is(429);
    alice.get("/drop/").is(200);
}

#[test]
fn a6_an_address_is_not_stopped_for_another_one() {
    let node = behind_a_proxy().start();
    let alice = Person::register(&node, "alice");
    let file = alice.file("/", "a.txt", b"12345");
    share(&alice, json!({"files": [file["id"]], "code": "right"}));
    let ask =
        |code: &str, address: &str| node.send(&from(json_post("/drop/get-drop/", &json!({"code": code})), address));
    (0..20).for_each(|_| drop(ask("wrong", "192.0.2.1").is(404)));
    ask("right", "192.0.2.1").is(429);
    ask("right", "192.0.2.2").is(200);
}

#[test]
fn a6_passwords_of_a_share_are_not_guessed_from_everywhere() {
    let node = with(&[("SHARE__PASSWORD_FAILURES_PER_HOUR", "4"), ("SHARE__LOCK_SECONDS", "900")]).start();
    let alice = Person::register(&node, "alice");
    let file = alice.file("/", "a.txt", b"12345");
    for code in ["locked", "other"] {
        share(&alice, json!({"files": [file["id"]], "code": code, "password": "sesame", "max_download_count": 9}));
    }
    let guess = |code: &str, password: &str, number: usize| {
        let body = json!({"code": code, "password": password});
        node.send(&from(json_post("/drop/get-drop/", &body), &format!("192.0.2.{number}")))
    };
    (0..4).for_each(|number| drop(guess("locked", "wrong", number).is(403)));
    let refused = guess("locked", "sesame", 9).is(429);
    assert!((800..=901).contains(&refused.number("Retry-After")), "{refused:?}");
    guess("other", "sesame", 9).is(200);
}

#[test]
fn a6_guesses_made_at_once_count_as_those_made_one_by_one() {
    let node = with(&[("SHARE__FAILURES_PER_MINUTE", "5")]).start();
    let alice = Person::register(&node, "alice");
    let file = alice.file("/", "a.txt", b"12345");
    share(&alice, json!({"files": [file["id"]], "code": "code", "password": "sesame"}));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let node = &node;
        let guess = move |number| visit(node, json!({"code": "code", "password": format!("guess {number}")})).status;
        let guesses: Vec<_> = (0..40).map(|number| scope.spawn(move || guess(number))).collect();
        guesses.into_iter().map(|guess| guess.join().expect("a guess")).collect()
    });
    let judged = statuses.iter().filter(|status| **status == 403).count();
    // Two are judged at the same moment.
    assert!((5..=6).contains(&judged) && statuses.contains(&429), "{statuses:?}");
}
