//! `POST /upload` and `POST /upload_batch` (CONTRACT.md §4.1, §8): a form, whose file parts become files.
//!
//! ```text
//! FormFields ──► another part: FormFields ──► …                              end: 422, or the answer of a batch
//!    └──► file part ──► reserve ──► Receive ──► record, durable ──► answer, or on to the next part of a batch
//! ```
//!
//! Must stay true: nothing refers to the bytes before the record is durable, and no client is told of a file before
//! that; so a crash or a client that goes away leaves neither a record nor used space. What must hold between steps
//! stands in the memo: a restarted control plane goes on.

use axum::Json;
use axum::response::{IntoResponse, Response};
use etransfer_contract::step::{Failure, Form, FormFields, FormFieldsReport, Outcome, Part, StepReport, What};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::arrival::{self, Coming};
use super::context::{MB, RequestContext};
use super::refusal::Refusal;
use super::{name, room};
use crate::link::decision::Decision;
use crate::surface::multipart::{BodyType, form};

/// All fields beside the files together; the original's web page sends its token in one.
const FIELDS_BYTES_MAX: u64 = MB;
/// Files of one batch.
const FILES_MAX: usize = 100;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// One part called `file`.
    One,
    /// Parts called `files`.
    Batch,
}

/// What must hold between two steps.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    /// Elements of a batch's answer so far.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    answered: Vec<Value>,
    /// One of them is a failure.
    is_failed: bool,
    /// The file that is on its way.
    coming: Option<Coming>,
}

impl Files {
    const fn part(self) -> &'static str {
        match self {
            Self::One => "file",
            Self::Batch => "files",
        }
    }
}

/// The next step of an upload, or its answer.
pub async fn upload(context: &RequestContext<'_>, files: Files, outcome: Option<Outcome>) -> Result<Decision, Refusal> {
    let user = context.user()?;
    let walk = Walk { context, files, user };
    match outcome {
        None => walk.begin(),
        Some(Outcome { continuation: memo, report: told, .. }) => {
            let progress: Progress = serde_json::from_str(&memo).map_err(|error| {
                tracing::error!(%error, "the memo of an upload cannot be read");
                Refusal::Failed
            })?;
            walk.go_on(progress, told).await
        }
    }
}

/// An upload between two steps.
struct Walk<'a> {
    context: &'a RequestContext<'a>,
    files: Files,
    user: String,
}

