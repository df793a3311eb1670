//! The JSON of files, readable by both client generations (contract §2.9): exactly these keys, never null where a
//! generation rejects it.

use serde_json::{Value, json};

use crate::catalogue::{Entry, Record};
use crate::clock::iso;
use crate::config::Policy;
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
    let available: Vec<u64> = if chunked { available_chunks(entry, chunk_size) } else { Vec::new() };
    let bytes_of = |index: &u64| chunk_size.min(size - index * chunk_size);
    let last = entry.presence.as_ref().map_or(0, |presence| presence.at_unix_ms);
    json!({
        "file_id": record.id.to_string(),
        "filename": record.filename,
        "size": size,
        "available_size": if chunked { available.iter().map(bytes_of).sum() } else { entry.contiguous() },
        "mime_type": record.mime.as_deref().unwrap_or(OCTETS),
        "checksum": record.checksum,
        "supports_range": true,
        "is_upload_complete": record.is_complete(),
        "chunked_storage": chunked,
        "chunk_size": if chunked { chunk_size } else { 0 },
        "total_chunks": if chunked { size.div_ceil(chunk_size) } else { 0 },
        "available_chunks": available,
        "chunks_consumed": record.once.chunks_consumed(),
        "upload_active": !record.is_complete() && last.saturating_add(ACTIVE_MS) > now_ms,
    })
}

/// Chunks whose bytes are all there and not consumed.
pub fn available_chunks(entry: &Entry, chunk_size: u64) -> Vec<u64> {
    let (size, spans) = (size(entry), spans_of(entry));
    let is_there = |index: &u64| {
        let start = index * chunk_size;
        etransfer_contract::Span::new(start, size.min(start + chunk_size))
            .is_some_and(|chunk| spans.contains(chunk) && !entry.record.once.is_consumed(chunk))
    };
    (0..size.div_ceil(chunk_size)).filter(is_there).collect()
}

#[cfg(test)]
mod tests {
    use etransfer_contract::fact::Presence;
    use etransfer_contract::{ObjectId, Span};

    use super::*;
    use crate::catalogue::Keep;
    use crate::catalogue::tests::record;

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
