//! The `et` client on shaped NICs of 100, 200 and 400 Mbit/s: one file uses all of them by their speed, a NIC that goes
//! down costs its share and no byte, and many clients at once are spread over them.
//!
//! What each NIC carried is what the kernel counted. How long it took is printed, not judged: the machine is shared. Of
//! the 700 Mbit/s 0.956 can be bytes of the file, the rest is heads of packets; plain ranges with `curl`, two connections
//! on each NIC and nothing written to disk, measured alone reach 0.95 of each NIC.

use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use super::shaped::{Cables, MBIT, NICS, address, list};
use crate::support::netns::Counters;
use crate::support::wait::Running;
use crate::support::{Node, Oracle, oracle, wait};

const BYTES: u64 = 256 << 20;
/// What is timed is long enough that connecting and the last sync, a few tenths of a second, do not decide.
const TIMED_BYTES: u64 = 1 << 30;

/// `et` as a machine at the other ends of the cables runs it.
fn et(node: &Node, args: &[&str]) -> Command {
    let mut command = node.et(args);
    command.env("ETRANSFER_SERVER", format!("http://{}", address(node, 0)));
    command
}

fn id_of(stdout: &str) -> String {
    stdout.trim().to_owned()
}

/// No NIC is left idle: each carried at least three quarters of what its speed would be of `bytes`, and all together
/// hardly more than `bytes`.
#[track_caller]
fn by_speed(what: &str, carried: &[u64], bytes: u64, took: Duration) {
    let all = MBIT.iter().sum::<u32>();
    let reached = bytes as f64 * 8.0 / 1e6 / took.as_secs_f64();
    eprintln!("{what}: {reached:.0} of {all} Mbit/s ({:.3}), bytes by NIC {carried:?}", reached / f64::from(all));
    for (carried, mbit) in carried.iter().zip(MBIT) {
        let share = bytes * u64::from(mbit) / u64::from(all);
        assert!(*carried > share * 3 / 4, "{what}: {carried} of {share} bytes went over the NIC of {mbit} Mbit/s");
    }
    assert!(carried.iter().sum::<u64>() < bytes * 5 / 4, "{what}: {carried:?} bytes for a file of {bytes}");
}

#[test]
fn one_file_uses_every_nic_by_its_speed() {
    let cables = Cables::new();
    let node = cables.server.inside(|| cables.setup().start());
    oracle::write_file(&node.dir().join("a.bin"), Oracle(5), TIMED_BYTES);
    // The client's own time, from its start to its end; reading the counters is not part of it.
    let run = |args: &[&str]| {
        cables.client.inside(|| {
            let began = Instant::now();
            let stdout = wait::run(et(&node, args)).ok().stdout;
            (stdout, began.elapsed())
        })
    };
    let (mut stdout, mut took) = (String::new(), Duration::ZERO);
    let up = cables.counted(|| (stdout, took) = run(&["upload", "a.bin", "--quiet"]));
    by_speed("upload", &up.iter().map(|nic| nic.received).collect::<Vec<_>>(), TIMED_BYTES, took);
    let id = id_of(&stdout);
    let down = cables.counted(|| (_, took) = run(&["download", &id, "-o", "b.bin", "--quiet"]));
    by_speed("download", &down.iter().map(|nic| nic.sent).collect::<Vec<_>>(), TIMED_BYTES, took);
    oracle::check_file(&node.dir().join("b.bin"), Oracle(5), TIMED_BYTES);
    cables.server.inside(|| drop(node));
}

#[test]
fn a_nic_that_goes_down_under_way_loses_nothing() {
    const FAST: usize = NICS - 1;
    let cables = Cables::new();
    let node = cables.server.inside(|| cables.setup().start());
    oracle::write_file(&node.dir().join("a.bin"), Oracle(6), BYTES);
    let mut id = String::new();
    let moved = |counters: Counters| counters.received.max(counters.sent);
    for step in ["upload", "download"] {
        // The kernel tells of a link that is up again up to a second late, and a transfer asks for addresses once.
        cables.server.inside(|| {
            wait::until("the node advertises every NIC", || {
                let told = node.get("/api/endpoints").is(200).json();
                let available = list(&told, "endpoints").iter().filter(|one| one["is_available"] == true).count();
                (available == NICS).then_some(())
            });
        });
        cables.client.inside(|| {
            wait::until("the fastest NIC answers", || {
                TcpStream::connect_timeout(&address(&node, FAST), Duration::from_secs(1)).ok()
            });
        });
        let before = moved(cables.counters()[FAST]);
        let running = cables.client.inside(|| {
            Running::start(match step {
                "upload" => et(&node, &["upload", "a.bin", "--quiet"]),
                _ => et(&node, &["download", &id, "-o", "b.bin", "--quiet"]),
            })
        });
        wait::until("the fastest NIC is at work", || {
            (moved(cables.counters()[FAST]) > before + (4 << 20)).then_some(())
        });
        cables.server.ip(&format!("link set eth{FAST} down"));
        let ran = running.finish().ok();
        if step == "upload" {
            id = id_of(&ran.stdout);
        }
        cables.server.ip(&format!("link set eth{FAST} up"));
    }
    oracle::check_file(&node.dir().join("b.bin"), Oracle(6), BYTES);
    cables.server.inside(|| drop(node));
}

#[test]
fn many_clients_at_once_are_spread_by_speed() {
    const CLIENTS: usize = 32;
    /// For less, `et` does not ask around.
    const EACH: u64 = 9 << 20;
    let cables = Cables::new();
    let node = cables.server.inside(|| cables.setup().start());
    // One file each: two of them would wait for each other.
    let files: Vec<String> = (0..CLIENTS).map(|client| format!("{client}.bin")).collect();
    files.iter().for_each(|file| oracle::write_file(&node.dir().join(file), Oracle(7), EACH));
    let carried = cables.counted(|| {
        let start = |file: &String| Running::start(et(&node, &["upload", file, "--nics", "best", "--quiet"]));
        let running: Vec<Running> = cables.client.inside(|| files.iter().map(start).collect());
        running.into_iter().for_each(|running| drop(running.finish().ok()));
    });
    let received: Vec<u64> = carried.iter().map(|nic| nic.received).collect();
    let (all, speeds) = (received.iter().sum::<u64>() as f64, MBIT.iter().sum::<u32>());
    eprintln!("{CLIENTS} uploads of {EACH} bytes: bytes by NIC {received:?}");
    for (received, mbit) in received.iter().zip(MBIT) {
        let (share, due) = (*received as f64 / all, f64::from(mbit) / f64::from(speeds));
        assert!((share - due).abs() < 0.15, "{share:.2} of the bytes went over {mbit} Mbit/s, {due:.2} were due");
    }
    cables.server.inside(|| {
        assert_eq!(node.listed(), CLIENTS as u64);
        drop(node);
    });
}
