//! What is in the table: the rows of the project's goals, each as the windows that are compared and what is computed.
//!
//! *Absent on purpose:* cold reads (caches can be dropped by root alone, and then for the whole machine), and network
//! cards (loopback is what everybody has).

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::dialects;
use super::figure::{Figure, Goal, Metric, Value};
use super::scene::{Entrant, Load, Program, Scene};
use crate::peer::{NOPUSH_OFF, Peer};
use crate::placement::Placement;
use crate::target::Dialect;
use crate::units::{Bytes, GIB, MIB, Span};
use crate::workload::Workload;

/// What the table is made with.
pub struct Options {
    pub peers: Vec<Peer>,
    /// The file systems under test; all rows but those of uploads use the first.
    pub dirs: Vec<PathBuf>,
    pub duration: Span,
    pub warm_up: Span,
    /// Of the one file that programs move.
    pub size: Bytes,
    pub idle: u32,
    /// More connections are not opened, and files of more MiB not moved: for a look whether everything runs.
    pub most: Option<u32>,
}

/// CPU of the server in seconds per GiB (IO.md §8), and by how much others are to be beaten.
struct Disk {
    name: &'static str,
    upload: f64,
    many: f64,
    peers: f64,
}

const EXT4: Disk = Disk { name: "ext4", upload: 0.13, many: 0.21, peers: 2.5 };
const XFS: Disk = Disk { name: "xfs", upload: 0.12, many: 0.13, peers: 1.6 };

impl Disk {
    /// Other file systems than XFS are held to what ext4 is.
    fn of(dir: &Path) -> Result<Self> {
        const XFS_MAGIC: i64 = 0x5846_5342;
        let found = rustix::fs::statfs(dir).with_context(|| format!("look at {}", dir.display()))?;
        Ok(if found.f_type as i64 == XFS_MAGIC { XFS } else { EXT4 })
    }
}

/// All scenes, in the order of the table.
pub fn scenes(options: &Options) -> Result<Vec<Scene>> {
    let bench = Bench::new(options)?;
    // Small files first: see `Scene::removes_late`.
    let mut scenes = vec![bench.small()?];
    for dir in &options.dirs {
        let disk = Disk::of(dir)?;
        scenes.extend([bench.upload(dir, &disk)?, bench.many(dir, &disk)?, bench.buffered(dir, &disk)?]);
    }
    scenes.extend([
        bench.synced()?,
        bench.dialects()?,
        bench.download()?,
        bench.random()?,
        bench.tiny()?,
        bench.one_file()?,
        bench.idle()?,
        bench.connections()?,
        bench.cores()?,
        bench.crowd()?,
        bench.fairness()?,
    ]);
    Ok(scenes)
}

struct Bench<'a> {
    options: &'a Options,
    et: Peer,
    nginx: Peer,
    apart: Placement,
    together: Placement,
    /// This program.
    own: String,
}

impl<'a> Bench<'a> {
    fn new(options: &'a Options) -> Result<Self> {
        let named = |name: &str| {
            let found = options.peers.iter().find(|peer| peer.name == name);
            found.cloned().with_context(|| format!("the table needs {name}; add --peer {name}=…"))
        };
        let own = std::env::current_exe().context("path of this program")?;
        Ok(Self {
            options,
            et: named("et")?,
            nginx: named("nginx")?,
            apart: Placement::apart()?,
            together: Placement::together()?,
            own: own.to_str().context("the path of this program is text")?.to_owned(),
        })
    }

    // ---- uploads

    /// What lies at a server stays small, so that the page cache of those who use it is made of the same pages again:
    /// fresh ones come from the host of a virtual machine, at a price that is not the server's.
    fn upload_load(&self) -> Result<Workload> {
        self.workload("upload", |load| {
            load.operations[0].size = Bytes(64 * MIB);
            load.room = Bytes(GIB);
        })
    }

