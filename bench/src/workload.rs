//! What is done to the target: a list of operations, how many connections do them, for how long, and how the next one is
//! started. It is data: a preset, a YAML file, or either with flags over it; the record keeps it whole.
//!
//! ```yaml
//! connections: 64
//! duration: 30s
//! rate: 500                      # left out: closed loop, the next operation starts when the last has ended
//! operations:
//!   - {name: put, action: upload, size: 1MiB, with_creation: true, weight: 1}
//!   - {name: get, action: download, size: 1MiB, files: 64, weight: 4}
//! ```

use serde::{Deserialize, Serialize};

use crate::units::{Bytes, Span};

/// Everything that says what is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Workload {
    pub name: String,
    /// Chosen at random by weight; empty: only idle connections are held.
    pub operations: Vec<Operation>,
    /// Connections that work, all workers together; an operation with `parallel` takes that many of them.
    pub connections: u32,
    /// Connections that have each done one request and are then held, beside the load.
    pub idle: u32,
    /// Operations per second, all workers together. `None`: closed loop.
    pub rate: Option<f64>,
    /// Load before the window, not measured.
    pub warm_up: Span,
    /// The window.
    pub duration: Span,
    /// An exchange that takes longer has failed.
    pub timeout: Span,
    pub seed: u64,
    /// Compare downloaded bytes, and read back what was uploaded after the window.
    pub verify: bool,
    /// Uploaded bytes that may lie at the target, all workers together; beyond them the oldest files are removed, outside
    /// the latencies. All are removed at the end unless `keep`.
    pub room: Bytes,
    pub keep: bool,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            name: "custom".into(),
            operations: Vec::new(),
            connections: 8,
            idle: 0,
            rate: None,
            warm_up: Span(std::time::Duration::from_secs(2)),
            duration: Span(std::time::Duration::from_secs(10)),
            timeout: Span(std::time::Duration::from_secs(30)),
            seed: 1,
            verify: false,
            room: "4GiB".parse().expect("a size"),
            keep: false,
        }
    }
}

/// One kind of thing a client does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Its row in the results.
    pub name: String,
    pub action: Action,
    /// Of one file.
    pub size: Bytes,
    /// Bytes per PATCH, or per range; zero: the whole slice at once.
    #[serde(default)]
    pub part: Bytes,
    /// Connections that share one file, each a slice of it.
    #[serde(default = "one")]
    pub parallel: u32,
    /// TUS creation-with-upload: one POST instead of POST and PATCH.
    #[serde(default)]
    pub with_creation: bool,
    /// One range of `part` bytes at a random offset is the whole operation.
    #[serde(default)]
    pub random: bool,
    /// Files that are made, and read once, before the window to be downloaded.
    #[serde(default = "eight")]
    pub files: u32,
    /// A new connection for every operation.
    #[serde(default)]
    pub fresh: bool,
    #[serde(default = "one")]
    pub weight: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Upload,
    Download,
}

fn one() -> u32 {
    1
}

fn eight() -> u32 {
    8
}

/// Name, what it is, and the workload as a file would say it.
pub const PRESETS: [(&str, &str, &str); 10] = [
    (
        "upload",
        "large files, one connection each",
        "operations: [{name: upload, action: upload, size: 256MiB, part: 64MiB}]",
    ),
    (
        "parallel",
        "large files, four connections each (needs a server with parallel writes)",
        "operations: [{name: parallel, action: upload, size: 256MiB, part: 16MiB, parallel: 4}]",
    ),
    (
        "small",
        "4 KiB objects: create, then fill",
        "connections: 32\noperations: [{name: small, action: upload, size: 4KiB}]",
    ),
    (
        "inline",
        "4 KiB objects: creation-with-upload, one request each",
        "connections: 32\noperations: [{name: inline, action: upload, size: 4KiB, with_creation: true}]",
    ),
    ("download", "large files, whole", "operations: [{name: download, action: download, size: 256MiB}]"),
    (
        "ranged",
        "large files in ranges of 4 MiB, one after the other",
        "operations: [{name: ranged, action: download, size: 256MiB, part: 4MiB}]",
    ),
    (
        "random",
        "ranges of 64 KiB anywhere in large files",
        "connections: 32\noperations: [{name: random, action: download, size: 256MiB, part: 64KiB, random: true}]",
    ),
    (
        "mixed",
        "three downloads of 1 MiB for one upload of 1 MiB, and small objects between",
        "connections: 32
operations:
  - {name: upload, action: upload, size: 1MiB}
  - {name: download, action: download, size: 1MiB, files: 64, weight: 3}
  - {name: small, action: upload, size: 4KiB, with_creation: true}",
    ),
    ("idle", "5,000 connections that have done one request and stay", "idle: 5000\nwarm_up: 0s\nduration: 5s"),
    (
        "storm",
        "a new connection for every download of 1 KiB",
        "connections: 64\noperations: [{name: storm, action: download, size: 1KiB, fresh: true}]",
    ),
];

