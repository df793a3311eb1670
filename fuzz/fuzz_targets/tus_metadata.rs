//! `Upload-Metadata`, `Upload-Concat` and `Upload-Checksum`: no panic, what is accepted is kept byte for byte, limits hold.
#![no_main]

use etransfer_contract::tus::{Checksum, Concat, Metadata};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| {
    match Metadata::parse(value) {
        Ok(metadata) => {
            assert_eq!(metadata.raw().map(str::as_bytes), Some(value));
            let pairs: Vec<_> = metadata.pairs().collect();
            assert!(!pairs.is_empty() && pairs.len() <= 64 && value.len() <= 8192);
            assert!(pairs.iter().all(|(key, value)| !key.is_empty() && value.is_none_or(|value| value.len() <= 4096)));
            assert!(metadata.get("filename").is_none_or(|name| name.len() <= 1024 && !name.contains('\0')));
        }
        Err(refusal) => assert_eq!(refusal.status, 400),
    }
    if let Ok(concat) = Concat::parse(value) {
        assert_eq!(concat.raw().map(String::into_bytes), Some(value.to_vec()));
    }
    if let Ok(checksum) = Checksum::parse(value) {
        assert_eq!(checksum.algorithm().is_ok(), !checksum.digest().is_empty());
    }
});