    fn upload(&self, dir: &Path, disk: &Disk) -> Result<Scene> {
        let load = self.upload_load()?;
        let peers: Vec<&Peer> = self.options.peers.iter().filter(|peer| peer.name != "et").collect();
        let mut entrants = vec![self.entrant("et", &self.et, &load)];
        entrants.extend(peers.iter().map(|peer| self.entrant(&peer.name, peer, &load)));
        entrants.push(self.entrant("bare", &self.bare("direct"), &load));
        entrants.push(self.entrant("discard", &self.bare("discard"), &load));
        let bytes = 2 * load.room.0;
        let dd = "dd if=/dev/zero of=\"$DIR/dd\" bs=1M count=\"$COUNT\" oflag=direct status=none";
        entrants.push(self.program("dd", "", dd, bytes, vec![("COUNT", (bytes / MIB).to_string())]));
        let than = |peer: &&Peer| {
            let what = format!("upload, direct, {}: CPU/GiB of {} to et", disk.name, peer.name);
            ratio_to(what, Metric::CpuPerGib, &peer.name, Goal::AtLeast(disk.peers))
        };
        let mut figures: Vec<Figure> = peers.iter().map(than).collect();
        let all = peers.iter().map(|peer| peer.name.clone()).collect();
        figures.extend([
            ratio(
                format!("upload, direct, {}: bytes/s of et to the fastest peer", disk.name),
                Metric::BytesPerSecond,
                ("et", all),
                Goal::AtLeast(1.0),
            ),
            of(
                format!("upload, direct, {}: CPU s/GiB of et", disk.name),
                Metric::CpuPerGib,
                "et",
                Goal::AtMost(disk.upload),
            ),
            ratio(
                format!("upload, direct, {}: CPU/GiB of et to the bare loop", disk.name),
                Metric::CpuPerGib,
                ("et", vec!["bare".into()]),
                Goal::None,
            ),
            Figure {
                limit: Some(("et", 1.0)),
                ..ratio(
                    format!("upload, direct, {}: bytes/s of et to dd oflag=direct", disk.name),
                    Metric::BytesPerSecond,
                    ("et", vec!["dd".into()]),
                    Goal::AtLeast(0.9),
                )
            },
        ]);
        let how = "8 connections, files of 64 MiB in one PATCH (PUT: at once), old ones removed beyond 1 GiB, every server with its defaults; \
                   bare is a receive and direct-write loop, discard its receive half, dd writes 1 MiB blocks from memory";
        Ok(scene(&format!("upload-{}", disk.name), how, dir, entrants, figures))
    }

    fn many(&self, dir: &Path, disk: &Disk) -> Result<Scene> {
        let load = self.workload("upload", |load| {
            load.connections = 64;
            load.room = Bytes(GIB);
            load.operations[0].size = Bytes(4 * MIB);
        })?;
        let entrants = vec![
            self.entrant("et", &self.et, &load),
            self.entrant("bare", &self.bare("direct"), &load),
            self.entrant("nginx", &self.nginx, &load),
        ];
        let what = |rest: &str| format!("upload, 64 connections × 4 MiB, {}: {rest}", disk.name);
        let figures = vec![
            of(what("CPU s/GiB of et"), Metric::CpuPerGib, "et", Goal::AtMost(disk.many)),
            ratio_to(what("CPU/GiB of nginx to et"), Metric::CpuPerGib, "nginx", Goal::None),
        ];
        let how = "files of 4 MiB: creation, one PATCH, completion (PUT: at once); synced before it is acknowledged by et only";
        Ok(scene(&format!("many-{}", disk.name), how, dir, entrants, figures))
    }

