//! What stands before the content: the small fields of a form, the head of the part, the first bytes.
//!
//! Must stay true: fields are bounded by the step, and nothing of the content is read that the step does not ask for.

use etransfer_contract::step::{Failure, Form, Part, Preface, PrefaceTold, Told};

use super::form::{After, HEAD_BYTES_MAX, after_delimiter};
use super::{Did, Walk};
use crate::act::Answered;
use crate::body::{BodyError, Fill};
use crate::http::Reply;
use crate::world::Buf;

/// Read at a time when a part is read away.
const SKIP_BYTES: usize = 64 * 1024;

/// Why there is no more to read.
pub(super) enum Ended {
    Failed(Failure),
    Answered(Answered),
}

impl Ended {
    /// What the step came to.
    pub fn did(self) -> Did {
        match self {
            Self::Failed(failure) => Ok(Told::Failed(failure)),
            Self::Answered(answered) => Err(answered),
        }
    }
}

/// Reads up to the next content.
pub async fn read(walk: &mut Walk<'_, '_>, wanted: &Preface) -> Did {
    match find(walk, wanted).await {
        Ok(told) => Ok(Told::Preface(told)),
        Err(ended) => ended.did(),
    }
}

async fn find(walk: &mut Walk<'_, '_>, wanted: &Preface) -> Result<PrefaceTold, Ended> {
    let mut told = PrefaceTold::default();
    if let Some(form) = &wanted.form
        && (walk.content.is_form() || begins_form(walk, form).await?)
    {
        told.is_form = true;
        told.part = next_content(walk, form, &mut told.fields).await?;
        told.is_end = told.part.is_none();
    }
    if !told.is_end {
        told.prefix =
            walk.take(usize::from(wanted.prefix_bytes)).await?.iter().map(|byte| format!("{byte:02x}")).collect();
    }
    told.remaining = walk.content.remaining().filter(|_| !told.is_form);
    Ok(told)
}

/// Whether the body is the form it was announced as.
async fn begins_form(walk: &mut Walk<'_, '_>, form: &Form) -> Result<bool, Ended> {
    walk.content.begin_form(&form.boundary);
    if !form.or_plain {
        return Ok(true);
    }
    let opening = format!("\r\n--{}", form.boundary);
    // With its own line break in front, or without.
    let tick = walk.core.shared.config.limits.body_idle_timeout;
    walk.content.hold(walk.wire, opening.len() + 2, tick).await?;
    let held = walk.content.held();
    let begins = held.starts_with(opening.as_bytes()) || held[2..].starts_with(opening.as_bytes());
    if !begins {
        walk.content.end_form();
    }
    Ok(begins)
}

/// Reads fields until a part is content; `None` at the end of the form.
async fn next_content(
    walk: &mut Walk<'_, '_>,
    form: &Form,
    fields: &mut Vec<(String, String)>,
) -> Result<Option<Part>, Ended> {
    let mut room = form.fields_bytes_max;
    loop {
        walk.skip().await?;
        let Some(part) = walk.part_head(form).await? else { return Ok(None) };
        if part.filename.is_some() || form.content_names.contains(&part.name) {
            return Ok(Some(part));
        }
        let most = form.field_bytes_max.min(room.saturating_sub(part.name.len() as u64));
        // One byte more than allowed is enough to know.
        let value = walk.take(usize::try_from(most).unwrap_or(usize::MAX).saturating_add(1)).await?;
        if value.len() as u64 > most {
            return Err(Ended::Failed(Failure::FieldTooLong));
        }
        room -= part.name.len() as u64 + value.len() as u64;
        fields.push((part.name, String::from_utf8_lossy(&value).into_owned()));
    }
}

impl Walk<'_, '_> {
    /// Reads what is left of a part, of the preamble, or of a message, away.
    pub(super) async fn skip(&mut self) -> Result<(), Ended> {
        while !self.content.is_done() {
            self.read_some(SKIP_BYTES).await?;
        }
        Ok(())
    }

    /// The head of the part after the delimiter that stands next; `None`: it was the last delimiter.
    async fn part_head(&mut self, form: &Form) -> Result<Option<Part>, Ended> {
        let delimiter_bytes = form.boundary.len() + "\r\n--".len();
        let limit = self.core.shared.config.limits.body_idle_timeout;
        loop {
            match after_delimiter(self.content.held(), delimiter_bytes) {
                After::Part(part, bytes) => {
                    self.content.begin_part(bytes);
                    return Ok(Some(part));
                }
                After::End => return Ok(None),
                After::Broken => return Err(Ended::Failed(Failure::Malformed)),
                After::More => {
                    let held = self.content.held().len();
                    self.content.hold(self.wire, (held + 1).min(HEAD_BYTES_MAX + 1), limit).await?;
                    if self.content.held().len() == held {
                        return Err(Ended::Failed(Failure::Malformed));
                    }
                }
            }
        }
    }

    /// The first `bytes` of the content, fewer when it ends before.
    pub(super) async fn take(&mut self, bytes: usize) -> Result<Vec<u8>, Ended> {
        let mut taken = Vec::new();
        while taken.len() < bytes && !self.content.is_done() {
            taken.extend(self.read_some((bytes - taken.len()).min(SKIP_BYTES)).await?);
        }
        Ok(taken)
    }

    async fn read_some(&mut self, most: usize) -> Result<Vec<u8>, Ended> {
        let limit = self.core.shared.config.limits.body_idle_timeout;
        let (bytes, fill, buf) = self.content.fill(self.wire, Buf::heap(most), 0..most, limit).await;
        match fill? {
            Fill::Tick if bytes == 0 => Err(Ended::Answered(Answered::Reply(late()))),
            Fill::Full | Fill::Tick | Fill::Done => Ok(buf[..bytes].to_vec()),
        }
    }
}

fn late() -> Reply {
    Reply::detail(408, "the body did not come in time")
}

impl From<BodyError> for Ended {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Form => Self::Failed(Failure::Malformed),
            BodyError::Framing(reject) => Self::Answered(Answered::Reply(Reply::reject(reject))),
            BodyError::Wire(crate::wire::WireError::Late) => Self::Answered(Answered::Reply(late())),
            BodyError::Wire(_) => Self::Answered(Answered::Cut),
        }
    }
}
