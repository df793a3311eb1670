//! Many small objects at once, in the store's own format, for measurements and tests of large stores: files below `objects/`
//! and a checkpoint, without the appends and syncs that each of them costs a serving node.
//!
//! Must stay true: nothing is recorded before [`Store::keep_planted`], which syncs the files first (PROMISES.md P3). A
//! run that ends in between leaves files that no record names.
use std::io;

use etransfer_contract::{ObjectId, Span};
use etransfer_disk::{OFlags, PRIVATE};

use super::extent::{Extent, Trust};
use super::known::Known;
use super::path::ObjectPath;
use super::whole::Store;

impl Store {
    /// Makes a complete object that the control plane is taken to know. The name must be new.
    pub fn plant(&self, id: ObjectId, content: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        self.objects_dir().open_at(ObjectPath::of(id).as_str(), flags, PRIVATE)?.write_all_at(content, 0)?;
        let mut known = Known {
            length: Some(content.len() as u64),
            complete: true,
            synced: true,
            confirmed: true,
            written_unix_ms: self.common().clock.unix_ms(),
            sequence: self.next_sequence(),
            ..Known::default()
        };
        if let Some(span) = Span::new(0, content.len() as u64) {
            let (crc, sequence) = (crc32fast::hash(content), known.sequence);
            known.received.insert(span);
            known.extents.insert(Extent { span, crc, sequence, trust: Trust::Durable });
        }
        self.restore_planted(id, known);
        Ok(())
    }

    /// Syncs what was planted, then records it.
    pub fn keep_planted(&self) -> io::Result<()> {
        self.objects_dir().sync_file_system()?;
        self.compact().map_err(io::Error::other)
    }
}
