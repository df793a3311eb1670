//! Python `requests`, unmodified, doing what the front end does.

use super::setup;
use crate::clients::{python, script};
use crate::support::wait;

#[test]
fn python_requests() {
    let node = setup().start();
    let script = script("cloudbackend_requests.py").to_str().expect("UTF-8").to_owned();
    let said = wait::run(python(&node, &[&script, &node.url(), "alice"])).ok().stdout;
    assert!(said.ends_with("done\n"), "{said}");
}
