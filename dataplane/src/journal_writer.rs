//! Writes what was appended to the journals, with the driver of this core: nothing here blocks the core.
//!
//! ```text
//! ready ─► append (store) ─► written ─► acknowledge
//! ```
//!
//! A request that waits for its record writes everything that was appended by then, the records of other requests included;
//! records that arrive meanwhile go with the next write. Helper threads make segments ahead of time.
//!
//! Must stay true: [`ready`](JournalWriter::ready) comes right before the append, without a wait in between; nothing is
//! acknowledged before [`written`](JournalWriter::written).

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use etransfer_disk::File;

use crate::bounds::JOURNAL_IDLE_WAIT;
use crate::driver::{Buf, FileHandle, Io};
use crate::store::{Flush, Flushing, Journal, Object, Position, Room, Store};

/// What one core writes its records with.
pub struct JournalWriter {
    io: Io,
    store: Arc<Store>,
    /// The file that this core's journal continues in.
    own: RefCell<Option<(Arc<File>, FileHandle)>>,
    /// A write of records that no request waits for is on its way.
    is_due: Cell<bool>,
}

impl JournalWriter {
    /// The writer of this core. It takes its descriptor now: later there may be none, and freeing one needs a record too.
    pub fn new(io: Io, store: Arc<Store>) -> Self {
        let this = Self { io, store, own: RefCell::default(), is_due: Cell::new(false) };
        let file = this.own().file().map(|file| this.file(this.io.core(), &file));
        if let Some(Err(error)) = file {
            tracing::warn!(%error, "no descriptor for the journal of a core yet");
        }
        this
    }

    fn own(&self) -> &Journal {
        self.store.journal(self.io.core())
    }

    /// Waits until records of `ranges` ranges (or of one change) can be appended to this core's journal; `essential`: a change
    /// that gives space back or ends something.
    pub async fn ready(&self, ranges: usize, essential: bool) -> io::Result<()> {
        let journal = self.own();
        loop {
            match journal.room(ranges, essential) {
                Room::There => return Ok(()),
                Room::AfterFlush => self.written(journal.position()).await?,
                Room::AfterRefill => self.refill(self.io.core()).await?,
            }
        }
    }

    /// Waits until everything up to `position` is written: it outlives this process. An error: it is not, and the next
    /// call tries again.
    pub async fn written(&self, position: Position) -> io::Result<()> {
        let journal = self.store.journal(position.core());
        let failures = journal.failures();
        while !journal.is_written(position) {
            if let Some(error) = journal.failure_since(failures) {
                return Err(error);
            }
            match journal.begin_flush() {
                Flush::Begun(flushing) => self.write(position.core(), flushing).await?,
                Flush::Idle => return Ok(()),
                Flush::NoSegment => self.refill(position.core()).await?,
                Flush::Busy => {
                    let changed = journal.changed();
                    if journal.is_flushing() && !journal.is_written(position) {
                        changed.await;
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits until all that is recorded of an object is written.
    pub async fn written_all(&self, object: &Object) -> io::Result<()> {
        for position in object.positions() {
            self.written(position).await?;
        }
        Ok(())
    }

    /// Writes records that no request waits for, a little later: what comes until then goes with it. A write for each such record would cost
    /// an upload of many windows as many turns of another thread.
    pub fn soon(self: &Rc<Self>) {
        let journal = self.own();
        if journal.is_written(journal.position()) || self.is_due.replace(true) {
            return;
        }
        let this = Rc::clone(self);
        let write = async move {
            let journal = this.own();
            // Again for what was appended during the write: its appender found this task running.
            while !journal.is_written(journal.position()) {
                this.io.sleep(JOURNAL_IDLE_WAIT).await;
                if let Err(error) = this.written(journal.position()).await {
                    unwritten(&this.store, &error);
                    break;
                }
            }
            this.is_due.set(false);
        };
        self.io.spawn(write).detach();
    }

    /// Writes what waits in the journal of `core`, unless another task writes it.
    pub async fn write_waiting(&self, core: usize) {
        let journal = self.store.journal(core);
        if journal.is_written(journal.position()) || journal.is_flushing() || journal.is_refilling() {
            return;
        }
        if let Err(error) = self.written(journal.position()).await {
            unwritten(&self.store, &error);
        }
    }

    async fn write(&self, core: usize, mut flushing: Flushing<'_>) -> io::Result<()> {
        let file = self.file(core, flushing.file())?;
        let (bytes, at) = (Buf::from(flushing.take_bytes()), flushing.at());
        let (whole, took_spare) = (0..bytes.len(), flushing.took_spare());
        let (written, _bytes) = self.io.write_record(&file, bytes, whole, at).await;
        match written {
            Ok(()) => flushing.succeeded(),
            // The core ends; the same is written again at the end of the node.
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => return Err(error),
            Err(error) => {
                flushing.failed(&error);
                return Err(error);
            }
        }
        if took_spare {
            self.refill_ahead(core);
        }
        Ok(())
    }

    /// This core's way to a file of a journal.
    pub fn file(&self, core: usize, file: &Arc<File>) -> io::Result<FileHandle> {
        if let Some((known, fd)) = &*self.own.borrow()
            && Arc::ptr_eq(known, file)
        {
            return Ok(FileHandle::clone(fd));
        }
        let fd = Rc::new(file.try_clone()?);
        if core == self.io.core() {
            *self.own.borrow_mut() = Some((Arc::clone(file), FileHandle::clone(&fd)));
        }
        Ok(fd)
    }

    /// Makes another segment on a helper thread; waits for one that is being made already.
    async fn refill(&self, core: usize) -> io::Result<()> {
        let journal = self.store.journal(core);
        let changed = journal.changed();
        if journal.is_refilling() {
            changed.await;
            return Ok(());
        }
        let store = Arc::clone(&self.store);
        let refill = move || {
            let journal = store.journal(core);
            let Some(_refilling) = journal.begin_refill() else { return Ok(()) };
            journal.refill(true)
        };
        self.io.off_core(refill).await
    }

    /// The same, for later: failing is no error yet.
    fn refill_ahead(&self, core: usize) {
        let store = Arc::clone(&self.store);
        let refill = move || {
            let journal = store.journal(core);
            let Some(_refilling) = journal.begin_refill() else { return };
            if let Err(error) = journal.refill(false) {
                tracing::debug!(core, %error, "no spare journal segment yet");
            }
        };
        if !self.store.journal(core).is_refilling() {
            let refill = self.io.off_core(refill);
            self.io.spawn(refill).detach();
        }
    }
}

/// Reports records that no request waits for and that could not be written; they stay in memory.
fn unwritten(store: &Store, error: &io::Error) {
    if error.raw_os_error() == Some(libc::ECANCELED) {
        return;
    }
    tracing::error!(%error, "records of a journal cannot be written and wait in memory");
    if !is_no_space(error) {
        store.degrade(format!("write to a journal: {error}"));
    }
}

/// Whether an error says that the disk (or the file size limit) is full.
pub fn is_no_space(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull, WriteZero};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge | WriteZero)
}
