//! The bulk cases: the same gigabytes up through everything that takes them, then down again, warm.
#![expect(clippy::disallowed_types, reason = "the load has no cores of its own")]

use std::io::Read as _;
use std::path::Path;

use anyhow::{Result, ensure};

use super::bare::{self, Sink};
use super::http::Connection;
use super::load::{each, touch_memory};
use super::nginx::{self, Nginx};
use super::node::{self, Node};
use super::pattern::{Pattern, WINDOW};
use super::process::{Process, bulk_sample};
use super::report::{Bound, Report, Sample, Target};
use super::settings::{Case, Settings};

type Row = &'static str;

const BARE: [(&str, Sink); 3] = [("discard", Sink::Discard), ("bare", Sink::Write), ("bare+crc", Sink::WriteWithCrc)];

pub fn measure(settings: &Settings, report: &mut Report) -> Result<()> {
    name_targets(report);
    let pattern = Pattern::new(20_261_101);
    let node_dir = settings.scratch("node")?;
    let node = match &settings.et {
        _ if !settings.wants_row("et") => None,
        Some(et) => Some(Node::start(settings, et, node_dir.path())?),
        None => {
            report.note("ET_BIN names no program: no et rows".into());
            None
        }
    };
    if !nginx::is_there() {
        report.note("nginx is not installed: no nginx rows".into());
    }
    let mut ids = Vec::new();
    for round in 0..settings.runs {
        if settings.wants(Case::Upload) {
            upload_references(settings, report, &pattern, round)?;
        }
        let Some(node) = &node else { continue };
        if round == 0 || settings.wants(Case::Upload) {
            delete(node, &ids)?;
            ids = upload_et(settings, report, &pattern, node)?;
            check(settings, node, &pattern, &ids, round)?;
        }
        if settings.wants(Case::Download) {
            download(settings, report, node, &ids, round)?;
        }
    }
    Ok(())
}

fn name_targets(report: &mut Report) {
    let upload = |reference, bound| Target {
        case: "upload",
        metric: "cpu_s_per_gib",
        row: "et",
        reference: Some(reference),
        bound,
    };
    report.target(upload("bare", Bound::AtMost(1.25)));
    report.target(upload("bare+crc", Bound::AtMost(1.25)));
    report.target(upload("nginx", Bound::AtMost(0.5)));
    report.target(upload("nginx-warm", Bound::AtMost(0.5)));
    let download = |metric, bound| Target { case: "download", metric, row: "et", reference: Some("nginx"), bound };
    report.target(download("cpu_s_per_gib", Bound::AtMost(1.15)));
    report.target(download("gb_per_s", Bound::AtLeast(0.95)));
}

