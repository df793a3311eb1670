//! One operation under way on a slot of connections: what each connection asks next, and what its answers mean.
//!
//! ```text
//! upload   create on connection 0, then every connection its slice, part by part
//! download every connection its slice, part by part (or one random range)
//! remove   DELETE on connection 0
//! ```

use super::answer::Answer;
use super::connection::{Ask, Piece};
use super::failure::Failure;
use crate::target::{Stored, Target};
use crate::workload::Operation;

/// An operation under way.
#[derive(Debug)]
pub struct Job {
    kind: Kind,
    /// Row of the operation in the workload; `None`: not part of the load (removal).
    pub row: Option<usize>,
    pub fresh: bool,
    file: Stored,
    part: u64,
    slices: Vec<Slice>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `created`: the server knows it; with `inline`, creation carries the content.
    Upload {
        created: bool,
        inline: bool,
    },
    Download,
    Remove {
        done: bool,
    },
}

#[derive(Debug, Clone, Copy)]
struct Slice {
    at: u64,
    end: u64,
}

/// What a connection without an exchange does next.
#[derive(Debug)]
pub enum Next {
    Ask(Ask),
    /// Another connection must be answered first.
    Wait,
    Done,
}

impl Job {
    pub fn upload(row: usize, operation: &Operation, number: u64, target: &Target) -> Self {
        let path = target.path_of(number);
        let kind = Kind::Upload { created: path.is_some(), inline: operation.with_creation };
        let file = Stored { number, size: operation.size.0, path: path.unwrap_or_default() };
        let mut job = Self::new(kind, Some(row), operation, file);
        if target.writes_whole() {
            job.part = u64::MAX;
        }
        job
    }

    pub fn download(row: usize, operation: &Operation, file: Stored, random: &mut fastrand::Rng) -> Self {
        let mut job = Self::new(Kind::Download, Some(row), operation, file);
        if operation.random {
            let at = random.u64(0..=operation.size.0 - operation.part.0);
            job.slices = vec![Slice { at, end: at + operation.part.0 }];
        }
        job
    }

    /// The whole file on one connection: reading back outside the window.
    pub fn read_back(file: Stored) -> Self {
        let slices = vec![Slice { at: 0, end: file.size }];
        Self { kind: Kind::Download, row: None, fresh: false, part: file.size, file, slices }
    }

    pub fn remove(file: Stored) -> Self {
        Self { kind: Kind::Remove { done: false }, row: None, fresh: false, part: 0, file, slices: Vec::new() }
    }

    fn new(kind: Kind, row: Option<usize>, operation: &Operation, file: Stored) -> Self {
        let part = if operation.part.0 == 0 { u64::MAX } else { operation.part.0 };
        let slices = operation.slices().map(|(at, end)| Slice { at, end }).collect();
        Self { kind, row, fresh: operation.fresh, file, part, slices }
    }

    pub fn next(&self, connection: usize, target: &Target) -> Next {
        match self.kind {
            Kind::Upload { created: false, inline } if connection == 0 => Next::Ask(self.create(inline, target)),
            Kind::Upload { created: false, .. } => Next::Wait,
            Kind::Remove { done: false } if connection == 0 => Next::Ask(Ask {
                head: target.remove(&self.file.path),
                body: None,
                statuses: &[200, 204],
                expects: None,
            }),
            Kind::Remove { .. } => Next::Done,
            Kind::Upload { .. } => self.part_of(connection).map_or(Next::Done, |piece| {
                Next::Ask(Ask {
                    head: target.fill(&self.file.path, piece.offset, piece.length),
                    body: Some(piece),
                    statuses: &[200, 201, 204],
                    expects: None,
                })
            }),
            Kind::Download => self.part_of(connection).map_or(Next::Done, |piece| {
                let is_whole = piece.length == self.file.size;
                let range = (!is_whole).then_some((piece.offset, piece.offset + piece.length));
                Next::Ask(Ask {
                    head: target.read(&self.file, range),
                    body: None,
                    statuses: if is_whole { &[200] } else { &[206] },
                    expects: Some(piece),
                })
            }),
        }
    }

    /// What an answer means: the uploaded bytes that the server has acknowledged with it.
    pub fn answered(&mut self, connection: usize, answer: &Answer) -> Result<u64, Failure> {
        match &mut self.kind {
            Kind::Remove { done } => *done = true,
            Kind::Upload { created, inline } if !*created => {
                let location = answer.location.as_deref().ok_or(Failure::NoLocation)?;
                self.file.path = Target::path_in(location);
                *created = true;
                if *inline {
                    self.slices[0].at = self.slices[0].end;
                    return Ok(self.file.size);
                }
            }
            Kind::Upload { .. } | Kind::Download => {
                let length = self.part_of(connection).map_or(0, |piece| piece.length);
                self.slices[connection].at += length;
                return Ok(if self.kind == Kind::Download { 0 } else { length });
            }
        }
        Ok(0)
    }

    pub fn is_upload(&self) -> bool {
        matches!(self.kind, Kind::Upload { .. })
    }

    /// The file that is at the target, wholly or in part, once the server knows it.
    pub fn stored(self) -> Option<Stored> {
        match self.kind {
            Kind::Upload { created: true, .. } => Some(self.file),
            _ => None,
        }
    }

    fn create(&self, inline: bool, target: &Target) -> Ask {
        let Stored { number, size, .. } = self.file;
        let body = inline.then_some(Piece { file: number, offset: 0, length: size });
        let head = target.create(number, size, body.map(|piece| piece.length));
        Ask { head, body, statuses: &[201], expects: None }
    }

    /// `None`: this connection's slice is done.
    fn part_of(&self, connection: usize) -> Option<Piece> {
        let slice = self.slices.get(connection)?;
        let length = (slice.end - slice.at).min(self.part);
        (length > 0).then_some(Piece { file: self.file.number, offset: slice.at, length })
    }
}
