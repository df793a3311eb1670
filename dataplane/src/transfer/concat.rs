//! A final upload out of parts (TUS.md §A11).

use etransfer_contract::Span;
use etransfer_contract::fact::Fact;
use etransfer_contract::grant::{Concat, Grant};
use etransfer_contract::step::{Failure, Piece};

use super::Answered;
use super::compose::compose;
use crate::core::{Core, Shared};
use crate::http::Reply;

/// Executes a concat grant.
pub async fn concat(core: &Core, grant: &Grant, permit: &Concat) -> Answered {
    let Shared { budgets, facts, .. } = &*core.shared;
    let bytes = permit.parts.iter().map(|(_, length)| length).sum();
    budgets.open(grant.ticket, permit.object, bytes);
    let whole = |&(part, length): &_| Span::new(0, length).map(|span| Piece::Of(part, span));
    let pieces: Vec<Piece> = permit.parts.iter().filter_map(whole).collect();
    match compose(core, permit.object, &pieces, Vec::new()).await {
        Ok(_) => {
            budgets.settle(facts, grant.ticket, bytes);
            Answered::Reply(Reply::new(permit.status).fields(&permit.fields))
        }
        Err(failure) => {
            if failure != Failure::Taken {
                facts.push(Fact::Discarded { object: permit.object });
            }
            budgets.settle(facts, grant.ticket, 0);
            Answered::Reply(match failure {
                Failure::Gone => Reply::detail(404, "a part is not there any more"),
                Failure::DiskFull => unbuilt(507).field("Retry-After", "10"),
                _ => unbuilt(500),
            })
        }
    }
}

fn unbuilt(status: u16) -> Reply {
    Reply::detail(status, "the parts cannot be put together now; they are unchanged, try again")
}