    fn buffered(&self, dir: &Path, disk: &Disk) -> Result<Scene> {
        let load = self.upload_load()?;
        let et = self.et.with("ETRANSFER_WRITE_MODE", "buffered").with("ETRANSFER_DURABILITY", "none");
        let entrants = vec![
            self.entrant("et", &et, &load),
            self.entrant("bare", &self.bare("buffered"), &load),
            self.entrant("nginx", &self.nginx, &load),
        ];
        let what = |rest: &str| format!("upload, buffered, {}: {rest}", disk.name);
        let figures = vec![
            ratio(
                what("CPU/GiB of et to the bare loop"),
                Metric::CpuPerGib,
                ("et", vec!["bare".into()]),
                Goal::AtMost(1.15),
            ),
            ratio_to(what("CPU/GiB of nginx to et"), Metric::CpuPerGib, "nginx", Goal::None),
        ];
        let how = "as the direct upload, through the page cache, et with durability none (no other server syncs)";
        Ok(scene(&format!("buffered-{}", disk.name), how, dir, entrants, figures))
    }

    fn synced(&self) -> Result<Scene> {
        let load = self.workload("upload", |load| {
            load.connections = 4;
            load.room = Bytes(GIB);
            load.operations[0].part = Bytes(4 * MIB);
        })?;
        let bytes = load.room.0;
        let dd = "for i in 1 2 3 4; do
            dd if=/dev/zero of=\"$DIR/dd-$i\" bs=4M count=\"$COUNT\" oflag=direct,dsync status=none &
        done; wait";
        let count = vec![("COUNT", (bytes / (16 * MIB)).max(1).to_string())];
        let written = (bytes / (16 * MIB)).max(1) * 16 * MIB;
        let entrants = vec![
            self.entrant("et", &self.et.with("ETRANSFER_DURABILITY", "every"), &load),
            self.program("dd", "", dd, written, count),
        ];
        let figures = vec![
            Figure {
                limit: Some(("et", 1.0)),
                ..ratio(
                    "4 uploads, every PATCH of 4 MiB synced: bytes/s of et to four dd oflag=direct,dsync".into(),
                    Metric::BytesPerSecond,
                    ("et", vec!["dd".into()]),
                    Goal::AtLeast(0.8),
                )
            },
            of("4 uploads, every PATCH of 4 MiB synced: CPU s/GiB of et".into(), Metric::CpuPerGib, "et", Goal::None),
        ];
        Ok(scene(
            "synced",
            "durability every: a PATCH is answered when its bytes are on the disk",
            self.dir(),
            entrants,
            figures,
        ))
    }

    fn dialects(&self) -> Result<Scene> {
        const UPLOADS: u64 = 16;
        const PREPARE: &str =
            "head -c \"$PART\" /dev/urandom > part; for i in $(seq 256); do cat part; done > source; ";
        const UP: &str = "up() { curl -sSf -o reply -H Expect: \"$@\"; }; for i in $(seq \"$UPLOADS\"); do ";
        // Made of 256 equal parts, for the sum of the device's chunk.
        let part = (self.options.size.0 / UPLOADS / 256).max(1);
        let size = 256 * part;
        let program = |name: &str, prepare: &str, line: &str| {
            let variables = vec![
                ("PART", part.to_string()),
                ("SIZE", size.to_string()),
                ("UPLOADS", UPLOADS.to_string()),
                ("HEADER", dialects::chunk_header(size)),
            ];
            self.program(name, &format!("{PREPARE}{prepare}"), line, UPLOADS * size, variables)
        };
        let mut entrants: Vec<Entrant> = dialects::ALL
            .iter()
            .map(|dialect| {
                let entrant = program(dialect.name, dialect.prepare, &format!("{UP}{}; done", dialect.upload));
                Entrant { peer: dialects::with_everybody(&self.et), ..entrant }
            })
            .collect();
        const MD5: &str = "md5sum";
        entrants.push(program(MD5, "", "for i in $(seq \"$UPLOADS\"); do md5sum source > sum; done"));
        let others = dialects::ALL.iter().filter(|dialect| dialect.name != dialects::TUS);
        let figures = others.flat_map(|dialect| {
            let cost = ratio(
                format!("upload as {}: CPU/GiB to {}", dialect.name, dialects::TUS),
                Metric::CpuPerGib,
                (dialect.name, vec![dialects::TUS.into()]),
                Goal::AtMost(1.3),
            );
            let speed = dialect.digests.then(|| {
                ratio(
                    format!("upload as {}: bytes/s to md5sum of the same files", dialect.name),
                    Metric::BytesPerSecond,
                    (dialect.name, vec![MD5.into()]),
                    Goal::None,
                )
            });
            std::iter::once(cost).chain(speed)
        });
        let how = "16 files, one after the other, by curl, each in one request (TUS: created before); what a dialect demands \
                   besides is in it: MD5 and CRC-64 of an object, MD5 and SHA-256 of a stream, the sum of a device's chunk";
        let figures = figures.collect();
        Ok(scene("dialects", how, self.dir(), entrants, figures))
    }

