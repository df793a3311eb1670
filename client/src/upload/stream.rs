//! An upload whose length shows only at its end: standard input, a pipe, a file of `/proc`.
//!
//! 1. A window is read from the stream, and the next one behind it: so the last window is known as such.
//! 2. A stream of one window is an upload of known length. A longer one is created with a deferred length, which its last
//!    window announces.
//! 3. Each window stays in memory until the server has it; after a failure `HEAD` tells where to go on.
//!
//! What must stay true: a stream cannot be read twice, so an upload of one that fails is removed from the server.

use std::io::Read;
use std::path::Path;

use super::room::Room;
use super::{Uploaded, Uploader, id_of};
use crate::patience::{Failures, Patience};
use crate::progress::Meter;
use crate::{Cancel, Client, Error, FileStatus, NewUpload, Result};

/// Read and sent at a time.
const WINDOW_BYTES: usize = 8 << 20;
/// Announced by servers that take an upload before its length is known.
const DEFERRED: &str = "creation-defer-length";

impl Uploader {
    /// Uploads what `from` gives until its end; nothing of it can be resumed later. `own_name` is what it is called when
    /// the options name it nothing else.
    pub fn upload_stream(&self, mut from: impl Read, own_name: &str, cancel: &Cancel) -> Result<Uploaded> {
        let name = self.options.name.as_deref().unwrap_or(own_name);
        let client = self.client.under(cancel);
        let meter = Meter::new(0, 0, &*self.progress);
        let (patience, room) = (Patience::new(self.options.patience), Room::new(&self.options));
        let stream = Stream { uploader: self, client: &client, meter: &meter, patience, room };
        let mut window = Window::default();
        window.read(&mut from, name)?;
        let mut next = Window { start: window.end(), ..Window::default() };
        next.read(&mut from, name)?;
        let length = next.bytes.is_empty().then_some(window.end());
        let upload = stream.create(length, name)?;
        let sent = stream.send_all(&upload, window, next, &mut from, name, length.is_some());
        match sent.and_then(|size| stream.confirm(&upload, size).map(|()| size)) {
            Ok(size) => Ok(Uploaded { id: id_of(&upload), name: name.to_owned(), size, shares: Vec::new() }),
            Err(error) => {
                // Under a token of its own: an interrupted upload is removed as well.
                let _ = self.client.under(&Cancel::new()).terminate_upload(&upload);
                Err(error)
            }
        }
    }
}

/// Bytes of the stream that the server may not have yet.
#[derive(Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn read(&mut self, from: &mut impl Read, name: &str) -> Result<()> {
        self.bytes.clear();
        let read = from.take(WINDOW_BYTES as u64).read_to_end(&mut self.bytes);
        read.map(drop).map_err(|source| Error::file("read", Path::new(name), source))
    }
}

/// What the steps of one upload share.
struct Stream<'a> {
    uploader: &'a Uploader,
    client: &'a Client,
    meter: &'a Meter<'a>,
    patience: Patience,
    room: Room,
}

impl Stream<'_> {
    fn create(&self, length: Option<u64>, name: &str) -> Result<String> {
        if length.is_none() {
            let info = self.persist(Client::info)?;
            if !info.tus_extensions.iter().any(|extension| extension == DEFERRED) {
                return Err(Error::LengthWanted { window: WINDOW_BYTES as u64 });
            }
        }
        let retention = self.uploader.options.retention;
        match length {
            Some(length) => {
                self.persist(|client| client.create_upload(&NewUpload { length, filename: name, retention }))
            }
            None => self.persist(|client| client.create_deferred(name, retention)),
        }
    }

    /// Sends the stream window by window; its length.
    fn send_all(
        &self,
        upload: &str,
        mut window: Window,
        mut next: Window,
        from: &mut impl Read,
        name: &str,
        is_length_known: bool,
    ) -> Result<u64> {
        loop {
            let is_last = next.bytes.is_empty();
            let length = (is_last && !is_length_known).then_some(window.end());
            self.send(upload, &window, length)?;
            if is_last {
                return Ok(window.end());
            }
            std::mem::swap(&mut window, &mut next);
            next.start = window.end();
            next.read(from, name)?;
        }
    }

    /// Sends one window until the server has it.
    fn send(&self, upload: &str, window: &Window, length: Option<u64>) -> Result<()> {
        let (mut failures, mut at) = (Failures::default(), window.start);
        while at < window.end() || length.is_some() {
            let rest = &window.bytes[(at - window.start) as usize..];
            let Err(error) = self.client.append(upload, at, rest, length) else {
                self.moved(rest.len() as u64);
                return Ok(());
            };
            self.pause(error, &mut failures)?;
            let state = self.persist(|client| client.upload_state(upload))?;
            if state.offset < window.start || state.offset > window.end() {
                return Err(Error::Incomplete { offset: state.offset, size: window.end() });
            }
            self.moved(state.offset.saturating_sub(at));
            at = state.offset;
            if at == window.end() && (length.is_none() || state.length == length) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn moved(&self, bytes: u64) {
        if bytes > 0 {
            self.patience.progressed();
            self.room.found();
            self.meter.add(bytes);
        }
    }

    /// Only the server's word makes it a success.
    fn confirm(&self, upload: &str, size: u64) -> Result<()> {
        let state = match self.persist(|client| client.upload_state(upload)) {
            Err(Error::NotFound { .. }) => return Ok(()), // for one download, and it was downloaded
            other => other?,
        };
        if state.offset != size {
            return Err(Error::Incomplete { offset: state.offset, size });
        }
        let mut failures = Failures::default();
        loop {
            match self.persist(|client| client.file(&id_of(upload))) {
                Ok(file) if file.status == FileStatus::Complete => return Ok(()),
                Err(Error::NotFound { .. }) => return Ok(()),
                Err(error) => return Err(error),
                Ok(file) if self.patience.is_over() => {
                    return Err(Error::Incomplete { offset: file.uploaded_size, size });
                }
                Ok(_) => {
                    let pause = failures.next_pause(&Error::Interrupted);
                    self.client.cancel().sleep(pause)?;
                }
            }
        }
    }

    /// A call, repeated while that may help.
    fn persist<T>(&self, call: impl Fn(&Client) -> Result<T>) -> Result<T> {
        let mut failures = Failures::default();
        loop {
            match call(self.client) {
                Ok(answer) => return Ok(answer),
                Err(error) => self.pause(error, &mut failures)?,
            }
        }
    }

    fn pause(&self, error: Error, failures: &mut Failures) -> Result<()> {
        match error {
            Error::NoSpace { .. } => {
                self.room.wait(error, &self.uploader.options, self.client, self.meter)?;
                self.patience.progressed();
                Ok(())
            }
            other => failures.pause(other, &self.patience, self.client.cancel(), self.meter),
        }
    }
}
