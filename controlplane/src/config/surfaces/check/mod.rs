//! What of `surfaces` is refused at the start and in a reload (SURFACES.md §4), all of it in one go.
//!
//! * [`conflicts`] two surfaces in one place (1 to 5), [`values`] what makes no sense by itself (6 to 8)
//!
//! Must stay true: a disabled surface takes part in nothing; a fault never holds a secret, and is one line.

mod conflicts;
pub mod values;

use crate::config::Config;
use crate::config::reader::{Fault, Shown, Source};
use crate::core::SurfaceId;

/// Everything that is wrong, but for keys of which `known` tells a fault already: their value is not the one that was meant.
pub fn faults(config: &Config, shown: &[Shown], known: &[Fault]) -> Vec<Fault> {
    let is_known = |path: &str| known.iter().any(|fault| fault.path == path);
    let mut report = Report { shown, faults: Vec::new() };
    values::check(&config.surfaces, &mut report);
    let malformed = report.faults.clone();
    let is_sound = |path: &str| !is_known(path) && !malformed.iter().any(|fault| fault.path == path);
    conflicts::check(config, &is_sound, &mut report);
    report.faults.retain(|fault| !is_known(&fault.path));
    report.faults
}

/// Collects faults with the source of the value at fault.
pub struct Report<'s> {
    shown: &'s [Shown],
    faults: Vec<Fault>,
}

impl Report<'_> {
    /// One fault: the key, and what is expected there.
    pub fn tell(&mut self, path: String, expected: String) {
        let source = self.shown.iter().find(|shown| shown.path == path).map(|shown| shown.source.clone());
        self.faults.push(Fault { path, source: source.unwrap_or(Source::Default), expected });
    }
}

/// `surfaces.<surface>.<key>`
pub fn path(surface: SurfaceId, key: &str) -> String {
    format!("surfaces.{}.{key}", surface.name())
}

#[cfg(test)]
mod tests;