    // ---- downloads

    fn download(&self) -> Result<Scene> {
        let load = self.workload("download", |load| load.operations[0].size = Bytes(64 * MIB))?;
        let entrants = vec![self.entrant("et", &self.et, &load), self.entrant("nginx", &self.nginx, &load)];
        let figures = vec![
            ratio(
                "download, 64 MiB, warm: bytes/s of et to nginx".into(),
                Metric::BytesPerSecond,
                ("et", vec!["nginx".into()]),
                Goal::AtLeast(0.95),
            ),
            ratio(
                "download, 64 MiB, warm: CPU/GiB of et to nginx".into(),
                Metric::CpuPerGib,
                ("et", vec!["nginx".into()]),
                Goal::None,
            ),
        ];
        Ok(scene("download", "8 connections, whole files out of the page cache", self.dir(), entrants, figures))
    }

    /// Ranges anywhere in files that are small enough to stay warm: each page is read many times in a second, so a kernel
    /// that gives back what it believes to be cold (DAMON, on many virtual machines) leaves them alone.
    fn ranges(&self, connections: u32) -> Result<Workload> {
        self.workload("random", |load| {
            load.connections = connections;
            load.operations[0].size = Bytes(32 * MIB);
        })
    }

    fn random(&self) -> Result<Scene> {
        let load = self.ranges(32)?;
        let entrants =
            vec![self.entrant("et", &self.et, &load), self.entrant("nginx", &self.nginx_for_ranges(), &load)];
        let against = |what: &str, metric, goal| {
            ratio(format!("64 KiB random ranges: {what} of et to nginx"), metric, ("et", vec!["nginx".into()]), goal)
        };
        let figures = vec![
            against("requests/s", Metric::OperationsPerSecond, Goal::AtLeast(1.0)),
            against("CPU/request", Metric::CpuPerOperation, Goal::None),
        ];
        Ok(scene("random", "32 connections, ranges anywhere in 8 files of 32 MiB, warm", self.dir(), entrants, figures))
    }

    fn tiny(&self) -> Result<Scene> {
        let load = self.workload("storm", |load| load.operations[0].fresh = false)?;
        let entrants = vec![self.entrant("et", &self.et, &load), self.entrant("nginx", &self.nginx, &load)];
        let figures = vec![
            of("GET of 1 KiB: CPU of et".into(), Metric::CpuPerOperation, "et", Goal::AtMost(6e-6)),
            ratio(
                "GET of 1 KiB: requests/s of et to nginx".into(),
                Metric::OperationsPerSecond,
                ("et", vec!["nginx".into()]),
                Goal::None,
            ),
        ];
        Ok(scene("tiny", "64 keep-alive connections", self.dir(), entrants, figures))
    }

    // ---- small objects, one file, idle connections

