//! Records of objects, as ever.

use serde_json::json;

use super::key::Key;
use super::objects;
use super::stored::{Headers, Stored};
use crate::catalogue::tests::record;
use crate::catalogue::{Owner, Record};
use crate::core::SurfaceId;
use crate::golden::{TIME, check_json, golden, object};

#[test]
fn records_of_objects_are_stored_as_ever() {
    let fields = [("Cache-Control", "no-cache"), ("x-oss-meta-author", "文")];
    let fields = fields.iter().map(|(name, value)| (*name, value.as_bytes()));
    let headers = Headers::new(Some(b"text/plain"), fields).unwrap();
    let stored = |files: &[u64], released_ms| Stored {
        headers: headers.clone(),
        md5: "AB".repeat(16),
        crc64: u64::MAX,
        files: files.iter().copied().collect(),
        released_ms,
    };
    let key = Key::new("alice//文.txt").unwrap();
    let record = |stored: &Stored| Record {
        surface: SurfaceId::CloudBackend,
        owner: Some(Owner::Member(SurfaceId::CloudBackend, "alice".into())),
        key: objects::place(&key),
        completed_ms: Some(TIME),
        detail: serde_json::to_value(stored).unwrap(),
        ..record(object(0x11), TIME)
    };
    let all = [
        ("in no drive", record(&stored(&[], None))),
        ("in two drives", record(&stored(&[1, 300], None))),
        ("released by the last one", record(&stored(&[], Some(TIME + 1)))),
    ];
    check_json(golden("surface/cloudbackend", "objects.txt", "Records of objects."), &all);
    let again: Stored = serde_json::from_value(all[1].1.detail.clone()).unwrap();
    assert_eq!(again, stored(&[1, 300], None));
    let older = json!({"headers": [], "md5": "AB", "crc64": 7});
    assert!(!serde_json::from_value::<Stored>(older).unwrap().is_referenced());
}