impl Walk<'_> {
    fn begin(&self) -> Result<Decision, Refusal> {
        if self.files == Files::One
            && self.body_bytes() > self.context.file_bytes_max().saturating_add(FIELDS_BYTES_MAX)
        {
            return Err(Refusal::FileTooLarge(self.context.settings().file_size_limit_mb));
        }
        self.next_part(&Progress::default())
    }

    /// Announced bytes of the body; 0 when it is not known.
    fn body_bytes(&self) -> u64 {
        self.context.meta.body.length().unwrap_or(0)
    }

    /// Asks for the next part.
    fn next_part(&self, progress: &Progress) -> Result<Decision, Refusal> {
        let boundary = match BodyType::of(&self.context.headers) {
            BodyType::Form(boundary) => boundary,
            BodyType::FormWithoutBoundary => return Err(Refusal::Form("Missing boundary in multipart.")),
            BodyType::Plain => return Err(Refusal::Missing(self.files.part())),
        };
        let form = Form { fields_bytes_max: FIELDS_BYTES_MAX, ..form(boundary, &[self.files.part()]) };
        let what = What::FormFields(FormFields { form: Some(form), prefix_bytes: 0 });
        Ok(self.step(self.context.node().ticket(), progress, what))
    }

    fn step(&self, ticket: u64, progress: &Progress, what: What) -> Decision {
        let memo = serde_json::to_string(progress).expect("texts, numbers and JSON are always JSON");
        Decision::step(self.context.node(), ticket, memo, what)
    }

    async fn go_on(&self, mut progress: Progress, told: StepReport) -> Result<Decision, Refusal> {
        match (told, progress.coming.take()) {
            (StepReport::FormFields(preface), None) => self.part(progress, preface).await,
            (StepReport::Received { bytes, .. }, Some(coming)) => {
                let told = self.keep(&coming, bytes).await?;
                self.done(progress, told)
            }
            (StepReport::Failed(failure), coming) => {
                let refusal = self.refusal(failure, coming.as_ref());
                match (&refusal, coming) {
                    (Refusal::FileTooLarge(_) | Refusal::TotalTooLarge(_), Some(coming)) => {
                        self.failed(progress, refusal, &coming.name)
                    }
                    _ => Err(refusal),
                }
            }
            (told, _) => {
                tracing::error!(?told, "an upload heard of a step it did not ask for");
                Err(Refusal::Failed)
            }
        }
    }

    /// A part of the form, or its end.
    async fn part(&self, progress: Progress, preface: FormFieldsReport) -> Result<Decision, Refusal> {
        let wanted = self.files.part();
        match preface.part {
            None if progress.answered.is_empty() => Err(Refusal::Missing(wanted)),
            None => Ok(batch(&progress).into()),
            Some(part) if part.name != wanted => self.next_part(&progress),
            Some(Part { filename: None, .. }) => Err(Refusal::NotAFile(wanted)),
            Some(_) if progress.answered.len() >= FILES_MAX => {
                Err(Refusal::Form("Too many files. Maximum number of files is 100."))
            }
            Some(Part { filename: Some(told), .. }) => self.receive(progress, name::of_form(&told)).await,
        }
    }

    /// Reserves what the file may be, and lets it come.
    async fn receive(&self, mut progress: Progress, name: String) -> Result<Decision, Refusal> {
        let (ticket, coming, what) =
            arrival::receive(self.context, &self.user, name, self.context.meta.body.length()).await?;
        progress.coming = Some(coming);
        Ok(self.step(ticket, &progress, what))
    }

    /// The record of bytes that are there, and what is told about it.
    async fn keep(&self, coming: &Coming, bytes: u64) -> Result<Value, Refusal> {
        let mut told = arrival::keep(self.context, &self.user, coming, bytes).await?;
        told["available_space"] = json!(room::available(self.context.node(), &self.context.account(&self.user)));
        Ok(told)
    }

    /// One file is there.
    fn done(&self, mut progress: Progress, told: Value) -> Result<Decision, Refusal> {
        if self.files == Files::One {
            return Ok(Json(told).into_response().into());
        }
        progress.answered.push(told);
        self.next_part(&progress)
    }

    /// One file is refused.
    fn failed(&self, mut progress: Progress, refusal: Refusal, name: &str) -> Result<Decision, Refusal> {
        if self.files == Files::One {
            return Err(refusal);
        }
        progress.answered.push(refusal.in_batch(name));
        progress.is_failed = true;
        self.next_part(&progress)
    }

    /// What a step that failed is told as.
    fn refusal(&self, failure: Failure, coming: Option<&Coming>) -> Refusal {
        match failure {
            Failure::Malformed => Refusal::Form("There was an error parsing the body"),
            Failure::FieldTooLong => Refusal::Form("A field of the form is too long"),
            failure => arrival::refusal(self.context, failure, coming),
        }
    }
}

/// The answer of a batch: 207 as soon as one of them failed.
fn batch(progress: &Progress) -> Response {
    let status = if progress.is_failed { StatusCode::MULTI_STATUS } else { StatusCode::OK };
    (status, Json(&progress.answered)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{NAME, check_json, golden};

    #[test]
    fn memos_are_sent_along_as_ever() {
        let coming = Some(serde_json::from_value(Coming::example(NAME, false)).unwrap());
        let all = [
            ("nothing yet", Progress::default()),
            ("a file", Progress { coming, ..Progress::default() }),
            (
                "answered",
                Progress { answered: vec![json!({"file_id": "a"}), json!(null)], is_failed: true, coming: None },
            ),
        ];
        check_json(golden("surface/pyblobserver", "memos_of_forms.txt", "Memos of uploads in forms."), &all);
        assert_eq!(serde_json::from_str::<Progress>("{}").unwrap(), Progress::default());
    }
}
