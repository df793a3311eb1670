//! Steps on stored bytes: digests, and the completion of an upload whose length was not known before.

use etransfer_contract::step::{DigestStored, Failure, Seal, StepReport};
use etransfer_contract::{ObjectId, Span};

use super::{declare, hashers, reported};
use crate::core::Core;
use crate::transfer::digest::{Hasher, of_file};
use crate::transfer::fault::prove;
use crate::transfer::finish::{Stored, finish};

/// Digests bytes of an object.
pub async fn digest_stored(core: &Core, wanted: &DigestStored) -> StepReport {
    match digest(core, wanted.object, wanted.span, hashers(&wanted.digests)).await {
        Ok(digests) => StepReport::Digested { digests: reported(&wanted.digests, digests) },
        Err(failure) => StepReport::Failed(failure),
    }
}

/// Completes an object whose bytes are all there.
pub async fn seal(core: &Core, wanted: &Seal) -> StepReport {
    match complete(core, wanted).await {
        Ok(digests) => StepReport::Sealed { digests: reported(&wanted.digests, digests) },
        Err(failure) => StepReport::Failed(failure),
    }
}

async fn complete(core: &Core, wanted: &Seal) -> Result<Vec<Hasher>, Failure> {
    let store = &core.shared.store;
    let object = match wanted.length {
        0 => store.find_or_create(wanted.object, None).ok(),
        _ => store.find(wanted.object),
    };
    let object = object.ok_or(Failure::Gone)?;
    prove(core, &object).await.map_err(|fault| fault.failure())?;
    let look = object.look();
    if look.contiguous < wanted.length {
        return Err(Failure::Short);
    }
    if !look.complete {
        declare(core, &object, wanted.length).await?;
        finish(core, &object, None, Stored::Nothing).await.map_err(|fault| fault.failure())?;
    }
    let look = object.look();
    if !look.complete || look.length != Some(wanted.length) {
        return Err(Failure::Short);
    }
    digest(core, wanted.object, Span::new(0, wanted.length), hashers(&wanted.digests)).await
}

async fn digest(core: &Core, id: ObjectId, span: Option<Span>, hashers: Vec<Hasher>) -> Result<Vec<Hasher>, Failure> {
    let Some(span) = span.filter(|_| !hashers.is_empty()) else { return Ok(hashers) };
    let object = core.shared.store.find(id).ok_or(Failure::Gone)?;
    let _reading = object.read().ok_or(Failure::Gone)?;
    if !object.spans().contains(span) {
        return Err(Failure::Gone);
    }
    of_file(core, &object, span, hashers).await.map_err(|fault| fault.failure())
}
