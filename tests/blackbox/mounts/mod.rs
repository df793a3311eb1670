//! Five surfaces on one server: which of them answers where, what is refused at the start and in a reload
//! (SURFACES.md). What a surface answers is its own tests' business: here, who answered is read from `/metrics`.

mod places;
mod refusals;
mod secrets;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::support::{Conn, Node, Reply, Request};

/// Decisions so far, by surface.
fn decisions(node: &Node) -> BTreeMap<String, u64> {
    let text = String::from_utf8(node.get("/metrics").is(200).body).expect("OpenMetrics is UTF-8");
    let mut decisions = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("et_decisions_total{")) {
        let surface = line.split("surface=\"").nth(1).and_then(|rest| rest.split('"').next()).expect(line);
        let count: u64 = line.rsplit_once(' ').expect(line).1.parse().expect(line);
        *decisions.entry(surface.to_owned()).or_default() += count;
    }
    // The question itself.
    *decisions.entry("easytransfer".to_owned()).or_default() += 1;
    decisions
}

/// Sends the request to `address`; its reply, and which surface decided about it.
#[track_caller]
fn ask(node: &Node, address: SocketAddr, request: &Request) -> (String, Reply) {
    let before = decisions(node);
    let reply = Conn::open(address).try_ask(request).unwrap_or_else(|error| panic!("{request:?}: {error:?}"));
    let after = decisions(node);
    let grown = |(name, count): (&String, &u64)| {
        let more = count - before.get(name).unwrap_or(&0);
        // `decisions` asks EasyTransfer.
        let own = u64::from(name == "easytransfer");
        (more > own).then(|| name.clone())
    };
    let grown: Vec<String> = after.iter().filter_map(grown).collect();
    let [surface] = grown.as_slice() else { panic!("{grown:?} decided about {request:?}: {reply:?}") };
    (surface.clone(), reply)
}

/// Where the listener of one surface alone is, as the node told.
#[track_caller]
fn own_listener(node: &Node, surface: &str) -> SocketAddr {
    let said = node.said();
    let line = said.iter().find(|line| line.ends_with(&format!(" for {surface}")));
    let line = line.unwrap_or_else(|| panic!("no listener of {surface} is told: {said:?}"));
    let address = line.strip_prefix("listening on http://").and_then(|rest| rest.split(' ').next()).expect(line);
    address.parse().expect(line)
}
