//! Content into an object, all of it or nothing: the body writer of PATCH, with another beginning and another end.
//!
//! A whole object records its bytes as they land, for it is not visible before it is complete; a chunk records all of its
//! bytes at its end, so bytes that are already readable never change and a chunk that fails leaves nothing.

use std::sync::Arc;

use etransfer_contract::step::{Failure, Receive, StepReport};
use etransfer_contract::{ObjectId, Span};

use super::{Ended, declare, hashers, reported};
use crate::body::Content;
use crate::control::live_grant::LiveGrant;
use crate::core::Core;
use crate::store::{Claim, Object, Want};
use crate::transfer::Answered;
use crate::transfer::append::open_for_body;
use crate::transfer::body_writer::{BodyWriter, Limits};
use crate::transfer::fault::{Doing, Fault, believe, prove};
use crate::transfer::finish::{Stored, finish};
use crate::transfer::remove::remove_object;
use crate::transfer::reportable::progress;
use crate::wire::Wire;

/// Refuses a body that is announced too long or too short, before it is requested from the client.
pub fn early(content: &Content<'_>, wanted: &Receive) -> Option<Failure> {
    let bytes = content.remaining().filter(|_| !content.is_form())?;
    let exact = wanted.exact.unwrap_or(bytes);
    if bytes > wanted.max || bytes > exact {
        Some(Failure::TooLong)
    } else if bytes < wanted.min || bytes < exact {
        Some(Failure::Short)
    } else if bytes > wanted.budget {
        Some(Failure::NoRoom)
    } else {
        None
    }
}

/// Stores the content; a disconnect has no outcome.
pub async fn receive(
    live_grant: &LiveGrant<'_>,
    wire: &mut Wire,
    content: &mut Content<'_>,
    wanted: &Receive,
) -> Result<StepReport, Answered> {
    let core = live_grant.core;
    let Ok(object) = core.shared.store.find_or_create(wanted.object, None) else {
        return Ok(StepReport::Failed(Failure::Gone));
    };
    if let Err(fault) = prove(core, &object).await {
        return Ok(StepReport::Failed(fault.failure()));
    }
    // Claim before discarding: an existing object may belong to another upload.
    let Some(claim) = claim(&object, wanted) else { return Ok(StepReport::Failed(Failure::Taken)) };
    let ended = match take_in(live_grant, wire, content, wanted, &object, claim).await {
        Ok(told) => return Ok(told),
        Err(ended) => ended,
    };
    if wanted.is_whole {
        discard(core, wanted.object).await;
    }
    ended.result()
}

async fn take_in(
    live_grant: &LiveGrant<'_>,
    wire: &mut Wire,
    content: &mut Content<'_>,
    wanted: &Receive,
    object: &Arc<Object>,
    claim: Claim,
) -> Result<StepReport, Ended> {
    let core = live_grant.core;
    let most = wanted.exact.unwrap_or(u64::MAX).min(wanted.max);
    let disk = |fault: Fault| Ended::Failed(fault.failure());
    let file = match open_for_body(core, object, content.remaining()).await {
        Ok(file) => file,
        Err(error) => return Err(disk(believe(core, object, Doing::Open, error).await)),
    };
    // One byte more than a whole object may have is let in, and then the body is too long.
    let limits = Limits { budget: Some(wanted.budget), length_max: Some(wanted.at.saturating_add(most)) };
    let mut body_writer = BodyWriter::new(live_grant, object, claim, file, wanted.at, limits);
    if !wanted.is_whole {
        body_writer.verify(None);
    }
    let expected = wanted.expect.iter().map(|(digest, _)| *digest);
    let digests: Vec<_> = wanted.digests.iter().copied().chain(expected).collect();
    body_writer.digest(hashers(&digests));
    if let Some(rate) = &wanted.rate {
        body_writer.limit(core.shared.rates.join(rate, &core.io));
    }
    let mut written = body_writer.run(wire, content).await;
    std::mem::replace(&mut written.end, Ok(())).map_err(Ended::from)?;
    let bytes = written.received();
    if bytes < wanted.min || wanted.exact.is_some_and(|exact| bytes < exact) {
        return Err(Ended::Failed(Failure::Short));
    }
    let mut digests = reported(&digests, written.take_hashers());
    let found = digests.split_off(wanted.digests.len());
    if found != wanted.expect {
        return Err(Ended::Failed(Failure::Mismatch));
    }
    written.commit(core, object).await.map_err(Ended::from)?;
    written.let_go();
    if wanted.is_whole {
        declare(core, object, bytes).await.map_err(Ended::Failed)?;
    }
    let stored = if wanted.sync { Stored::Promised } else { Stored::Bytes };
    finish(core, object, written.file.as_ref(), stored).await.map_err(disk)?;
    if !written.is_held(object) {
        return Err(disk(Fault::Disk));
    }
    core.shared.facts.push_of(object, progress(core, object));
    Ok(StepReport::Received { bytes, digests })
}

/// A whole object must be new; the bytes of a chunk must all be free.
fn claim(object: &Arc<Object>, wanted: &Receive) -> Option<Claim> {
    if wanted.is_whole {
        return object.claim(Want { offset: 0, body: None, parallel: false }).ok();
    }
    let exact = wanted.exact.filter(|exact| *exact > 0)?;
    object.claim_free(Span::at(wanted.at, exact)?).ok()
}

/// Removes an object that was not reported to any client.
async fn discard(core: &Core, object: ObjectId) {
    if let Err(error) = remove_object(core, object).await {
        tracing::error!(%object, %error, "remove what is left of a refused body");
    }
}
