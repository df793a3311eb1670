//! Making one complete object of a file whose bytes are all there: at its last chunk when the total was declared, at its
//! first download otherwise. Until then the file is complete all the same, for its document refers to every byte.

use etransfer_contract::ObjectId;
use etransfer_contract::step::{Compose, Seal, StepReport, What};
use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};

use super::name::File;
use super::refusal::Refusal;
use super::upload::{self, Coming};
use super::{Job, Memo, download, status, store};
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::node::Edit;
use crate::surface::secure_file_transfer::Service;

/// A file that is being built.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Building {
    version: ObjectId,
    object: ObjectId,
    is_sealed: bool,
    after: After,
}

/// What the request is about.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// A chunk was accepted.
    Status,
    /// The file is wanted.
    Download,
    /// It is to be compared with this chunk, and was in too many pieces for that.
    Chunk(Coming),
}

/// Begins with the cheaper way: what lies in one object is sealed, what does not is copied once.
pub fn begin(app: &Service, job: &Job, file: &File, after: After) -> Result<Decision, Refusal> {
    let Some(object) = file.content.only(file.length) else { return compose(app, job, file, after) };
    let building = Building { version: file.version, object, is_sealed: true, after };
    let seal = Seal { object, length: file.length, digests: Vec::new() };
    let memo = job.note(Memo::Build(building));
    Ok(Decision::step(&app.node, app.node.ticket(), memo, What::Seal(seal)))
}

fn compose(app: &Service, job: &Job, file: &File, after: After) -> Result<Decision, Refusal> {
    let (object, ticket) = (app.node.new_id(), app.node.ticket());
    store::reserve(app, &job.device, ticket, object, file.length)?;
    let building = Building { version: file.version, object, is_sealed: false, after };
    let what = Compose { object, pieces: file.content.pieces(), digests: Vec::new(), budget: file.length };
    Ok(Decision::step(&app.node, ticket, job.note(Memo::Build(building)), What::Compose(what)))
}

/// It is built, or not.
pub async fn built(
    app: &Service,
    job: &Job,
    (method, headers): (&Method, &HeaderMap),
    building: Building,
    told: StepReport,
) -> Result<Decision, Refusal> {
    let Building { version, object, is_sealed, after } = building;
    let key = job.key();
    match told {
        StepReport::Sealed { .. } | StepReport::Composed { .. } => {
            let _alone = app.node.locks.lock(SurfaceId::SecureFileTransfer, &key).await;
            let before = store::read(app, &key)?;
            let mut name = (*before).clone();
            if name.built(version, object, app.node.new_id()) {
                let record = name.file.as_ref().map(|file| store::file_record(&job.device, &job.name, file, object));
                let edit = store::change(&key, &before, &name);
                app.node.edit(record.into_iter().fold(edit, Edit::put)).await?;
            }
        }
        told => {
            tracing::debug!(?told, "a file could not be built");
            match &store::read(app, &key)?.file {
                // Chunks beyond its end were on their way into the same object: it is copied.
                Some(file) if is_sealed && file.version == version => return compose(app, job, file, after),
                Some(file) if file.version == version && !matches!(after, After::Status) => {
                    return Err(Refusal::Internal);
                }
                Some(_) | None => {}
            }
        }
    }
    match after {
        After::Status => status::get(app, job),
        After::Download => download::serve(app, job, method, headers),
        After::Chunk(coming) => upload::accept(app, job, coming, None).await,
    }
}
