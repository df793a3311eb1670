//! A request that was permitted and is not let in all the same: as many of its holder are under way as may be.
//!
//! Must stay true: nothing that was prepared for it stays: no record of an upload without its first body, no promise of space.

use etransfer_contract::Grant;
use etransfer_contract::grant::Act;
use etransfer_contract::step::What;

use super::{Answered, append};
use crate::core::Core;
use crate::limits::holders::TooManyUnderWay;

/// Answers it.
pub async fn refuse(core: &Core, grant: &Grant, too_many: &TooManyUnderWay) -> Answered {
    let promised = match &grant.act {
        Act::Append(permit) => {
            if permit.created.is_some() {
                append::discard(core, permit.object).await;
            }
            permit.budget.map(|bytes| (permit.object, bytes))
        }
        Act::Step(step) => match &step.what {
            What::Receive(wanted) => Some((wanted.object, wanted.budget)),
            What::Compose(wanted) => Some((wanted.object, wanted.budget)),
            What::FormFields(_) | What::DigestStored(_) | What::Seal(_) | What::WebSocket(_) | What::Close(_) => None,
        },
        Act::Serve(_) | Act::State(_) | Act::Remove(_) | Act::Concat(_) | Act::Forward { .. } => None,
    };
    if let Some((object, bytes)) = promised {
        core.shared.budgets.open(grant.ticket, object, bytes);
        core.shared.budgets.settle(&core.shared.facts, grant.ticket, 0);
    }
    Answered::Reply(too_many.reply())
}
