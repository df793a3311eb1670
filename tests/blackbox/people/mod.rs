//! People on the real binary: login, ownership, revocation, limits (easytransfer/CONTRACT.md §1.2, §4, §6, §8.7).

mod backends;
mod et;
mod ledger;
mod login;
mod rights;
mod speed;
mod under_way;

use crate::support::{Node, Request};

/// A request of a person who signed in, as both client generations send it.
fn by(token: &str, request: Request) -> Request {
    request.without("X-API-Token").header("X-API-Token", token).header("Authorization", format!("Bearer {token}"))
}

fn get(node: &Node, token: &str, target: &str) -> crate::support::Reply {
    node.send(&by(token, Request::get(target)))
}