    fn small(&self) -> Result<Scene> {
        let load = self.workload("small", |_| {})?;
        let tus: Vec<&Peer> = self.options.peers.iter().filter(|peer| peer.dialect == Dialect::Tus).collect();
        let mut entrants = vec![
            self.entrant("et", &self.et.with("ETRANSFER_DURABILITY", "none"), &load),
            self.entrant("et-complete", &self.et, &load),
            self.entrant("nginx", &self.nginx, &load),
        ];
        entrants.extend(tus.iter().map(|peer| self.entrant(&peer.name, peer, &load)));
        let figures = vec![
            ratio(
                "4 KiB create + PATCH: op/s of et to the best TUS peer".into(),
                Metric::OperationsPerSecond,
                ("et", tus.iter().map(|peer| peer.name.clone()).collect()),
                Goal::AtLeast(3.0),
            ),
            ratio(
                "4 KiB create + PATCH: op/s of et to nginx PUT".into(),
                Metric::OperationsPerSecond,
                ("et", vec!["nginx".into()]),
                Goal::None,
            ),
            of("4 KiB create + PATCH: CPU of et".into(), Metric::CpuPerOperation, "et", Goal::None),
            of(
                "4 KiB create + PATCH, durability complete: op/s of et".into(),
                Metric::OperationsPerSecond,
                "et-complete",
                Goal::None,
            ),
        ];
        let how = "32 connections; et with durability none (no other server syncs), et-complete with its default; PUT is one request";
        Ok(Scene { removes_late: true, ..scene("small", how, self.dir(), entrants, figures) })
    }

