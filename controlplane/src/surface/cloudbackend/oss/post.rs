//! PostObject (CONTRACT.md §B4): a form whose policy says what may be posted.
//!
//! ```text
//! 1 is a form ──► FormFields ──► 2 names ──► 3 key ──► 4-7 signed ──► 8-10 policy ──► 11 name ──► arrival: 15, 14, Receive
//! ```
//!
//! Must stay true: no content byte is stored before the checks; signatures in the URL or the head mean nothing here.

use etransfer_contract::step::{Form, FormFields, FormFieldsReport, Outcome, StepReport, What};

use super::arrival::{self, Arrival, Success};
use super::call::Call;
use super::fields::Fields;
use super::policy::Policy;
use super::refusal::Refusal;
use crate::link::decision::Decision;
use crate::surface::multipart::{self, BodyType};

/// Longest value of a field.
const FIELD_BYTES_MAX: u64 = 2 << 20;
/// All fields together.
const FIELDS_BYTES_MAX: u64 = 8 << 20;
/// The content, with or without the name of a file.
const CONTENT_NAMES: [&str; 3] = ["file", "File", "FILE"];

/// One form.
pub async fn post(call: &Call<'_>, outcome: Option<Outcome>) -> Result<Decision, Refusal> {
    match outcome {
        None => begin(call),
        Some(Outcome { report: StepReport::FormFields(told), .. }) => judge(call, told).await,
        Some(outcome) => {
            if let Some((key, basis)) = arrival::begun(&outcome.continuation) {
                call.check_basis(&key, basis, None)?;
            }
            arrival::arrived(call, &outcome.continuation, outcome.report).await.map(Decision::from)
        }
    }
}

fn begin(call: &Call<'_>) -> Result<Decision, Refusal> {
    let BodyType::Form(boundary) = BodyType::of(&call.head.headers) else { return Err(Refusal::MalformedPost) };
    let form = Form {
        field_bytes_max: FIELD_BYTES_MAX,
        fields_bytes_max: FIELDS_BYTES_MAX,
        ..multipart::form(boundary, &CONTENT_NAMES)
    };
    let node = &call.app.node;
    Ok(Decision::step(node, node.ticket(), "", What::FormFields(FormFields { form: Some(form), prefix_bytes: 0 })))
}

/// Everything that can be said before the content comes.
async fn judge(call: &Call<'_>, told: FormFieldsReport) -> Result<Decision, Refusal> {
    let file = told.part.filter(|part| part.name.eq_ignore_ascii_case("file")).ok_or(Refusal::MalformedPost)?;
    let fields = Fields::new(told.fields);
    fields.check_names()?;
    fields.get("key").ok_or(Refusal::NoKey)?;
    let credentials = fields.credentials()?;
    let pair = call.key_pair();
    if credentials.access_key_id != pair.id {
        call.count(Refusal::UnknownAccessKeyId, credentials.signature)?;
    }
    if !pair.is_signature(credentials.signature, credentials.policy.as_bytes()) {
        let refusal = Refusal::WrongSignature {
            access_key_id: credentials.access_key_id.to_owned(),
            provided: credentials.signature.to_owned(),
        };
        call.count(refusal, credentials.signature)?;
    }
    let policy = Policy::read(credentials.policy)?;
    let bounds = policy.check(call.app.node.clock.now_ms(), &call.cloud().bucket, &fields)?;
    let arrival = Arrival {
        key: fields.key(file.filename.as_deref())?,
        headers: fields.headers(file.content_type.as_deref())?,
        forbid_overwrite: fields.forbids_overwrite(),
        success: match fields.success_status() {
            200 => Success::Ok,
            201 => Success::Created,
            _ => Success::NoContent,
        },
        basis: policy.basis.map(|basis| basis.to_string()),
    };
    call.check_basis(&arrival.key, policy.basis, None)?;
    // The form is longer than its content.
    let at_most = call.meta().body.length().unwrap_or(u64::MAX);
    arrival::receive(call, arrival, bounds, None, at_most).await
}
