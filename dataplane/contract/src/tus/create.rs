//! The head of a creating POST (TUS.md §A5, §A6, §A7, §A11).

use super::append::{CONTENT_TYPE, checksum};
use super::fields::{number, single};
use super::{Checksum, Concat, Fields, Metadata, Refusal, version};

/// What a creation says about the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeclaredLength {
    /// `Upload-Length`.
    Known(u64),
    /// `Upload-Defer-Length: 1`.
    Deferred,
    /// A final upload: the sum of its parts (T-CON-2).
    FinalOfParts,
}

/// What the head of a creating POST says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateHead {
    /// How long the upload will be.
    pub length: DeclaredLength,
    /// `Upload-Metadata`.
    pub metadata: Metadata,
    /// `Upload-Concat`.
    pub concat: Concat,
    /// `Upload-Checksum` of the body. Its algorithm is asked for later (A12).
    pub checksum: Option<Checksum>,
    /// `Trailer` announces an `Upload-Checksum` after the body (T-SUM-8).
    pub checksum_in_trailer: bool,
    /// The content type makes the body the first bytes of the upload; of any other type it is ignored (T-CWU-4). A
    /// final upload takes no body at all: the data plane, which knows the framing, refuses it (T-CON-3).
    pub body_is_upload: bool,
}

impl CreateHead {
    /// In the order of A12: version 412, then header syntax 400.
    pub fn parse(fields: &impl Fields) -> Result<Self, Refusal> {
        version(fields)?;
        single(fields, "upload-offset")?;
        let concat = single(fields, "upload-concat")?
            .filter(|value| !value.is_empty())
            .map(Concat::parse)
            .transpose()?
            .unwrap_or_default();
        let length = length(fields, &concat)?;
        let metadata = single(fields, "upload-metadata")?.map(Metadata::parse).transpose()?.unwrap_or_default();
        let (checksum, checksum_in_trailer) = checksum(fields)?;
        let body_is_upload = single(fields, "content-type")? == Some(CONTENT_TYPE.as_bytes());
        Ok(Self { length, metadata, concat, checksum, checksum_in_trailer, body_is_upload })
    }
}

/// T-CRE-3, T-CRE-4, T-DEF-1, T-CON-3.
fn length(fields: &impl Fields, concat: &Concat) -> Result<DeclaredLength, Refusal> {
    let known = number(fields, "upload-length")?;
    let deferred = match single(fields, "upload-defer-length")? {
        None => false,
        Some(b"1") => true,
        Some(_) => return Err(Refusal::bad("Upload-Defer-Length has no value but 1")),
    };
    match (concat, known, deferred) {
        (Concat::Final(_), None, false) => Ok(DeclaredLength::FinalOfParts),
        (Concat::Final(_), _, _) => Err(Refusal::bad("the length of a final upload is the sum of its parts")),
        (Concat::No | Concat::Partial, Some(length), false) => Ok(DeclaredLength::Known(length)),
        (Concat::No | Concat::Partial, None, true) => Ok(DeclaredLength::Deferred),
        (Concat::No | Concat::Partial, Some(_), true) => {
            Err(Refusal::bad("Upload-Length and Upload-Defer-Length exclude each other"))
        }
        (Concat::No | Concat::Partial, None, false) => {
            Err(Refusal::bad("neither Upload-Length nor Upload-Defer-Length is given"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::OFFSET_MAX;

    fn parse(fields: &[(&str, &str)]) -> Result<CreateHead, u16> {
        let fields: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        CreateHead::parse(&fields).map_err(|refusal| refusal.status)
    }

    fn length(fields: &[(&str, &str)]) -> Result<DeclaredLength, u16> {
        parse(fields).map(|head| head.length)
    }

    #[test]
    fn a_length_is_known_deferred_or_the_sum_of_parts() {
        use DeclaredLength::{Deferred, FinalOfParts, Known};
        type Row<'r> = (&'r [(&'r str, &'r str)], Result<DeclaredLength, u16>);
        let table: [Row<'_>; 23] = [
            (&[("Upload-Length", "0")], Ok(Known(0))),
            (&[("upload-length", "9223372036854775807")], Ok(Known(OFFSET_MAX))),
            (&[("Upload-Length", "9223372036854775808")], Err(400)),
            (&[("Upload-Length", "18446744073709551616")], Err(400)),
            (&[("Upload-Length", "-1")], Err(400)),
            (&[("Upload-Length", "")], Err(400)),
            (&[("Upload-Length", "5"), ("Upload-Length", "5")], Err(400)),
            (&[], Err(400)),
            (&[("Upload-Defer-Length", "1")], Ok(Deferred)),
            (&[("Upload-Defer-Length", "0")], Err(400)),
            (&[("Upload-Defer-Length", "2")], Err(400)),
            (&[("Upload-Defer-Length", "true")], Err(400)),
            (&[("Upload-Defer-Length", "")], Err(400)),
            (&[("Upload-Defer-Length", "1"), ("Upload-Defer-Length", "1")], Err(400)),
            (&[("Upload-Length", "5"), ("Upload-Defer-Length", "1")], Err(400)),
            (&[("Upload-Length", "5"), ("Upload-Defer-Length", "0")], Err(400)),
            (&[("Upload-Concat", "final;/a /b")], Ok(FinalOfParts)),
            (&[("Upload-Concat", "final;/a"), ("Upload-Length", "5")], Err(400)),
            (&[("Upload-Concat", "final;/a"), ("Upload-Defer-Length", "1")], Err(400)),
            (&[("Upload-Concat", "partial"), ("Upload-Length", "5")], Ok(Known(5))),
            (&[("Upload-Concat", "partial")], Err(400)),
            (&[("Upload-Concat", ""), ("Upload-Length", "5")], Ok(Known(5))),
            (&[("Upload-Concat", "other"), ("Upload-Length", "5")], Err(400)),
        ];
        for (fields, expected) in table {
            assert_eq!(length(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn the_version_comes_first_and_bad_metadata_is_400() {
        assert_eq!(length(&[("Tus-Resumable", "0.2.2"), ("Upload-Length", "x")]), Err(412));
        assert_eq!(length(&[("Upload-Length", "1"), ("Upload-Metadata", "a  b")]), Err(400));
        assert_eq!(length(&[("Upload-Length", "1"), ("Upload-Metadata", "a"), ("Upload-Metadata", "a")]), Err(400));
        assert_eq!(length(&[("Upload-Length", "1"), ("Upload-Checksum", "sha1 x")]), Err(400));
    }

    #[test]
    fn a_body_of_the_offset_type_is_the_uploads_and_any_other_is_not() {
        for (content_type, expected) in [(CONTENT_TYPE, true), ("text/plain", false), ("", false)] {
            let head = parse(&[("Upload-Length", "1"), ("Content-Type", content_type)]).unwrap();
            assert_eq!(head.body_is_upload, expected, "{content_type:?}");
        }
        for fields in [&[("Upload-Length", "1")][..], &[("Upload-Length", "1"), ("Upload-Metadata", "")]] {
            assert!(!parse(fields).unwrap().metadata.is_present());
        }
    }
}
