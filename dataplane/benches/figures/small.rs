//! Small objects: how many can be created and filled per second, and which plane the CPU goes to.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::http::{Connection, Head};
use super::load::pin;
use super::nginx::{self, Nginx};
use super::node::{self, Node};
use super::pattern::Pattern;
use super::report::{Report, Sample};
use super::settings::Settings;
use super::swarm::{self, Script};

const OBJECT_BYTES: usize = 4096;
/// CPU seconds by thread name.
type Threads = BTreeMap<String, f64>;
/// One object in so many is read back.
const CHECK_EVERY: u64 = 997;

/// What a round wrote is removed after the last one only: ext4 is slow to make files where it has just deleted some, up
/// to half a millisecond each on this path, and that would be the bench's doing.
pub fn measure(settings: &Settings, report: &mut Report) -> Result<()> {
    let pattern = Pattern::new(4_096);
    let mut dirs = Vec::new();
    for _ in 0..settings.runs {
        if let Some(et) = settings.et.as_ref().filter(|_| settings.wants_row("et")) {
            let dir = settings.scratch("small")?;
            let node = Node::start(settings, et, dir.path())?;
            let sample = create_and_patch(settings, report, &node, &pattern)?;
            report.add("small", "et", sample);
            dirs.push(dir);
        }
        if nginx::is_there() && settings.wants_row("nginx") {
            let dir = settings.scratch("small")?;
            let nginx = Nginx::start(settings, dir.path(), dir.path())?;
            let sample = put(settings, &nginx, &pattern)?;
            report.add("small", "nginx", sample);
            dirs.push(dir);
        }
        rustix::fs::sync();
    }
    Ok(())
}

/// Every connection creates an object, fills it with one PATCH, and starts over.
fn create_and_patch(settings: &Settings, report: &mut Report, node: &Node, pattern: &Pattern) -> Result<Sample> {
    let mut open: Vec<Option<String>> = vec![None; settings.small_connections];
    let (mut finished, mut kept) = (0, Vec::new());
    let mut script = |index: usize, answer: Option<&Head>, request: &mut Vec<u8>| -> Result<bool> {
        match (answer, open[index].take()) {
            (Some(created), None) => {
                let id = node::id_of(&created.clone().expect(201)?)?;
                request.extend_from_slice(node::patch_head(&id, 0, OBJECT_BYTES as u64).as_bytes());
                request.extend_from_slice(pattern.at(index, 0, OBJECT_BYTES));
                open[index] = Some(id);
                return Ok(false);
            }
            (Some(patched), Some(id)) => {
                patched.clone().expect(204)?;
                finished += 1;
                if finished % CHECK_EVERY == 0 {
                    kept.push((id, index));
                }
            }
            (None, _) => {}
        }
        request.extend_from_slice(node::create_request("small", OBJECT_BYTES as u64).as_bytes());
        Ok(answer.is_some())
    };
    let before = node.process.cpu_seconds_by_thread()?;
    let (done, seconds) = swarm_window(settings, node.addr, &mut script)?;
    let after = node.process.cpu_seconds_by_thread()?;
    for (id, index) in kept {
        let mut connection = Connection::open(node.addr)?;
        connection.send(node::get_request(&id).as_bytes())?;
        let head = connection.head()?.expect(200)?;
        connection.check_body(head.length, pattern, index).with_context(|| format!("object {id}"))?;
    }
    let mut sample = Sample::from([("ops_per_s", done as f64 / seconds)]);
    sample.extend(by_plane(report, &before, &after, done));
    Ok(sample)
}

fn put(settings: &Settings, nginx: &Nginx, pattern: &Pattern) -> Result<Sample> {
    let mut number = 0;
    let mut script = |index: usize, answer: Option<&Head>, request: &mut Vec<u8>| -> Result<bool> {
        if let Some(answer) = answer {
            answer.clone().expect(201)?;
        }
        number += 1;
        let head = format!(
            "PUT /put/{}/{number} HTTP/1.1\r\nHost: figures\r\nContent-Length: {OBJECT_BYTES}\r\n\r\n",
            number % 256
        );
        request.extend_from_slice(head.as_bytes());
        request.extend_from_slice(pattern.at(index, 0, OBJECT_BYTES));
        Ok(answer.is_some())
    };
    let before = nginx.process.cpu_seconds()?;
    let (done, seconds) = swarm_window(settings, nginx.addr, &mut script)?;
    let used = nginx.process.cpu_seconds()? - before;
    Ok([("ops_per_s", done as f64 / seconds), ("cpu_us_per_op", used * 1e6 / done as f64)].into())
}

/// Runs the swarm on the load's CPU.
fn swarm_window(settings: &Settings, addr: std::net::SocketAddr, script: &mut Script<'_>) -> Result<(u64, f64)> {
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            pin(settings.load_cpu)?;
            let start = std::time::Instant::now();
            let span = Duration::from_secs_f64(settings.small_seconds);
            let done = swarm::run(addr, settings.small_connections, span, script)?;
            Ok((done, start.elapsed().as_secs_f64()))
        });
        load.join().expect("the load returns its errors")
    })
}

/// CPU per operation, and the part of it that is the control plane's: its runtime's threads (`control…`) and its
/// catalogue's. Everything else is the data plane: `core-…`, their ring workers (`iou-wrk-…`) and helpers.
fn by_plane(report: &mut Report, before: &Threads, after: &Threads, done: u64) -> Sample {
    let (mut data, mut control, mut names) = (0.0, 0.0, Vec::new());
    for (name, used) in after {
        let used = (used - before.get(name).unwrap_or(&0.0)) * 1e6 / done as f64;
        let is_control = name.starts_with("control") || name == "catalogue";
        *(if is_control { &mut control } else { &mut data }) += used;
        names.push(format!("{name} {used:.0}"));
    }
    report.note(format!("small: microseconds per operation by thread: {}", names.join(", ")));
    [
        ("cpu_us_per_op", data + control),
        ("data_us_per_op", data),
        ("control_us_per_op", control),
        ("control_share", control / (data + control)),
    ]
    .into()
}
