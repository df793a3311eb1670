//! The layers a value can come from, and which one won: flag > `ETRANSFER_*` > file > default (easytransfer/CONTRACT.md
//! §9.2).
//!
//! Keys below `surfaces` have one more: the name the original program knew the setting by, asked last before the default.
//!
//! Every key that exists passes through [`Reader::get`] or [`Reader::get_in`] once; what the file holds beyond those keys is
//! reported with its path and ignored. Faults are collected, so an operator sees all of them at the first start.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::surfaces::Registered;
use crate::core::setting::{Expected, Hidden, Setting};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// No layer says anything.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(String),
    /// An environment variable of the program a surface takes the place of.
    Original(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
            Self::Original(name) => f.write_str(name),
        }
    }
}

/// One value that is in force.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Path in the file.
    pub path: String,
    /// Printable; secrets masked.
    pub value: Value,
    /// Who said so.
    pub source: Source,
    /// Whether anything obeys it yet.
    pub in_effect: bool,
}

/// A value that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path in the file.
    pub path: String,
    /// Who said so.
    pub source: Source,
    /// What would be right.
    pub expected: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (from {}): expected {}", self.path, self.source, self.expected)
    }
}

/// What the three outer layers say.
#[derive(Debug, Default)]
pub struct Layers {
    /// The file, if there is one.
    pub file: Option<(PathBuf, Value)>,
    /// The process environment: names without `ETRANSFER_`, upper case but for the names of a map's entries.
    pub environment: BTreeMap<String, String>,
    /// Flags that were given: path of the key → (flag, text).
    pub flags: BTreeMap<&'static str, (&'static str, String)>,
    /// What the environment says under the names of the original programs.
    pub originals: BTreeMap<&'static str, String>,
    /// The dialects that have settings.
    pub dialects: &'static [Registered],
}

/// What one layer says, and which.
type Found<T> = (Result<T, Expected>, Source);

/// Hands out values and remembers what it handed out.
pub struct Reader {
    layers: Layers,
    asked: BTreeSet<String>,
    shown: Vec<Shown>,
    faults: Vec<Fault>,
}

