//! The TUS clients of the Python registry: tuspy and aiotus.

use super::{python, script, source};
use crate::support::tus::Upload;
use crate::support::{Node, Oracle, TOKEN, wait};

#[test]
fn tuspy_resumes_and_sends_checksums() {
    let node = Node::start();
    for (seed, length) in [1u64, 4_095, 2_500_000].into_iter().enumerate() {
        let oracle = Oracle(seed as u64);
        let file = source(&node, &format!("\u{6587}{length}.bin"), oracle, length);
        let state = node.dir().join(format!("state-{length}.json"));
        let script = script("tuspy_upload.py");
        let args = [&script, &file, &state].map(|path| path.to_str().expect("UTF-8").to_owned());
        let ran = wait::run(python(&node, &[&args[0], &node.url(), TOKEN, &args[1], &args[2]])).ok();
        let urls: Vec<&str> = ran.stdout.lines().collect();
        assert_eq!(urls.len(), 2, "{ran:?}");
        for url in urls {
            node.whole(&Upload::at(url), &oracle.bytes(0..length));
        }
    }
}

#[test]
fn aiotus_uploads_and_concatenates() {
    let node = Node::start();
    for (seed, length) in [2u64, 3_000_001].into_iter().enumerate() {
        let oracle = Oracle(seed as u64);
        let file = source(&node, &format!("aio-{length}.bin"), oracle, length);
        let script = script("aiotus_upload.py");
        let args = [&script, &file, &node.dir().to_path_buf()].map(|path| path.to_str().expect("UTF-8").to_owned());
        let ran = wait::run(python(&node, &[&args[0], &node.url(), TOKEN, &args[1], &args[2]])).ok();
        let urls: Vec<&str> = ran.stdout.lines().collect();
        assert_eq!(urls.len(), 2, "{ran:?}");
        for url in urls {
            node.whole(&Upload::at(url), &oracle.bytes(0..length));
        }
    }
}
