//! What stands before the content: the small fields of a form, the head of the part, the first bytes.
//!
//! Must stay true: fields are few, bounded by the step, and paid for out of the memory for what is not decided; no more of
//! the content is read than the step wants; the body judges how long all of it may take.

use std::time::Duration;

use etransfer_contract::step::{Failure, Form, FormFields, FormFieldsReport, Part, StepReport};

use super::form::{After, after_delimiter};
use super::{Ended, StepResult, StepRunner};
use crate::bounds::{FIELD_CHARGE, FORM_FIELDS_MAX, PART_HEAD_BYTES_MAX, REPORTED_READ_BYTES};
use crate::driver::Buf;

/// Reads up to the next content.
pub async fn read(runner: &mut StepRunner<'_, '_>, wanted: &FormFields) -> StepResult {
    match find(runner, wanted).await {
        Ok(report) => Ok(StepReport::FormFields(report)),
        Err(ended) => ended.result(),
    }
}

async fn find(runner: &mut StepRunner<'_, '_>, wanted: &FormFields) -> Result<FormFieldsReport, Ended> {
    let mut report = FormFieldsReport::default();
    if let Some(form) = &wanted.form
        && (runner.content.is_form() || begins_form(runner, form).await?)
    {
        report.is_form = true;
        report.part = next_content(runner, form, &mut report.fields).await?;
        report.is_end = report.part.is_none();
    }
    if !report.is_end {
        report.prefix =
            runner.take(usize::from(wanted.prefix_bytes)).await?.iter().map(|byte| format!("{byte:02x}")).collect();
    }
    report.remaining = runner.content.remaining().filter(|_| !report.is_form);
    Ok(report)
}

/// Whether the body is the form it was announced as.
async fn begins_form(runner: &mut StepRunner<'_, '_>, form: &Form) -> Result<bool, Ended> {
    runner.content.begin_form(&form.boundary);
    if !form.or_plain {
        return Ok(true);
    }
    let opening = format!("\r\n--{}", form.boundary);
    // With its own line break in front, or without.
    runner.content.hold(runner.wire, opening.len() + 2).await?;
    let held = runner.content.held();
    let begins = held.starts_with(opening.as_bytes()) || held[2..].starts_with(opening.as_bytes());
    if !begins {
        runner.content.end_form();
    }
    Ok(begins)
}

/// Reads fields until a part is content; `None` at the end of the form.
async fn next_content(
    runner: &mut StepRunner<'_, '_>,
    form: &Form,
    fields: &mut Vec<(String, String)>,
) -> Result<Option<Part>, Ended> {
    let mut room = form.fields_bytes_max;
    loop {
        runner.skip().await?;
        let Some(part) = runner.part_head(form).await? else { return Ok(None) };
        if part.filename.is_some() || form.content_names.contains(&part.name) {
            return Ok(Some(part));
        }
        runner.fields += 1;
        if runner.fields > FORM_FIELDS_MAX {
            return Err(Ended::Failed(Failure::Malformed));
        }
        runner.share.add(FIELD_CHARGE + part.name.len())?;
        let too_long = || Ended::Failed(Failure::FieldTooLong);
        room = room.checked_sub(part.name.len() as u64).ok_or_else(too_long)?;
        let most = form.field_bytes_max.min(room);
        // One byte more than allowed is enough to know.
        let value = runner.take(usize::try_from(most).unwrap_or(usize::MAX).saturating_add(1)).await?;
        if value.len() as u64 > most {
            return Err(too_long());
        }
        room -= value.len() as u64;
        fields.push((part.name, String::from_utf8_lossy(&value).into_owned()));
    }
}

impl StepRunner<'_, '_> {
    /// Discards the rest of a part, of the preamble, or of a message.
    pub(super) async fn skip(&mut self) -> Result<(), Ended> {
        while !self.content.is_done() {
            self.read_some(REPORTED_READ_BYTES).await?;
        }
        Ok(())
    }

    /// The head of the part after the delimiter that stands next; `None`: it was the last delimiter.
    async fn part_head(&mut self, form: &Form) -> Result<Option<Part>, Ended> {
        let delimiter_bytes = form.boundary.len() + "\r\n--".len();
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
                    self.content.hold(self.wire, (held + 1).min(PART_HEAD_BYTES_MAX + 1)).await?;
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
            let piece = self.read_some((bytes - taken.len()).min(REPORTED_READ_BYTES)).await?;
            self.share.add(piece.len())?;
            taken.extend(piece);
        }
        Ok(taken)
    }

    /// Reads what comes next, perhaps nothing yet.
    async fn read_some(&mut self, most: usize) -> Result<Vec<u8>, Ended> {
        let (bytes, fill, buf) = self.content.fill(self.wire, Buf::heap(most), 0..most, Duration::MAX).await;
        fill?;
        Ok(buf[..bytes].to_vec())
    }
}
