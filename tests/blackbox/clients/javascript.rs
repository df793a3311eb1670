//! tus-js-client on Node: resume, parallel parts through concatenation, body in the creation, deferred length, override.

use std::process::Command;

use super::{client_home, installed, script, source};
use crate::support::node::clean_env;
use crate::support::tus::Upload;
use crate::support::{Node, Oracle, TOKEN, wait};

#[test]
fn tus_js_client_uploads_in_all_its_ways() {
    let node = Node::start();
    // A module is looked up beside the file that imports it.
    let program = installed().join("js").join(format!("tus_js-{}.mjs", std::process::id()));
    std::fs::copy(script("tus_js.mjs"), &program).expect("put the script beside its modules");
    for (seed, length) in [(1u64, 2_500_000u64), (2, 4_000)] {
        let file = source(&node, &format!("js-{length}.bin"), Oracle(seed), length);
        let mut command = Command::new("node");
        command.arg(&program).arg(node.url()).arg(TOKEN).arg(&file);
        command.env_clear().envs(clean_env(&client_home(&node))).current_dir(node.dir());
        let ran = wait::run(command);
        let ran = ran.ok();
        let urls: Vec<&str> = ran.stdout.lines().collect();
        assert_eq!(urls.len(), 5, "{ran:?}");
        for url in urls {
            node.whole(&Upload::at(url), &Oracle(seed).bytes(0..length));
        }
    }
    let _ = std::fs::remove_file(&program);
}