/// A workload that cannot be run, and what to change.
#[derive(Debug, thiserror::Error)]
pub enum BadWorkload {
    #[error("{0:?} is neither a preset ({presets}) nor a file that can be read: {1}", presets = preset_names())]
    Unknown(String, std::io::Error),
    #[error("{name}: {error}")]
    Text { name: String, error: Box<serde_saphyr::Error> },
    #[error("operation {0:?}: {1}")]
    Operation(String, &'static str),
    #[error("{0}")]
    Whole(&'static str),
}

fn preset_names() -> String {
    PRESETS.map(|(name, ..)| name).join(", ")
}

impl Workload {
    /// A preset's name, or the path of a YAML file.
    pub fn named(name: &str) -> Result<Self, BadWorkload> {
        let text = match PRESETS.iter().find(|(preset, ..)| *preset == name) {
            Some((.., text)) => (*text).to_owned(),
            None => std::fs::read_to_string(name).map_err(|error| BadWorkload::Unknown(name.into(), error))?,
        };
        let fault = |error| BadWorkload::Text { name: name.into(), error: Box::new(error) };
        let mut workload: Self = serde_saphyr::from_str(&text).map_err(fault)?;
        if workload.name == Self::default().name {
            let stem = std::path::Path::new(name).file_stem().and_then(|stem| stem.to_str());
            workload.name = stem.unwrap_or(name).into();
        }
        Ok(workload)
    }

    /// Whether it can be run at all; what only the target's dialect can tell is checked there.
    pub fn check(&self) -> Result<(), BadWorkload> {
        for operation in &self.operations {
            operation.check().map_err(|fault| BadWorkload::Operation(operation.name.clone(), fault))?;
            if operation.parallel > self.connections {
                let fault = "`parallel` is more than there are connections; raise `connections`";
                return Err(BadWorkload::Operation(operation.name.clone(), fault));
            }
        }
        if self.operations.is_empty() && self.idle == 0 {
            return Err(BadWorkload::Whole("nothing to do: neither `operations` nor `idle`"));
        }
        if self.rate.is_some() && self.operations.is_empty() {
            return Err(BadWorkload::Whole("a `rate` of nothing: there are no `operations`"));
        }
        if self.rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
            return Err(BadWorkload::Whole("`rate` is operations per second, above zero"));
        }
        if self.duration.0.is_zero() {
            return Err(BadWorkload::Whole("`duration` is zero: nothing would be measured"));
        }
        Ok(())
    }

    /// The most connections one operation uses: what a slot of the load consists of.
    pub fn lane_width(&self) -> u32 {
        self.operations.iter().map(|operation| operation.parallel).max().unwrap_or(1)
    }

    /// The share of worker `index` out of `workers`: connections and idle ones are dealt out, everything else is equal.
    pub fn share(&self, index: u32, workers: u32) -> Self {
        let deal = |all: u32| all / workers + u32::from(index < all % workers);
        Self {
            connections: deal(self.connections / self.lane_width()) * self.lane_width(),
            idle: deal(self.idle),
            room: Bytes(self.room.0 / u64::from(workers)),
            ..self.clone()
        }
    }
}

impl Operation {
    fn check(&self) -> Result<(), &'static str> {
        let aligned = self.part.0.is_multiple_of(SLICE_ALIGNMENT);
        match self {
            Self { parallel: 0, .. } => Err("`parallel` is at least 1"),
            Self { weight: 0, .. } => Err("`weight` is at least 1; leave the operation out instead"),
            Self { action: Action::Download, files: 0, .. } => Err("`files` is at least 1"),
            Self { action: Action::Download, size: Bytes(0), .. } => {
                Err("an empty file cannot be downloaded in ranges")
            }
            Self { action: Action::Upload, random: true, .. } => Err("`random` is for downloads"),
            Self { random: true, part: Bytes(0), .. } => Err("`random` needs `part`: the length of a range"),
            Self { random: true, part, size, .. } if part > size => Err("`part` is longer than the file"),
            Self { random: true, parallel: 2.., .. } => Err("`random` reads one range; give it more `connections`"),
            Self { with_creation: true, parallel: 2.., .. } => Err("`with_creation` is one request, so one connection"),
            Self { parallel: 2.., .. } if !aligned => Err("`part` is a multiple of 4096 when slices go in parallel"),
            _ => Ok(()),
        }
    }

