//! The JSON of files, readable by both client generations (CONTRACT.md §2.9): exactly these keys, never null where a
//! generation rejects it.

use std::ops::Range;

use etransfer_contract::Span;
use serde_json::{Value, json};

use crate::catalogue::{Entry, Record};
use crate::clock::iso;
use crate::core::Policy;
use crate::node::spans_of;

/// What a file is called when its media type is unknown.
pub const OCTETS: &str = "application/octet-stream";
/// An upload with a byte in the last 5 minutes counts as active.
const ACTIVE_MS: u64 = 300_000;

/// Size as told: declared, else what is there so far.
pub fn size(entry: &Entry) -> u64 {
    entry.record.length.unwrap_or_else(|| entry.received())
}

/// Stored in pieces that are consumed one by one, as 0.1.26 words it.
pub fn is_chunked(record: &Record) -> bool {
    match record.keep.policy {
        Policy::DownloadOnce => true,
        Policy::Permanent | Policy::Ttl => false,
    }
}

/// FileInfo.
pub fn file_info(entry: &Entry, chunk_size: u64, expires_ms: Option<u64>) -> Value {
    let record = &entry.record;
    let (size, received) = (size(entry), entry.received());
    let (total_chunks, uploaded_chunks) = (size.div_ceil(chunk_size), received.div_ceil(chunk_size));
    json!({
        "file_id": record.id.to_string(),
        "filename": record.filename,
        "size": size,
        "mime_type": record.mime.as_deref().unwrap_or(OCTETS),
        "checksum": record.checksum,
        "status": if record.is_complete() { "complete" } else { "partial" },
        "uploaded_size": received,
        "chunk_size": chunk_size,
        "total_chunks": total_chunks,
        "uploaded_chunks": uploaded_chunks,
        "created_at": iso(record.created_ms),
        "updated_at": iso(entry.updated_ms()),
        "expires_at": expires_ms.filter(|_| !record.is_complete()).map(iso),
        "metadata": {
            "retention": record.keep.policy.word(),
            "retention_ttl": record.keep.ttl_s,
            "retention_expires_at": record.ttl_ends_ms().map(iso),
            "download_count": record.download_count,
            "chunks_consumed": record.once.chunks_consumed(),
            "chunked_storage": is_chunked(record),
            "total_chunks": total_chunks,
            "uploaded_chunks": uploaded_chunks,
        },
    })
}

/// DownloadInfo.
pub fn download_info(entry: &Entry, chunk_size: u64, now_ms: u64) -> Value {
    let record = &entry.record;
    let size = size(entry);
    let chunked = is_chunked(record);
    let available = if chunked { available_chunks(entry, chunk_size) } else { Chunks::default() };
    let last = entry.presence.as_ref().map_or(0, |presence| presence.at_unix_ms);
    json!({
        "file_id": record.id.to_string(),
        "filename": record.filename,
        "size": size,
        "available_size": if chunked { available.bytes(size, chunk_size) } else { entry.contiguous() },
        "mime_type": record.mime.as_deref().unwrap_or(OCTETS),
        "checksum": record.checksum,
        "supports_range": true,
        "is_upload_complete": record.is_complete(),
        "chunked_storage": chunked,
        "chunk_size": if chunked { chunk_size } else { 0 },
        "total_chunks": if chunked { size.div_ceil(chunk_size) } else { 0 },
        "available_chunks": available.numbers().collect::<Vec<u64>>(),
        "chunks_consumed": record.once.chunks_consumed(),
        "upload_active": !record.is_complete() && last.saturating_add(ACTIVE_MS) > now_ms,
    })
}

/// Numbers of chunks, as runs of consecutive ones: as many runs as spans are there, whatever length was declared.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chunks(Vec<Range<u64>>);

impl Chunks {
    /// How many.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|run| run.end - run.start).sum()
    }

    /// Each of them. Every one has its bytes in the store, so this is work for bytes received, not for bytes declared.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().cloned().flatten()
    }

    /// Their bytes, in a file of `size`.
    fn bytes(&self, size: u64, chunk_size: u64) -> u64 {
        let at = |index: u64| size.min(index.saturating_mul(chunk_size));
        self.0.iter().map(|run| at(run.end) - at(run.start)).sum()
    }
}

/// Chunks whose bytes are all there and not consumed.
pub fn available_chunks(entry: &Entry, chunk_size: u64) -> Chunks {
    let (size, mut there) = (size(entry), spans_of(entry));
    entry.record.once.consumed().for_each(|gone| there.remove(gone));
    let run = |span: Span| {
        // The last chunk may be shorter than the others.
        let end = if span.end() >= size { size.div_ceil(chunk_size) } else { span.end() / chunk_size };
        Some(span.start().div_ceil(chunk_size)..end).filter(|run| !run.is_empty())
    };
    Chunks(there.iter().filter_map(run).collect())
}

