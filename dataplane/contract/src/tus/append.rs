//! The head of a PATCH (TUS.md §A4).

use super::fields::{lists, number, single};
use super::{Checksum, Fields, Refusal, version};

/// The only content type of upload bytes; compared exactly (T-PAT-3).
pub const CONTENT_TYPE: &str = "application/offset+octet-stream";

/// Parallel writers begin at multiples of this (easytransfer/CONTRACT.md §2.4); a TUS client with a wrong offset hardly ever
/// does.
pub const PARALLEL_ALIGNMENT: u64 = 4096;

/// What the head of a PATCH says about its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendHead {
    /// Where the first byte goes.
    pub offset: u64,
    /// `Upload-Length`: sets a deferred length (T-DEF-3).
    pub length: Option<u64>,
    /// `Upload-Checksum`. Its algorithm is asked for later, after offset and length (A12).
    pub checksum: Option<Checksum>,
    /// `Trailer` announces an `Upload-Checksum` after the body (T-SUM-8).
    pub checksum_in_trailer: bool,
}

impl AppendHead {
    /// In the order of A12: version 412, header syntax 400, content type 415.
    pub fn parse(fields: &impl Fields) -> Result<Self, Refusal> {
        version(fields)?;
        let offset = number(fields, "upload-offset")?.ok_or_else(|| Refusal::bad("Upload-Offset is missing"))?;
        let length = number(fields, "upload-length")?;
        let (checksum, checksum_in_trailer) = checksum(fields)?;
        for unused in ["upload-metadata", "upload-concat", "upload-defer-length"] {
            single(fields, unused)?;
        }
        if single(fields, "content-type")? != Some(CONTENT_TYPE.as_bytes()) {
            return Err(Refusal::new(415, "Content-Type is not application/offset+octet-stream"));
        }
        Ok(Self { offset, length, checksum, checksum_in_trailer })
    }
}

/// The checksum of a body: in the header, and whether one is announced for the trailer.
pub(super) fn checksum(fields: &impl Fields) -> Result<(Option<Checksum>, bool), Refusal> {
    let header = single(fields, "upload-checksum")?.map(Checksum::parse).transpose()?;
    Ok((header, lists(fields, "trailer", "upload-checksum")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: (&str, &str) = ("Content-Type", CONTENT_TYPE);

    fn parse(fields: &[(&str, &str)]) -> Result<AppendHead, u16> {
        let fields: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        AppendHead::parse(&fields).map_err(|refusal| refusal.status)
    }

    #[test]
    fn a_plain_patch_is_read() {
        let head = parse(&[("Tus-Resumable", "1.0.0"), ("upload-OFFSET", "70000000"), TYPE]).unwrap();
        assert_eq!(head, AppendHead { offset: 70_000_000, length: None, checksum: None, checksum_in_trailer: false });
        let head = parse(&[("Upload-Offset", "0"), ("Upload-Length", "5"), TYPE, ("Trailer", "a, Upload-Checksum")]);
        assert_eq!(head.map(|head| (head.length, head.checksum_in_trailer)), Ok((Some(5), true)));
    }

    #[test]
    fn refusals_come_in_the_order_of_a12() {
        let table: [(&[(&str, &str)], u16); 14] = [
            (&[("Tus-Resumable", "0.2.2"), ("Upload-Offset", "x"), ("Content-Type", "text/plain")], 412),
            (&[("Upload-Offset", "x"), ("Content-Type", "text/plain")], 400),
            (&[TYPE], 400),
            (&[("Upload-Offset", "0"), ("Upload-Offset", "0"), TYPE], 400),
            (&[("Upload-Offset", "0"), ("Upload-Length", "-5"), TYPE], 400),
            (&[("Upload-Offset", "0"), ("Upload-Length", "5"), ("Upload-Length", "5"), TYPE], 400),
            (&[("Upload-Offset", "0"), ("Upload-Checksum", "sha1"), ("Content-Type", "text/plain")], 400),
            (&[("Upload-Offset", "0"), ("Upload-Checksum", "x y"), ("Upload-Checksum", "x y"), TYPE], 400),
            (&[("Upload-Offset", "0"), TYPE, TYPE], 400),
            (&[("Upload-Offset", "0"), ("Upload-Metadata", "a"), ("Upload-Metadata", "a"), TYPE], 400),
            (&[("Upload-Offset", "0")], 415),
            (&[("Upload-Offset", "0"), ("Content-Type", "text/plain")], 415),
            (&[("Upload-Offset", "0"), ("Content-Type", "application/offset+octet-stream; charset=x")], 415),
            (&[("Upload-Offset", "0"), ("Content-Type", "Application/Offset+Octet-Stream")], 415),
        ];
        for (fields, status) in table {
            assert_eq!(parse(fields), Err(status), "{fields:?}");
        }
    }

    #[test]
    fn an_unknown_algorithm_is_not_refused_by_the_head() {
        let head = parse(&[("Upload-Offset", "0"), ("Upload-Checksum", "sha512 AAAA"), TYPE]).unwrap();
        assert_eq!(head.checksum.unwrap().algorithm().unwrap_err().status, 400);
    }
}