/// One window: CPU of `process` around `work`, which moves all files.
fn window<T: Send>(
    settings: &Settings,
    process: &Process,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> Result<(Vec<T>, Sample)> {
    touch_memory(settings);
    let before = process.cpu_seconds()?;
    let (results, seconds) = each(settings, work)?;
    let used = process.cpu_seconds()? - before;
    Ok((results, bulk_sample(used, settings.total_bytes(), seconds)))
}

fn upload_references(settings: &Settings, report: &mut Report, pattern: &Pattern, round: usize) -> Result<()> {
    for (row, sink) in BARE {
        if !settings.wants_row(row) {
            continue;
        }
        let dir = settings.scratch("bare")?;
        let (process, addr) = bare::start(settings, sink, dir.path())?;
        // The loop gives out files in the order of connections; opened here, so that the order is known.
        let connections: Result<Vec<_>> = (0..settings.files).map(|_| Connection::open(addr)).collect();
        let connections: Vec<_> = connections?.into_iter().map(std::sync::Mutex::new).collect();
        let (_, sample) = window(settings, &process, |file| {
            let mut connection = connections[file].lock().expect("one thread per connection");
            connection.send_body(pattern, file, 0, settings.file_bytes)?;
            connection.one_byte()
        })?;
        report.add("upload", row, sample);
        drop(process);
        if round == 0 && sink != Sink::Discard {
            let last = settings.files - 1;
            check_file(pattern, &bare::file_path(dir.path(), last), last, 0..settings.file_bytes)?;
        }
        settle(dir)?;
    }
    for row in ["nginx", "nginx-warm"] {
        if nginx::is_there() && settings.wants_row(row) {
            upload_nginx(settings, report, pattern, round, row)?;
        }
    }
    Ok(())
}

/// `nginx` keeps what it took, like every other row. For `nginx-warm` the load removes every file but the last as soon as
/// it is acknowledged: nginx writes through the page cache, and fresh pages for all of it come from the host on this kind
/// of machine, so this is nginx at its best: warm pages, and hardly any writeback.
fn upload_nginx(settings: &Settings, report: &mut Report, pattern: &Pattern, round: usize, row: Row) -> Result<()> {
    let dir = settings.scratch("nginx")?;
    let nginx = Nginx::start(settings, dir.path(), dir.path())?;
    let put = dir.path().join("put");
    let (_, sample) = window(settings, &nginx.process, |file| {
        let mut connection = Connection::open(nginx.addr)?;
        let mut offset = 0;
        while offset < settings.file_bytes {
            let length = settings.patch_bytes.min(settings.file_bytes - offset);
            let head =
                format!("PUT /put/{file}-{offset} HTTP/1.1\r\nHost: figures\r\nContent-Length: {length}\r\n\r\n");
            connection.send(head.as_bytes())?;
            connection.send_body(pattern, file, offset, length)?;
            let reply = connection.head()?.expect(201)?;
            connection.discard_body(reply.length)?;
            offset += length;
            if row == "nginx-warm" && offset < settings.file_bytes {
                std::fs::remove_file(put.join(format!("{file}-{}", offset - length)))?;
            }
        }
        Ok(())
    })?;
    report.add("upload", row, sample);
    drop(nginx);
    if round == 0 {
        let last = settings.file_bytes - settings.patch_bytes;
        check_file(pattern, &put.join(format!("0-{last}")), 0, last..settings.file_bytes)?;
    }
    settle(dir)
}

fn upload_et(settings: &Settings, report: &mut Report, pattern: &Pattern, node: &Node) -> Result<Vec<String>> {
    let (ids, sample) = window(settings, &node.process, |file| node::upload(settings, node.addr, pattern, file))?;
    report.add("upload", "et", sample);
    Ok(ids)
}

/// Reads uploaded files back and compares: all of them in the first round, one later. This also warms the cache.
fn check(settings: &Settings, node: &Node, pattern: &Pattern, ids: &[String], round: usize) -> Result<()> {
    for (file, id) in ids.iter().enumerate() {
        if round > 0 && file != round % ids.len() {
            continue;
        }
        let mut connection = Connection::open(node.addr)?;
        connection.send(node::get_request(id).as_bytes())?;
        let head = connection.head()?.expect(200)?;
        ensure!(head.length == settings.file_bytes, "file {file} has {} bytes", head.length);
        connection.check_body(head.length, pattern, file)?;
    }
    Ok(())
}

/// The file at `path` holds the bytes `range` of file number `file`, and no more.
fn check_file(pattern: &Pattern, path: &Path, file: usize, range: std::ops::Range<u64>) -> Result<()> {
    let mut reader = std::fs::File::open(path)?;
    let mut buffer = vec![0; WINDOW];
    let mut at = range.start;
    loop {
        let came = reader.read(&mut buffer)?;
        if came == 0 {
            break;
        }
        ensure!(pattern.holds(file, at, &buffer[..came]), "{} differs near {at}", path.display());
        at += came as u64;
    }
    ensure!(at == range.end, "{} ends at {at}", path.display());
    Ok(())
}

fn download(settings: &Settings, report: &mut Report, node: &Node, ids: &[String], round: usize) -> Result<()> {
    let get = |addr, request: String| -> Result<()> {
        let mut connection = Connection::open(addr)?;
        connection.send(request.as_bytes())?;
        let head = connection.head()?.expect(200)?;
        ensure!(head.length == settings.file_bytes, "{} bytes instead of {}", head.length, settings.file_bytes);
        connection.discard_body(head.length)
    };
    let dir = settings.scratch("nginx")?;
    let nginx = nginx::is_there().then(|| Nginx::start(settings, dir.path(), &node.objects())).transpose()?;
    let from_nginx = |file: usize| format!("GET /{} HTTP/1.1\r\nHost: figures\r\n\r\n", node::object_path(&ids[file]));
    // Untimed: into the page cache, and once more, because the kernel moves a page to its active list when it is read for
    // the second time, and whoever does that pays for it. No memory touch here, it would push the files out again.
    for _ in 0..2 {
        each(settings, |file| get(node.addr, node::get_request(&ids[file])))?;
    }
    let mut timed = |row, process: &Process, work: &(dyn Fn(usize) -> Result<()> + Sync)| -> Result<()> {
        let before = process.cpu_seconds()?;
        let (_, seconds) = each(settings, work)?;
        let used = process.cpu_seconds()? - before;
        report.add("download", row, bulk_sample(used, settings.total_bytes(), seconds));
        Ok(())
    };
    // The first of a pair finds other caches than the second: they take turns.
    for is_et in if round.is_multiple_of(2) { [true, false] } else { [false, true] } {
        match &nginx {
            _ if is_et => timed("et", &node.process, &|file| get(node.addr, node::get_request(&ids[file])))?,
            Some(nginx) => timed("nginx", &nginx.process, &|file| get(nginx.addr, from_nginx(file)))?,
            None => {}
        }
    }
    Ok(())
}

fn delete(node: &Node, ids: &[String]) -> Result<()> {
    for id in ids {
        Connection::open(node.addr)?.call(&node::delete_request(id))?.expect(204)?;
    }
    rustix::fs::sync();
    Ok(())
}

/// Removes what a row wrote before the next one starts, so that nobody pays for another's writeback.
fn settle(dir: tempfile::TempDir) -> Result<()> {
    dir.close()?;
    rustix::fs::sync();
    Ok(())
}
