//! `et server verify` (PROMISES.md P19): a flipped byte in any object is found.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::support::{Node, Oracle, wait};

fn verify(node: &Node) -> wait::Ran {
    let storage = node.storage().to_str().expect("paths of tests are UTF-8").to_owned();
    wait::run(node.et(&["server", "verify", "--storage", &storage]))
}

fn file_of(node: &Node, id: &str) -> PathBuf {
    node.storage().join("objects").join(&id[..2]).join(id)
}

fn flip(path: &Path, at: u64) {
    let mut file = std::fs::File::options().read(true).write(true).open(path).expect("an object's file");
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut byte)).expect("read the byte");
    file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(&[byte[0] ^ 0x10])).expect("write it back");
    file.sync_all().expect("onto the disk");
}

#[test]
fn p19_a_flipped_byte_is_found_and_named() {
    let mut node = Node::start();
    let content = Oracle(3).bytes(0..700_000);
    let whole = node.complete(&content);
    let other = node.complete(b"hello");
    let partial = node.create(10_000_000);
    node.patch(&partial, 0, &content).is(204);
    let busy = verify(&node);
    assert!(busy.code != Some(0) && busy.stderr.contains("another server uses"), "{busy:?}");
    node.stop();
    let clean = verify(&node).ok();
    assert!(
        clean.stdout.contains("3 objects, 1400005 bytes as they came, 0 without a checksum, 0 objects damaged"),
        "{clean:?}"
    );
    for (id, at) in [(&whole.id, 0), (&whole.id, 350_001), (&whole.id, 699_999), (&partial.id, 500_000), (&other.id, 4)]
    {
        flip(&file_of(&node, id), at);
        let found = verify(&node);
        assert_eq!(found.code, Some(1), "{found:?}");
        assert!(
            found.stdout.contains(&format!("{id} damaged in bytes")) && found.stdout.contains("1 objects damaged"),
            "{at}: {found:?}"
        );
        flip(&file_of(&node, id), at);
    }
    verify(&node).ok();
    node.start_again();
    node.whole(&whole, &content);
}
