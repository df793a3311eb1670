//! PROMISES.md K1: kill -9 at random instants under mixed load, one process and two, at every durability level.
//!
//! The load writes what it was told (each acknowledgement) to a log of its own; the checker reads only that log and the
//! restarted server's answers. After every kill: each acknowledged byte reads back equal, offsets and ranges claim nothing
//! that was not sent, what was deleted stays deleted, complete files are listed once, and the ledger equals the sum.

mod checker;
mod load;

use std::time::Duration;

use crate::support::node::Setup;
use crate::support::{Node, Role};

/// How often; a few in every run, `ET_KILLS=200` by hand.
fn kills() -> usize {
    std::env::var("ET_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(15)
}

/// Load, kill, check; over and over. `victims` says who dies in a round.
fn rounds(setup: Setup, rounds: usize, seed: u64, victims: impl Fn(&mut fastrand::Rng) -> Vec<Role>) {
    let mut rng = fastrand::Rng::with_seed(seed);
    eprintln!("seed {seed}");
    let mut node = setup.start();
    let log = load::Log::create(node.dir().join("acknowledged.log"));
    let load = load::Load::start(node.addr(), log.clone(), 6, seed);
    for round in 0..rounds {
        std::thread::sleep(Duration::from_millis(rng.u64(30..500)));
        for role in victims(&mut rng) {
            node.kill_one(role);
        }
        // Requests in flight end with the server's death, or are answered by what is left of it.
        let paused = load.pause();
        node.start_again();
        if let Err(wrong) = checker::check(&node, &log) {
            panic!("round {round}, seed {seed}: {wrong:#?}");
        }
        drop(paused);
    }
    load.stop();
    checker::finish(&node, &log);
    assert!(node.stop().success());
}

fn the_one(_: &mut fastrand::Rng) -> Vec<Role> {
    vec![Role::Both]
}

#[test]
fn mixed_load_at_durability_complete() {
    rounds(Node::setup().env("DURABILITY", "complete"), kills().div_ceil(3), 101, the_one);
}

#[test]
fn mixed_load_at_durability_every() {
    rounds(Node::setup().env("DURABILITY", "every"), kills().div_ceil(3), 102, the_one);
}

#[test]
fn mixed_load_at_durability_none() {
    rounds(Node::setup().env("DURABILITY", "none"), kills().div_ceil(3), 103, the_one);
}

#[test]
fn mixed_load_in_two_processes_killed_apart_and_together() {
    let setup = Node::setup().two_processes();
    rounds(setup, kills(), 104, |rng| match rng.u32(0..3) {
        0 => vec![Role::Data],
        1 => vec![Role::Control],
        _ => vec![Role::Control, Role::Data],
    });
}

#[test]
fn mixed_load_buffered_and_direct() {
    for (mode, seed) in [("buffered", 105), ("direct", 106)] {
        rounds(Node::setup().env("WRITE_MODE", mode), kills().div_ceil(5), seed, the_one);
    }
}
