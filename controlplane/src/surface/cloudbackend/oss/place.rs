//! What a path names (CONTRACT.md §B1): the bucket, an object in it, or another bucket.

use super::key::Key;
use super::refusal::Refusal;
use crate::core::percent;

/// What a request is about.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// The bucket itself.
    Bucket,
    /// An object, whether it is there or not.
    Object(Key),
    /// Something no object can be called, as it stands in the path.
    Unfit(String),
}

/// How the bucket was addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `/<bucket>/<key>`
    Path,
    /// `/<key>` on a host that is the bucket.
    BucketHost,
}

impl Place {
    /// Reads a raw path that begins with a slash.
    pub fn of(path: &str, style: Style, bucket: &str) -> Result<Self, Refusal> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let key = match style {
            Style::BucketHost => path,
            Style::Path => {
                let (first, key) = path.split_once('/').unwrap_or((path, ""));
                if first != bucket {
                    return Err(Refusal::NoSuchBucket);
                }
                key
            }
        };
        if key.is_empty() { Ok(Self::Bucket) } else { Ok(Self::named(key)) }
    }

    /// Who may ask is decided before the name is judged, so what is unfit is a place too.
    fn named(raw: &str) -> Self {
        match percent::decode(raw).map(Key::new) {
            Ok(Ok(key)) => Self::Object(key),
            Ok(Err(_)) | Err(_) => Self::Unfit(percent::decode(raw).unwrap_or_else(|_| raw.to_owned())),
        }
    }

    /// The object's name; `None` for the bucket.
    pub fn key(&self) -> Option<Result<&Key, Refusal>> {
        match self {
            Self::Bucket => None,
            Self::Object(key) => Some(Ok(key)),
            Self::Unfit(_) => Some(Err(Refusal::InvalidObjectName)),
        }
    }

    /// The name as it is signed.
    pub fn signed_name(&self) -> Option<&str> {
        match self {
            Self::Bucket => None,
            Self::Object(key) => Some(key.as_str()),
            Self::Unfit(text) => Some(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b1_both_styles_name_the_same() {
        let object = |key: &str| Ok(Place::Object(Key::new(key).unwrap()));
        for (path, style, place) in [
            ("/cloud", Style::Path, Ok(Place::Bucket)),
            ("/cloud/", Style::Path, Ok(Place::Bucket)),
            ("/cloud/u1/a.txt", Style::Path, object("u1/a.txt")),
            ("/cloud/u1%2Fa.txt", Style::Path, object("u1/a.txt")),
            ("/cloud/u1//a.txt", Style::Path, object("u1//a.txt")),
            ("/cloud/cloud/../x", Style::Path, object("cloud/../x")),
            ("/cloud//x", Style::Path, Ok(Place::Unfit("/x".into()))),
            ("/cloud/%ff", Style::Path, Ok(Place::Unfit("%ff".into()))),
            ("/clouds/x", Style::Path, Err(Refusal::NoSuchBucket)),
            ("/%63loud/x", Style::Path, Err(Refusal::NoSuchBucket)),
            ("//cloud/x", Style::Path, Err(Refusal::NoSuchBucket)),
            ("/", Style::BucketHost, Ok(Place::Bucket)),
            ("", Style::BucketHost, Ok(Place::Bucket)),
            ("/cloud/x", Style::BucketHost, object("cloud/x")),
            ("//x", Style::BucketHost, Ok(Place::Unfit("/x".into()))),
        ] {
            assert_eq!(Place::of(path, style, "cloud"), place, "{path}");
        }
    }
}
