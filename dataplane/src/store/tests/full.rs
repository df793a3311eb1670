//! P7: on a full disk bodies are refused, and everything that gives room back or ends something goes on.
use super::*;

/// As if the disk were full: no new segment can be made, because its name is taken.
fn block_new_segments(root: &Path, store: &Store) {
    let generation = store.common().generation.load(std::sync::atomic::Ordering::Acquire);
    for part in 0..100 {
        let name = format!("{generation:010}-0000-{part:06}.journal");
        let _ = std::fs::File::create_new(root.join("journal").join(name));
    }
}

#[test]
fn removing_and_completing_go_on_when_no_segment_can_be_made() {
    let root = directory();
    let options = StoreOptions { journal_bytes: 64 << 10, ..StoreOptions::new(root.path(), 1) };
    let (store, _) = Store::open_in(options, BOOT).unwrap();
    store_bytes(&store, id(1), Some(10), 0, &[1; 10]);
    store_bytes(&store, id(2), Some(20), 0, &[1; 10]);
    block_new_segments(root.path(), &store);
    let object = store.find_or_create(id(3), None).unwrap();
    write_file(&store, id(3), 0, &[1; 10_000]);
    let mut claim = object.claim(Want { offset: 0, body: None, parallel: false }).unwrap();
    let refused_at = (0..10_000).find(|at| claim.commit(store.journal(0), span(*at, at + 1), 0).is_err()).unwrap();
    assert!(refused_at > 1500, "two segments were there: {refused_at}");
    assert_eq!(object.look().contiguous, refused_at, "the prefix is kept");
    store.find(id(1)).unwrap().try_complete().unwrap().finish(store.journal(0), true).unwrap();
    assert!(store.remove(id(2), store.journal(0)).unwrap());
    for number in 10..60 {
        assert!(store.remove(id(number), store.journal(0)).unwrap());
    }
    drop((claim, object));
    let copy = directory();
    copy_tree(root.path(), copy.path());
    for path in journal_files(copy.path()).into_iter().filter(|path| std::fs::metadata(path).unwrap().len() == 0) {
        std::fs::remove_file(path).unwrap();
    }
    let (reopened, _) = open(copy.path());
    assert!(reopened.find(id(1)).unwrap().look().complete && reopened.is_removed(id(59)));
    assert_eq!(reopened.find(id(3)).unwrap().look().contiguous, refused_at);
    store.compact().expect("a new generation has free names: room appeared");
    store_bytes(&store, id(4), None, 0, &[1; 10]);
}