    /// Where each of the `parallel` slices begins and ends; the later ones may be empty.
    pub fn slices(&self) -> impl Iterator<Item = (u64, u64)> {
        let (size, parallel) = (self.size.0, u64::from(self.parallel));
        let each = size.div_ceil(parallel).next_multiple_of(SLICE_ALIGNMENT);
        (0..parallel).map(move |index| ((index * each).min(size), ((index + 1) * each).min(size)))
    }
}

/// Writes out of order begin at multiples of this (easytransfer/CONTRACT.md §2.4).
const SLICE_ALIGNMENT: u64 = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn operation(edit: impl FnOnce(&mut Operation)) -> Operation {
        let mut operation = Operation {
            name: "x".into(),
            action: Action::Upload,
            size: Bytes(1 << 20),
            part: Bytes(0),
            parallel: 1,
            with_creation: false,
            random: false,
            files: 1,
            fresh: false,
            weight: 1,
        };
        edit(&mut operation);
        operation
    }

    #[test]
    fn every_preset_can_be_run_and_read_back() {
        for (name, ..) in PRESETS {
            let workload = Workload::named(name).expect(name);
            assert_eq!(workload.name, name);
            workload.check().expect(name);
            let json = serde_json::to_string(&workload).expect("a workload is JSON");
            assert_eq!(serde_json::from_str::<Workload>(&json).expect("JSON is a workload"), workload);
        }
    }

    #[test]
    fn what_cannot_be_run_says_what_to_change() {
        for (text, says) in [
            ("operations: []", "nothing to do"),
            ("idle: 1\nrate: 5", "of nothing"),
            ("rate: 0\noperations: [{name: a, action: upload, size: 1M}]", "above zero"),
            ("idle: 1\nduration: 0s", "duration"),
            ("connections: 2\noperations: [{name: a, action: upload, size: 1M, parallel: 4}]", "connections"),
            ("operations: [{name: a, action: upload, size: 1M, parallel: 0}]", "parallel"),
            ("operations: [{name: a, action: upload, size: 1M, parallel: 2, part: 1000}]", "4096"),
            ("operations: [{name: a, action: upload, size: 1M, parallel: 2, with_creation: true}]", "one request"),
            ("operations: [{name: a, action: upload, size: 1M, random: true, part: 1K}]", "downloads"),
            ("operations: [{name: a, action: download, size: 1M, random: true}]", "part"),
            ("operations: [{name: a, action: download, size: 1M, random: true, part: 2M}]", "longer"),
            ("operations: [{name: a, action: download, size: 1M, weight: 0}]", "weight"),
        ] {
            let workload: Workload = serde_saphyr::from_str(text).expect(text);
            let error = workload.check().expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(serde_saphyr::from_str::<Workload>("conections: 3").is_err(), "an unknown key is an error");
    }

    proptest! {
        #[test]
        fn slices_cover_the_file_once(size in 0_u64..1 << 40, parallel in 1_u32..64) {
            let slices: Vec<_> = operation(|o| (o.size, o.parallel) = (Bytes(size), parallel)).slices().collect();
            prop_assert_eq!(slices.len() as u32, parallel);
            let mut at = 0;
            for (start, end) in slices {
                prop_assert_eq!(start, at);
                prop_assert!(end >= start);
                prop_assert!(start == size || start % SLICE_ALIGNMENT == 0);
                at = end;
            }
            prop_assert_eq!(at, size);
        }

        #[test]
        fn shares_add_up(slots in 1_u32..200, width in 1_u32..5, idle in 0_u32..1000, workers in 1_u32..9) {
            let operations = vec![operation(|o| o.parallel = width)];
            let whole = Workload { connections: slots * width, idle, operations, ..Workload::default() };
            let shares: Vec<_> = (0..workers).map(|index| whole.share(index, workers)).collect();
            prop_assert_eq!(shares.iter().map(|share| share.connections).sum::<u32>(), whole.connections);
            prop_assert_eq!(shares.iter().map(|share| share.idle).sum::<u32>(), idle);
            prop_assert!(shares.iter().all(|share| share.connections % width == 0));
        }
    }
}
