//! `GET`/`HEAD /api/files/download/{filename}` (CONTRACT.md §5.3). The range is answered by the data plane; what is no
//! range is refused here, in this dialect's words.

use etransfer_contract::conditions::Verdict;
use etransfer_contract::grant::Act;
use etransfer_contract::list::members;
use etransfer_contract::ranges::RequestedRange;
use http::header::RANGE;
use http::{HeaderMap, Method};

use super::build::{self, After};
use super::name::File;
use super::refusal::Refusal;
use super::{Job, store};
use crate::audit;
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::surface::delivery;
use crate::surface::disposition::attachment_in_full;
use crate::surface::secure_file_transfer::Service;

/// Content of a published file; what is not one object yet is built first.
pub fn serve(app: &Service, job: &Job, method: &Method, headers: &HeaderMap) -> Result<Decision, Refusal> {
    let name = store::read(app, &job.key())?;
    // CONTRACT.md §6.2 item 4: the file stays downloadable until an upload over it is complete.
    let file = name.file.as_ref().ok_or(Refusal::NotComplete)?;
    let etag = format!("\"{}\"", file.version);
    if method == Method::GET {
        check_range(headers, file, &etag)?;
    }
    if !file.is_built() {
        return build::begin(app, job, file, After::Download);
    }
    let object = file.whole.unwrap_or(file.version);
    if method == Method::GET {
        audit::surface(SurfaceId::SecureFileTransfer, &job.device, audit::DOWNLOAD, object);
    }
    let fields = delivery::fields("application/octet-stream", attachment_in_full(&job.name));
    let serve = delivery::complete(object, file.length, etag, file.modified_ms, fields);
    Ok(Decision::grant(&app.node, Act::Serve(serve)))
}

/// 400 for what is no single range of bytes, 416 for one outside the file; unless the conditions of the request say that the
/// range means nothing.
fn check_range(headers: &HeaderMap, file: &File, etag: &str) -> Result<(), Refusal> {
    let length = file.length;
    let is_void = delivery::judge(headers, etag, file.modified_ms) != Verdict::Go { ranges: true };
    let mut ranges = headers.get_all(RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else {
        return if is_void || !headers.contains_key(RANGE) { Ok(()) } else { Err(Refusal::RangeFormat) };
    };
    if is_void {
        return Ok(());
    }
    if !is_range(range.as_bytes()) {
        return Err(Refusal::RangeFormat);
    }
    let span = RequestedRange::parse(range.as_bytes()).resolve(|at| length.max(at));
    span.map(drop).ok_or(Refusal::OutOfRange(length))
}

/// `bytes=a-b`, `bytes=a-` or `bytes=-n`.
fn is_range(value: &[u8]) -> bool {
    let Some((unit, ranges)) = value.split_at_checked(6) else { return false };
    let mut ranges = members(std::iter::once(ranges));
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return false };
    let Some(dash) = range.iter().position(|byte| *byte == b'-') else { return false };
    let (start, end) = (&range[..dash], &range[dash + 1..]);
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    unit.eq_ignore_ascii_case(b"bytes=") && digits(start) && digits(end) && !(start.is_empty() && end.is_empty())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE};

    use super::super::content::Content;
    use super::*;

    fn file(length: u64) -> File {
        let id = etransfer_contract::ObjectId::from_bytes([1; 16]);
        let (content, whole) = (Content::default(), None);
        File { content, length, base: id, whole, version: id, modified_ms: 0, is_partial: false }
    }

    #[test]
    fn section_5_3_ranges() {
        for (range, expected) in [
            ("bytes=5-15", Ok(())),
            ("bytes=0-", Ok(())),
            ("bytes=-5", Ok(())),
            ("bytes=0-99999999999999999999999", Ok(())),
            ("bytes=-99", Ok(())),
            ("bytes=26-", Err(Refusal::OutOfRange(26))),
            ("bytes=5-4", Err(Refusal::OutOfRange(26))),
            ("bytes=-0", Err(Refusal::OutOfRange(26))),
            ("bytes=99999999999999999999999-", Err(Refusal::OutOfRange(26))),
            ("bytes=a-b", Err(Refusal::RangeFormat)),
            ("bytes=0-1,4-5", Err(Refusal::RangeFormat)),
            ("bytes=-", Err(Refusal::RangeFormat)),
            ("bytes=5", Err(Refusal::RangeFormat)),
            ("bytes=", Err(Refusal::RangeFormat)),
            ("5-15", Err(Refusal::RangeFormat)),
            ("items=5-15", Err(Refusal::RangeFormat)),
            ("bytes=+1-2", Err(Refusal::RangeFormat)),
            ("", Err(Refusal::RangeFormat)),
        ] {
            let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static(range))]);
            assert_eq!(check_range(&headers, &file(26), "\"a\""), expected, "{range}");
            for (name, value) in [(IF_RANGE, "\"b\""), (IF_NONE_MATCH, "\"a\""), (IF_MATCH, "\"b\"")] {
                let mut headers = headers.clone();
                headers.insert(name, HeaderValue::from_static(value));
                assert_eq!(check_range(&headers, &file(26), "\"a\""), Ok(()), "{range} {value}");
            }
        }
        let mut twice = HeaderMap::new();
        twice.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        twice.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        assert_eq!(check_range(&twice, &file(26), "\"a\""), Err(Refusal::RangeFormat));
        assert_eq!(check_range(&HeaderMap::new(), &file(0), "\"a\""), Ok(()));
    }
}