#[cfg(test)]
mod tests {
    use etransfer_contract::fact::Presence;
    use etransfer_contract::{ObjectId, SpanSet};
    use proptest::prelude::*;

    use super::*;
    use crate::catalogue::tests::record;
    use crate::retention::policy::Keep;

    fn entry(length: Option<u64>, spans: SpanSet) -> Entry {
        let id = ObjectId::from_bytes([1; 16]);
        let keep = Keep { policy: Policy::DownloadOnce, ttl_s: None };
        let (received, contiguous) = (spans.bytes(), spans.contiguous());
        let presence = Presence { object: id, received, contiguous, spans, length, complete: false, at_unix_ms: 1 };
        Entry { record: Record { length, keep, ..record(id, 5) }, presence: Some(presence) }
    }

    #[test]
    fn b2_the_longest_upload_costs_no_more_than_a_short_one() {
        let longest = etransfer_contract::span::OFFSET_MAX;
        for chunk_size in [1, 4 << 20, u64::MAX] {
            let available = available_chunks(&entry(Some(longest), SpanSet::new()), chunk_size);
            assert_eq!((available.count(), available.numbers().count()), (0, 0));
            let info = download_info(&entry(Some(longest), Span::new(0, 9).into_iter().collect()), chunk_size, 0);
            assert_eq!(info["available_chunks"].as_array().unwrap().len(), if chunk_size == 1 { 9 } else { 0 });
            file_info(&entry(Some(longest), SpanSet::new()), chunk_size, None);
        }
        let tail = Span::new(longest - 1, longest).into_iter().collect();
        assert_eq!(available_chunks(&entry(Some(longest), tail), 4 << 20).count(), 0);
    }

    proptest! {
        #[test]
        fn chunks_are_those_that_a_look_at_each_finds(
            size in prop::option::of(0..100u64),
            spans in prop::collection::vec((0..100u64, 1..40u64), 0..5),
            chunk_size in 1..30u64,
        ) {
            let spans: SpanSet = spans.into_iter().filter_map(|(start, len)| Span::at(start, len)).collect();
            let entry = entry(size, spans.clone());
            let size = super::size(&entry);
            let chunk = |index: u64| Span::new(index * chunk_size, size.min((index + 1) * chunk_size));
            let there = |index: &u64| chunk(*index).is_some_and(|chunk| spans.contains(chunk));
            let expected: Vec<u64> = (0..size.div_ceil(chunk_size)).filter(there).collect();
            let available = available_chunks(&entry, chunk_size);
            prop_assert_eq!(available.count(), expected.len() as u64);
            let bytes: u64 = expected.iter().filter_map(|index| chunk(*index)).map(Span::len).sum();
            prop_assert_eq!(available.bytes(size, chunk_size), bytes);
            prop_assert_eq!(available.numbers().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn section_18_parallel_chunks() {
        let id = ObjectId::from_bytes([1; 16]);
        let keep = Keep { policy: Policy::DownloadOnce, ttl_s: None };
        let record = Record { length: Some(70_000_000), keep, ..record(id, 5) };
        let presence = Presence {
            object: id,
            received: 2_891_136,
            contiguous: 0,
            spans: Span::new(67_108_864, 70_000_000).into_iter().collect(),
            length: Some(70_000_000),
            complete: false,
            at_unix_ms: 1000,
        };
        let entry = Entry { record, presence: Some(presence) };
        let info = download_info(&entry, 33_554_432, 2000);
        assert_eq!((&info["available_chunks"], &info["total_chunks"]), (&json!([2]), &json!(3)));
        assert_eq!((&info["available_size"], &info["upload_active"]), (&json!(2_891_136), &json!(true)));
        assert_eq!(file_info(&entry, 33_554_432, Some(9))["uploaded_chunks"], 1);
    }

    #[test]
    fn section_2_9_strings_are_never_null() {
        let entry = Entry { record: record(ObjectId::from_bytes([1; 16]), 5), presence: None };
        let file = file_info(&entry, 10, None);
        let download = download_info(&entry, 10, 0);
        for info in [&file, &download] {
            assert_eq!((&info["mime_type"], &info["checksum"]), (&json!(OCTETS), &json!("")));
        }
        assert_eq!((&download["chunk_size"], &download["total_chunks"]), (&json!(0), &json!(0)));
        assert_eq!(file["total_chunks"], 10);
    }
}
