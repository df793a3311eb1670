//! `POST /user/register/`.

use serde_json::json;

use super::{PASSWORD, User, applicant, call, setup, text};
use crate::support::{Node, wait};

#[test]
fn case_1_registration() {
    let node = setup().start();
    let told = call(&node, "/user/register/", &applicant("alice")).is(201).json();
    let user = json!({
        "id": 1, "username": "alice", "display_name": "alice", "email": "alice@example.org", "is_active": true,
        "permission": "user", "quota": 10_737_418_240_u64, "used_space": 0,
    });
    assert_eq!(told["user"], user);
    for (name, value) in user.as_object().expect("an object") {
        assert_eq!(&told[name], value, "{name} at the top");
    }
    assert_eq!((text(&told["access"]).split('.').count(), text(&told["refresh"]).split('.').count()), (3, 3));
    assert_eq!(User::of(&node, &told).get("/user/profile/").is(200).json(), user);

    let taken = call(&node, "/user/register/", &applicant("alice")).is(400).json();
    let both = json!({
        "username": ["user with this username already exists."], "email": ["user with this email already exists."],
    });
    assert_eq!(taken, both);
    let same_address = json!({"username": "Alice", "password": PASSWORD, "email": "alice@EXAMPLE.org"});
    let taken = call(&node, "/user/register/", &same_address).is(400).json();
    assert_eq!(
        taken,
        json!({"email": ["user with this email already exists."]}),
        "names differ in case, domains do not"
    );
    let named = json!({"username": "报告", "password": PASSWORD, "email": "b@example.org", "display_name": " Bob B. "});
    assert_eq!(call(&node, "/user/register/", &named).is(201).json()["display_name"], "Bob B.");
}

#[test]
fn a3_members_that_do_not_fit_are_all_told() {
    let node = setup().start();
    let required = json!(["This field is required."]);
    let missing = json!({"username": required, "password": required, "email": required});
    assert_eq!(call(&node, "/user/register/", &json!({})).is(400).json(), missing);
    let format = "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.";
    for (field, value, told) in [
        ("username", json!(""), "This field may not be blank."),
        ("username", json!("x".repeat(151)), "Ensure this field has no more than 150 characters."),
        ("username", json!(["a"]), "Not a valid string."),
        ("password", json!("  "), "This field may not be blank."),
        ("password", json!(null), "This field may not be null."),
        ("email", json!("stranger"), "Enter a valid email address."),
        ("email", json!("a@b@c"), "Enter a valid email address."),
        ("email", json!("a@example.org\r\nBcc: b@example.org"), "Enter a valid email address."),
    ] {
        let mut body = applicant("bob");
        body[field] = value;
        assert_eq!(call(&node, "/user/register/", &body).is(400).json(), json!({field: [told]}), "{body}");
    }
    // Names that are paths, or would be part of another account's prefix, somewhere.
    for name in [
        ".",
        "..",
        "../etc",
        "a/b",
        "/a",
        "a\\b",
        "..\\a",
        "a b",
        "a\u{0}",
        "a\n",
        "a%2Fb/",
        "a\u{202e}b",
        "a\u{200b}",
        "con:",
        "a*",
        "~",
        "$(id)",
        "<b>",
    ] {
        let mut body = applicant("bob");
        body["username"] = json!(name);
        assert_eq!(call(&node, "/user/register/", &body).is(400).json(), json!({"username": [format]}), "{name:?}");
    }
    User::register(&node, "bob");
}

#[test]
fn registration_is_closed_unless_the_configuration_opens_it() {
    let node = Node::start();
    let told = call(&node, "/user/register/", &applicant("alice")).is(403).json();
    assert_eq!(told, json!({"detail": "You do not have permission to perform this action."}));
}

#[test]
fn a3_of_many_who_want_one_name_or_address_one_gets_it() {
    let mut node = setup().start();
    let outcomes: Vec<(u16, u16)> = std::thread::scope(|scope| {
        let ask = |number: usize| {
            let node = &node;
            let name = call(
                node,
                "/user/register/",
                &json!({
                    "username": "same", "password": PASSWORD, "email": format!("a{number}@example.org"),
                }),
            );
            let address = call(
                node,
                "/user/register/",
                &json!({
                    "username": format!("user{number}"), "password": PASSWORD, "email": "same@example.org",
                }),
            );
            (name.status, address.status)
        };
        let calls: Vec<_> = (0..12).map(|number| scope.spawn(move || ask(number))).collect();
        calls.into_iter().map(|call| call.join().expect("a call")).collect()
    });
    let names = outcomes.iter().filter(|(name, _)| *name == 201).count();
    let addresses = outcomes.iter().filter(|(_, address)| *address == 201).count();
    assert_eq!((names, addresses), (1, 1), "{outcomes:?}");
    assert!(outcomes.iter().flat_map(|(a, b)| [a, b]).all(|status| [201, 400].contains(status)), "{outcomes:?}");
    // What was acknowledged survives, and numbers go on.
    node.kill_and_start_again();
    let told = User::log_in(&node, "same", PASSWORD);
    let next = wait::until("a new number", || Some(User::register(&node, "next").id));
    assert!((1..=2).contains(&told.id) && next == 3, "{} {next}", told.id);
}

#[test]
fn passwords_and_tokens_are_kept_nowhere_in_clear() {
    let mut node = setup().start();
    let user = User::register(&node, "alice");
    let (access, refresh) = (user.access, user.refresh);
    node.stop();
    for secret in [PASSWORD, &access, &refresh] {
        let found = std::process::Command::new("grep").args(["-rFl", secret]).arg(node.dir()).output().expect("grep");
        assert!(found.stdout.is_empty(), "{:?}", String::from_utf8_lossy(&found.stdout));
    }
}
