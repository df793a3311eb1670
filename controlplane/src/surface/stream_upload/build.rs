//! Making an asset of an upload whose chunks are all there. Chunks of one size lie in one object and are only digested;
//! others are copied once.

use etransfer_contract::ObjectId;
use etransfer_contract::step::{Compose, Digest, Seal, StepReport, What};
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::store::{self, Digests, State};
use super::upload::{Finish, Upload};
use super::user::User;
use super::{Memo, Note};
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::surface::stream_upload::Service;

const DIGESTS: [Digest; 2] = [Digest::Md5, Digest::Sha256];

/// An upload that is being put together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Building {
    /// Which.
    pub id: String,
    version: ObjectId,
    object: ObjectId,
}

/// Begins. The upload has all its pages.
pub fn begin(app: &Service, user: &User, id: &str, upload: &Upload) -> Result<Decision, Refusal> {
    let ticket = app.node.ticket();
    let (size, digests) = (upload.about.size, DIGESTS.to_vec());
    let (object, what) = match upload.finish() {
        Finish::Not => return Err(Refusal::Internal),
        Finish::Seal(object) => (object, What::Seal(Seal { object, length: size, digests })),
        Finish::Compose(pieces) => {
            let object = app.node.new_id();
            let budget = store::reserve(app, user, ticket, object, Some(size), size)?;
            (object, What::Compose(Compose { object, pieces, digests, budget }))
        }
    };
    let building = Building { id: id.to_owned(), version: upload.version, object };
    let note = Note { user: user.clone(), memo: Memo::Build(building) };
    Ok(Decision::step(&app.node, ticket, note.text(), what))
}

/// What came of it.
pub enum Built {
    /// The upload is an asset.
    Asset(State),
    /// A chunk came meanwhile: once more.
    Again(Decision),
}

/// It is put together, or not.
pub async fn built(app: &Service, user: &User, building: &Building, told: StepReport) -> Result<Built, Refusal> {
    let digests = match told {
        StepReport::Sealed { digests } | StepReport::Composed { digests, .. } => Some(digests),
        told => {
            tracing::debug!(?told, "an upload could not be put together");
            None
        }
    };
    let key = store::key(user, &building.id);
    let _alone = app.node.locks.lock(SurfaceId::StreamUpload, &key).await;
    let mut upload = match store::read(app, &key)? {
        Some(State::Open(upload)) => upload,
        Some(done @ State::Done { .. }) => return Ok(Built::Asset(done)),
        Some(State::Cancelled { .. }) | None => return Err(Refusal::Cancelled),
    };
    if upload.version != building.version {
        store::read_pages(&app.node, &mut upload)?;
        return begin(app, user, &building.id, &upload).map(Built::Again);
    }
    let Some(digests) = digests else { return Err(Refusal::Internal) };
    let hex =
        |of: Digest| digests.iter().find(|(digest, _)| *digest == of).map(|(_, hex)| hex.clone()).unwrap_or_default();
    let digests = Digests { md5: hex(Digest::Md5), sha256: hex(Digest::Sha256) };
    let now_ms = app.node.clock.now_ms();
    let record = store::asset_record(user, &upload.about, building.object, &digests, now_ms);
    let done = State::Done { asset: building.object, about: upload.about.clone(), at_ms: now_ms };
    let edit = store::change(&app.node, &key, Some(&State::Open(upload)), Some(&done))?;
    app.node.edit(edit.put(record)).await?;
    Ok(Built::Asset(done))
}