impl Reader {
    /// The dialects that have settings.
    pub(super) fn dialects(&self) -> &'static [Registered] {
        self.layers.dialects
    }

    /// A reader over `layers`.
    pub fn new(layers: Layers) -> Self {
        Self { layers, asked: BTreeSet::new(), shown: Vec::new(), faults: Vec::new() }
    }

    /// The value of a key, from the strongest layer that names it: where it stands in the file, and its field name
    /// (`ETRANSFER_<FIELD>`, and verbatim below `server`).
    pub fn get<T: Setting>(&mut self, path: &'static str, field: &'static str, default: T) -> T {
        let found = self.find(path, field);
        self.settle(path, found, default, true)
    }

    /// A key that is accepted although nothing obeys it yet.
    pub fn later<T: Setting>(&mut self, path: &'static str, field: &'static str, default: T) {
        let found = self.find(path, field);
        self.settle(path, found, default, false);
    }

    /// The value of `section.key` (SURFACES.md §1): `ETRANSFER_<SECTION>__<KEY>`, the file, one of
    /// `originals`, the default.
    pub fn get_in<T: Setting>(&mut self, section: &str, key: &str, originals: &[&'static str], default: T) -> T {
        let path = format!("{section}.{key}");
        let found = self.find_in(&path, originals);
        self.settle(&path, found, default, true)
    }

    /// The same for a key that has no effect.
    pub fn accept_in(&mut self, section: &str, key: &str, originals: &[&'static str]) {
        let path = format!("{section}.{key}");
        let found = self.find_in(&path, originals);
        self.settle(&path, found, None::<Hidden>, false);
    }

    /// Names that the file and the environment have directly below `section`, and where.
    pub fn names_below(&self, section: &str) -> Vec<(String, Source)> {
        let mut names = Vec::new();
        if let Some((path, file)) = &self.layers.file
            && let Some(Value::Object(entries)) = lookup(file, section)
        {
            names.extend(entries.keys().map(|name| (name.clone(), Source::File(path.clone()))));
        }
        let whole = environment_name(section);
        if let Some(Value::Object(entries)) =
            self.layers.environment.get(&whole).and_then(|text| serde_json::from_str(text).ok())
        {
            let source = || Source::Environment(format!("ETRANSFER_{whole}"));
            names.extend(entries.keys().map(|name| (name.clone(), source())));
        }
        let prefix = format!("{whole}__");
        for variable in self.layers.environment.keys() {
            if let Some(rest) = variable.strip_prefix(&prefix) {
                let name = rest.split("__").next().unwrap_or(rest).to_ascii_lowercase();
                names.push((name, Source::Environment(format!("ETRANSFER_{variable}"))));
            }
        }
        names
    }

    /// Tells a fault that no value alone shows.
    pub fn object(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// How many faults there are so far.
    pub fn fault_count(&self) -> usize {
        self.faults.len()
    }

    /// Forgets the faults after the first `count`: they are of something that is switched off.
    pub fn forgive_after(&mut self, count: usize) {
        self.faults.truncate(count);
    }

    /// Everything handed out, in the order asked; what went wrong; what the layers hold that was not asked for.
    pub fn finish(self) -> (Vec<Shown>, Vec<Fault>, Vec<String>) {
        let mut unknown = Vec::new();
        if let Some((_, file)) = &self.layers.file {
            self.unasked(file, "", &mut unknown);
        }
        let asked_names = self.asked.iter().filter_map(|name| name.strip_prefix("env "));
        let asked_names: Vec<&str> = asked_names.collect();
        for name in self.layers.environment.keys() {
            let known = asked_names
                .iter()
                .any(|asked| name == asked || name.strip_prefix(asked).is_some_and(|rest| rest.starts_with("__")));
            if known || CLIENT_NAMES.contains(&name.as_str()) {
                continue;
            }
            let is_section = asked_names
                .iter()
                .any(|asked| asked.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with("__")));
            match self.layers.environment.get(name).and_then(|text| serde_json::from_str(text).ok()) {
                Some(entries @ Value::Object(_)) if is_section => {
                    self.unasked(&entries, &name.to_ascii_lowercase().replace("__", "."), &mut unknown);
                }
                _ => unknown.push(format!("ETRANSFER_{name}")),
            }
        }
        (self.shown, self.faults, unknown)
    }

    /// Variables that were asked for, without `ETRANSFER_`, in order.
    #[cfg(test)]
    pub(super) fn asked_variables(&self) -> Vec<String> {
        self.asked.iter().filter_map(|name| name.strip_prefix("env ")).map(str::to_owned).collect()
    }

    fn settle<T: Setting>(&mut self, path: &str, found: Vec<Found<T>>, default: T, in_effect: bool) -> T {
        // A weaker layer is read too: a mistake in the file is told although a flag hides it today.
        let mut winner = None;
        for (value, source) in found {
            match value {
                Ok(value) if winner.is_none() => winner = Some((value, source)),
                Ok(_) => {}
                Err(expected) => self.faults.push(Fault { path: path.into(), source, expected: expected.0 }),
            }
        }
        let (value, source) = winner.unwrap_or((default, Source::Default));
        self.shown.push(Shown { path: path.into(), value: value.to_value(), source, in_effect });
        value
    }

    /// What each layer that names the key says, strongest first.
    fn find<T: Setting>(&mut self, path: &str, field: &str) -> Vec<Found<T>> {
        let name = field.to_ascii_uppercase();
        let verbatim = format!("server.{field}");
        self.asked.extend([path.to_owned(), verbatim.clone(), format!("env {name}")]);
        let Layers { file, flags, .. } = &self.layers;
        let flag = flags.get(path).map(|(flag, text)| (T::from_text(text), Source::Flag((*flag).to_owned())));
        let file = file.as_ref().and_then(|(name, file)| {
            let said = |path| lookup(file, path).filter(|value| !value.is_null());
            let value = [path, &verbatim].into_iter().find_map(said)?;
            Some((T::from_value(value), Source::File(name.clone())))
        });
        let [variable, entries] = self.environment(&name);
        [flag, variable, entries, file].into_iter().flatten().collect()
    }

    /// The same below `surfaces`: an empty value is no value, and original names count when nothing else does.
    fn find_in<T: Setting>(&mut self, path: &str, originals: &[&'static str]) -> Vec<Found<T>> {
        let name = environment_name(path);
        self.asked.extend([path.to_owned(), format!("env {name}")]);
        let file = self.layers.file.as_ref().and_then(|(name, file)| {
            let value = lookup(file, path)?;
            let says = T::EMPTY_SAYS || !(value.is_null() || value == "");
            says.then(|| (T::from_value(value), Source::File(name.clone())))
        });
        let [variable, entries] = self.environment(&name);
        let mut found: Vec<_> = [variable, entries, self.inside_json(path), file].into_iter().flatten().collect();
        if found.is_empty() {
            let said = |name: &&'static str| self.layers.originals.get(name).map(|text| (*name, text));
            let original = originals.iter().filter_map(said).find(|(_, text)| !text.is_empty());
            found.extend(original.map(|(name, text)| (T::from_text(text), Source::Original(name))));
        }
        found
    }

    /// What the variable of a key says, and what the variables of its entries do.
    fn environment<T: Setting>(&self, name: &str) -> [Option<Found<T>>; 2] {
        let variable = self.layers.environment.get(name).filter(|text| !text.is_empty());
        let variable = variable.map(|text| (T::from_text(text), Source::Environment(format!("ETRANSFER_{name}"))));
        let entries = self.nested(name);
        let entries = entries.map(|map| (T::from_value(&map), Source::Environment(format!("ETRANSFER_{name}__*"))));
        [variable, entries]
    }

    /// A key inside the JSON that the variable of a section above it holds.
    fn inside_json<T: Setting>(&self, path: &str) -> Option<Found<T>> {
        path.rmatch_indices('.').find_map(|(dot, _)| {
            let name = environment_name(&path[..dot]);
            let section: Value = serde_json::from_str(self.layers.environment.get(&name)?).ok()?;
            let value = lookup(&section, &path[dot + 1..])?;
            let says = T::EMPTY_SAYS || !(value.is_null() || value == "");
            says.then(|| (T::from_value(value), Source::Environment(format!("ETRANSFER_{name}"))))
        })
    }

    /// Map entries as `FIELD__key__key=value` (easytransfer/CONTRACT.md §9.4). The first key has the letters it is
    /// written with, unless all of them are capitals, as is the custom for variables; the keys inside the entry are
    /// ours, and small.
    fn nested(&self, name: &str) -> Option<Value> {
        let prefix = format!("{name}__");
        let mut root = Map::new();
        for (variable, text) in self.layers.environment.range(prefix.clone()..) {
            let Some(rest) = variable.strip_prefix(&prefix) else { break };
            let mut at = &mut root;
            let mut parts: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
            let entry = rest.split("__").next().filter(|entry| entry.bytes().any(|byte| byte.is_ascii_lowercase()));
            if let (Some(first), Some(entry)) = (parts.first_mut(), entry) {
                entry.clone_into(first);
            }
            let (last, parents) = parts.split_last()?;
            for part in parents {
                at = at.entry(part.clone()).or_insert_with(|| Value::Object(Map::new())).as_object_mut()?;
            }
            at.insert(last.clone(), Value::String(text.clone()));
        }
        (!root.is_empty()).then_some(Value::Object(root))
    }

    fn unasked(&self, value: &Value, path: &str, unknown: &mut Vec<String>) {
        if self.asked.contains(path) {
            return;
        }
        match value {
            Value::Object(entries) => {
                for (key, value) in entries {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.unasked(value, &path, unknown);
                }
            }
            // An empty section is as good as absent.
            Value::Null => {}
            _ => unknown.push(path.to_owned()),
        }
    }
}

/// Environment names that belong to the client and to discovery.
const CLIENT_NAMES: [&str; 3] = ["CONFIG", "TOKEN", "SERVER"];

fn lookup<'a>(file: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(file, |at, part| at.get(part))
}

/// `surfaces.pyblobserver.base_url` → `SURFACES__PYBLOBSERVER__BASE_URL`
fn environment_name(path: &str) -> String {
    path.to_ascii_uppercase().replace('.', "__")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn layers() -> Layers {
        Layers {
            dialects: &[],
            file: Some((
                "config.yaml".into(),
                json!({"server": {"port": 1, "nope": 2, "chunk_size": "4K"}, "auth": null, "cors": {}, "x": {"y": 1}}),
            )),
            environment: [("WORKERS".to_owned(), "3".to_owned()), ("TYPO".to_owned(), "3".to_owned())].into(),
            flags: [("server.port", ("--port", "9".to_owned()))].into(),
            originals: BTreeMap::new(),
        }
    }

    #[test]
    fn section_9_2_flag_beats_environment_beats_file_beats_default() {
        let mut reader = Reader::new(layers());
        assert_eq!(reader.get("server.port", "port", 5u16), 9);
        assert_eq!(reader.get("server.workers", "workers", 1usize), 3);
        assert_eq!(reader.get("server.chunk", "chunk_size", crate::core::Size(1)).0, 4096);
        assert!(reader.get("auth.enabled", "auth_enabled", true), "an empty section is absent");
        let (shown, faults, unknown) = reader.finish();
        assert_eq!(faults, []);
        assert_eq!(unknown, ["server.nope", "x.y", "ETRANSFER_TYPO"]);
        let sources: Vec<String> = shown.iter().map(|shown| shown.source.to_string()).collect();
        assert_eq!(sources, ["--port", "ETRANSFER_WORKERS", "config.yaml", "default"]);
    }

    #[test]
    fn a_fault_names_key_source_and_what_is_expected() {
        let mut layers = layers();
        layers.flags.clear();
        layers.environment.insert("PORT".into(), "65536".into());
        let mut reader = Reader::new(layers);
        reader.get("server.port", "port", 5u16);
        let (_, faults, _) = reader.finish();
        assert_eq!(faults[0].to_string(), "server.port (from ETRANSFER_PORT): expected an integer from 0 to 65535");
    }
}
