//! The path of an object's file: `objects/<2 hex>/<32 hex>`, made from the id alone.
use std::ffi::CStr;

use etransfer_contract::ObjectId;

/// `ab/abcd…` below the objects directory, ready for `openat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectPath {
    /// Two digits, `/`, 32 digits, NUL.
    text: [u8; 36],
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl ObjectPath {
    /// The path of `id`.
    pub fn of(id: ObjectId) -> Self {
        let mut text = [0; 36];
        for (index, byte) in id.as_bytes().iter().enumerate() {
            text[3 + 2 * index] = DIGITS[usize::from(byte >> 4)];
            text[4 + 2 * index] = DIGITS[usize::from(byte & 15)];
        }
        (text[0], text[1], text[2]) = (text[3], text[4], b'/');
        Self { text }
    }

    /// Relative to [`Store::objects_dir`](super::Store::objects_dir).
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.text).expect("35 digits and a slash, then the only NUL")
    }

    /// The same as text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.text[..35]).expect("hex digits and a slash")
    }
}

/// Name of the subdirectory of all ids that start with `byte`.
pub(super) fn directory(byte: u8) -> String {
    format!("{byte:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_the_one_the_contract_names() {
        let id: ObjectId = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let (directory, name) = id.path_parts();
        assert_eq!(ObjectPath::of(id).as_str(), format!("{directory}/{name}"));
        assert_eq!(ObjectPath::of(id).as_c_str().to_str().unwrap(), format!("{directory}/{name}"));
        assert_eq!(super::directory(0x0a), "0a");
    }
}