    fn one_file(&self) -> Result<Scene> {
        const SOURCE: &str = "head -c 8M /dev/urandom > part; yes part | head -n $PARTS | xargs cat > source; ";
        const STORE: &str = "\"$ET\" upload source --server \"$URL\" --quiet > id; rm source; ";
        const CREATE: &str = "at=$(curl -sSf -D - -o reply -X POST -H 'Tus-Resumable: 1.0.0' -H \"Upload-Length: $SIZE\" \
            \"$URL/tus\" | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p'); echo \"${at##*/}\" > id";
        const FILL: &str = "curl -sSf -o reply -X PATCH -T source -H Expect: -H 'Tus-Resumable: 1.0.0' -H 'Upload-Offset: 0' \
            -H 'Content-Type: application/offset+octet-stream' \"$URL/tus/$(cat id)\"";
        let (source, created, stored) = (SOURCE.to_owned(), format!("{SOURCE}{CREATE}"), format!("{SOURCE}{STORE}"));
        let size = self.options.size.0.next_multiple_of(8 * MIB);
        let parallel = |name: &str, bytes: u64| {
            self.workload(name, |load| {
                load.connections = 4;
                load.operations[0].size = Bytes(bytes);
                load.operations[0].parallel = 4;
                load.operations[0].files = 1;
            })
        };
        let program = |name: &str, prepare: &str, line: &str| {
            let variables = vec![
                ("ET", absolute(self.et.program())),
                ("SIZE", size.to_string()),
                ("PARTS", (size / (8 * MIB)).to_string()),
            ];
            self.program(name, prepare, line, size, variables)
        };
        let entrants = vec![
            self.entrant("et-bench up", &self.et, &parallel("parallel", size)?),
            program("et upload", &source, "\"$ET\" upload source --server \"$URL\" --quiet"),
            program("curl up", &created, FILL),
            self.entrant("et-bench down", &self.et, &parallel("download", size)?),
            program("et download", &stored, "\"$ET\" download \"$(cat id)\" -o sink --server \"$URL\" --quiet"),
            program("curl down", &stored, "curl -sS -f -o sink \"$URL/api/files/$(cat id)/download\""),
        ];
        let against = |of: &'static str, to: &str, bound| {
            ratio(
                format!("one file of {}: bytes/s of {of} to {to}", self.options.size),
                Metric::BytesPerSecond,
                (of, vec![to.to_owned()]),
                Goal::AtLeast(bound),
            )
        };
        let figures = vec![
            against("et upload", "et-bench up", 0.9),
            against("et upload", "curl up", 1.0),
            against("et download", "et-bench down", 0.9),
            against("et download", "curl down", 1.0),
        ];
        let how = "4 connections (curl: one), from a file to a file (et-bench: from and to memory), wall clock of the command";
        Ok(scene("one-file", how, self.dir(), entrants, figures))
    }

    fn idle(&self) -> Result<Scene> {
        let load = self.workload("idle", |load| load.idle = self.options.idle)?;
        let entrants = vec![self.entrant("et", &self.et, &load)];
        let what = |rest: &str| format!("{} idle connections: {rest}", load.idle);
        let figures = vec![
            of(what("memory they add"), Metric::IdleBytes, "et", Goal::AtMost((64 * MIB) as f64)),
            of(what("memory of each"), Metric::IdleBytesEach, "et", Goal::AtMost(1024.0)),
        ];
        Ok(scene(
            "idle",
            "resident memory before they come and when each has done one request",
            self.dir(),
            entrants,
            figures,
        ))
    }

    // ---- how it scales

    fn connections(&self) -> Result<Scene> {
        const UP: [(&str, u32); 4] = [("up 1", 1), ("up 8", 8), ("up 64", 64), ("up 512", 512)];
        const DOWN: [(&str, u32); 4] = [("down 1", 1), ("down 8", 8), ("down 64", 64), ("down 512", 512)];
        let mut entrants = Vec::new();
        for (preset, names) in [("upload", UP), ("download", DOWN)] {
            for (name, connections) in names {
                let load = self.workload(preset, |load| {
                    load.connections = connections;
                    load.room = Bytes(GIB);
                    load.operations[0].size = Bytes(16 * MIB);
                })?;
                entrants.push(self.entrant(name, &self.et, &load));
            }
        }
        let spread = |what: &str, names: [(&'static str, u32); 4]| Figure {
            what: format!("{what} at 1, 8, 64, 512 connections: largest CPU/GiB to smallest"),
            metric: Metric::CpuPerGib,
            value: Value::Spread(names.map(|(name, _)| name).into()),
            goal: Goal::AtMost(1.15),
            limit: None,
        };
        let figures = vec![spread("upload", UP), spread("download", DOWN)];
        Ok(scene(
            "connections",
            "files of 16 MiB, up by one PATCH each, down whole and warm",
            self.dir(),
            entrants,
            figures,
        ))
    }

    fn cores(&self) -> Result<Scene> {
        let mut entrants = Vec::new();
        let mut figures = Vec::new();
        for (preset, one, two) in [("upload", "up, one", "up, two"), ("random", "ranges, one", "ranges, two")] {
            let load = if preset == "upload" { self.upload_load()? } else { self.ranges(32)? };
            let cpus = self.together.load_cpus as f64;
            entrants.push(self.entrant(one, &self.et, &load));
            entrants.push(Entrant { placement: self.together.clone(), ..self.entrant(two, &self.et, &load) });
            figures.push(Figure {
                limit: Some((two, cpus)),
                ..ratio(
                    format!("two data cores to one, {preset}: bytes/s"),
                    Metric::BytesPerSecond,
                    (two, vec![one.into()]),
                    Goal::AtLeast(1.8),
                )
            });
            figures.push(ratio(
                format!("two data cores to one, {preset}: CPU/GiB"),
                Metric::CpuPerGib,
                (two, vec![one.into()]),
                Goal::None,
            ));
        }
        let how = "one: the server on one CPU, the load on the other; two: both on both. A server that is not busy on all of \
                   its CPUs is not the limit, and then the goal is undecided";
        Ok(scene("cores", how, self.dir(), entrants, figures))
    }

    fn crowd(&self) -> Result<Scene> {
        let load = self.ranges(1000)?;
        let entrants =
            vec![self.entrant("et", &self.et, &load), self.entrant("nginx", &self.nginx_for_ranges(), &load)];
        let figures = vec![
            of(
                "1,000 connections, 64 KiB ranges: p99 of et to its median".into(),
                Metric::Tail,
                "et",
                Goal::AtMost(2.0),
            ),
            of(
                "1,000 connections, 64 KiB ranges: p99 of nginx to its median".into(),
                Metric::Tail,
                "nginx",
                Goal::None,
            ),
        ];
        Ok(scene(
            "crowd",
            "closed loop, all of them always busy; nginx without tcp_nopush",
            self.dir(),
            entrants,
            figures,
        ))
    }

    fn fairness(&self) -> Result<Scene> {
        let slow = Workload { rate: Some(200.0), ..self.ranges(32)? };
        let fast = self.workload("download", |load| {
            load.connections = 1;
            load.duration = Span(load.duration.0 + std::time::Duration::from_secs(1));
        })?;
        let beside = Entrant { load: Load::Beside(slow.clone(), fast), ..self.entrant("beside", &self.et, &slow) };
        let entrants = vec![self.entrant("alone", &self.et, &slow), beside];
        let what = |rest: &str| format!("32 slow clients beside a fast one: {rest}");
        let figures = vec![
            of(what("their p99 alone"), Metric::P99, "alone", Goal::None),
            of(what("their p99 beside it"), Metric::P99, "beside", Goal::None),
        ];
        let how = "open loop: 200 ranges of 64 KiB a second; beside: while one connection downloads 256 MiB after 256 MiB as fast as \
                   it can, from the same load CPU";
        Ok(scene("fairness", how, self.dir(), entrants, figures))
    }

    // ---- parts

    fn dir(&self) -> &Path {
        &self.options.dirs[0]
    }

    fn workload(&self, preset: &str, edit: impl FnOnce(&mut Workload)) -> Result<Workload> {
        // Nothing is removed at the end: the directory goes as a whole.
        let mut load = Workload { warm_up: self.options.warm_up, keep: true, ..Workload::named(preset)? };
        load.duration = self.options.duration;
        edit(&mut load);
        if let Some(most) = self.options.most {
            load.connections = load.connections.min(most);
            load.room = load.room.min(Bytes(u64::from(most) * MIB));
            for operation in &mut load.operations {
                operation.size = operation.size.min(Bytes(u64::from(most) * MIB));
            }
        }
        Ok(load)
    }

    fn entrant(&self, name: &str, peer: &Peer, load: &Workload) -> Entrant {
        let load = Load::Workload(load.clone());
        Entrant { name: name.to_owned(), peer: peer.clone(), placement: self.apart.clone(), load }
    }

    fn program(
        &self,
        name: &str,
        prepare: &str,
        line: &str,
        bytes: u64,
        variables: Vec<(&'static str, String)>,
    ) -> Entrant {
        let load = Load::Program(Program { prepare: prepare.to_owned(), line: line.to_owned(), variables, bytes });
        Entrant { name: name.to_owned(), peer: self.et.clone(), placement: self.apart.clone(), load }
    }

    fn nginx_for_ranges(&self) -> Peer {
        self.nginx.with(NOPUSH_OFF.0, NOPUSH_OFF.1)
    }

    fn bare(&self, sink: &str) -> Peer {
        Peer::described("bare", Dialect::Put, "", &[&self.own, "bare", "{port}", "{dir}", sink])
    }
}

fn scene(name: &str, how: &str, dir: &Path, entrants: Vec<Entrant>, figures: Vec<Figure>) -> Scene {
    Scene { name: name.to_owned(), how: how.to_owned(), dir: dir.to_owned(), removes_late: false, entrants, figures }
}

fn of(what: String, metric: Metric, entrant: &'static str, goal: Goal) -> Figure {
    Figure { what, metric, value: Value::Of(entrant), goal, limit: None }
}

/// The first to the best of the others.
fn ratio(what: String, metric: Metric, (entrant, others): (&'static str, Vec<String>), goal: Goal) -> Figure {
    Figure { what, metric, value: Value::Ratio(entrant, others), goal, limit: None }
}

/// Another one to et.
fn ratio_to(what: String, metric: Metric, other: &str, goal: Goal) -> Figure {
    Figure { what, metric, value: Value::RatioTo(other.to_owned(), "et"), goal, limit: None }
}

/// A program's path counts from here, not from the window's directory.
fn absolute(program: &str) -> String {
    if !program.contains('/') {
        return program.to_owned();
    }
    std::path::absolute(program).map_or_else(|_| program.to_owned(), |path| path.display().to_string())
}
