//! The table of figures: every goal of the project beside what one run measured, and whether it is met.
//!
//! ```text
//! table (what is compared) ─► scene (windows in turns) ─► figure (medians of ratios, verdicts) ─► file ─► report
//! ```

mod dialects;
pub mod figure;
pub mod file;
pub mod isolate;
mod scene;
pub mod table;

use std::path::Path;

use anyhow::{Result, ensure};

use crate::record::Record;
use file::{Facts, File, Row};
use table::Options;

/// Measures the scenes named (all when none is) and puts them into the directory beside those measured before: a row may
/// be measured again alone.
pub fn measure(options: &Options, only: &[String], rounds: u32, output: &Path, say: &dyn Fn(&str)) -> Result<File> {
    let scenes = table::scenes(options)?;
    let names: Vec<String> = scenes.iter().map(|scene| scene.name.clone()).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(name)) {
        anyhow::bail!("there is no scene {unknown:?}; there are {}", names.join(", "));
    }
    ensure!(rounds > 0, "no rounds, no figures");
    let mut file = File::load_or_new(output)?;
    for scene in scenes.iter().filter(|scene| only.is_empty() || only.contains(&scene.name)) {
        let outcome = scene.measure(rounds, options.most.is_none(), say);
        for record in &outcome.records {
            let record = Record { connections: Vec::new(), ..record.clone() };
            record.save(&file::record_path(output, &scene.name, &record.label))?;
        }
        file.put(Row::of(scene, outcome, Facts::here(options, rounds)), &names);
        file.save(output)?;
    }
    Ok(file)
}
