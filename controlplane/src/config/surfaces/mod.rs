//! `surfaces.*`: the settings of the dialects (SURFACES.md). The keys of each stand in its own folder, as a `table!`.
//!
//! * [`section`] what the configuration asks of a dialect's settings · [`mount`] the keys every dialect has: where it is
//! * [`host`] names in `Host` · [`generated`] secrets the node makes for itself, [`credential`] secrets it is only given a
//!   digest of
//! * [`check`] what is refused at the start and in a reload
//!
//! Must stay true: a table is the only place that names a key; what is hot there is taken over on reload, and nothing else.

#[macro_use]
mod table;

pub mod check;
pub mod credential;
pub mod generated;
pub mod host;
pub mod mount;
pub mod section;
mod text;

use std::any::Any;
use std::net::SocketAddr;

pub use credential::Credential;
pub use generated::Generated;
pub use mount::{Mount, Prefix};
pub use section::{Registered, Section, SurfaceSettings, Table};
pub use text::{BaseUrl, Zone};

use super::reader::{Fault, Reader};
use super::reload::Hot;
use crate::core::SurfaceId;

/// `surfaces.*`: one section for each dialect that has settings, in the order of the list of dialects.
#[derive(Debug, Clone, PartialEq)]
pub struct Surfaces(Vec<Box<dyn Section>>);

impl Surfaces {
    /// Asks for every key there is; a dialect that is not in the list is a fault.
    pub(super) fn read(reader: &mut Reader) -> Self {
        let dialects = reader.dialects();
        let known: Vec<&str> = dialects.iter().map(|dialect| dialect.surface.name()).collect();
        for (name, source) in reader.names_below("surfaces") {
            if !known.contains(&name.as_str()) {
                let expected = format!("one of {}", known.join(" "));
                reader.object(Fault { path: format!("surfaces.{}", name.escape_debug()), source, expected });
            }
        }
        Self(dialects.iter().map(|dialect| (dialect.read)(reader)).collect())
    }

    /// Takes the hot keys of `read` over.
    pub(super) fn take_hot(&mut self, read: &Self, hot: &mut Hot<'_>) {
        for (running, read) in self.0.iter_mut().zip(&read.0) {
            running.take_hot(&**read, hot);
        }
    }

    /// The sections of all dialects.
    pub fn sections(&self) -> impl Iterator<Item = &dyn Section> {
        self.0.iter().map(|section| &**section)
    }

    /// The sections of the dialects that are there.
    pub fn enabled(&self) -> impl Iterator<Item = &dyn Section> {
        self.sections().filter(|section| section.mount().enabled)
    }

    /// The settings of a dialect.
    ///
    /// # Panics
    ///
    /// When the dialect is not in the list of dialects: only a dialect itself asks for its settings.
    pub fn of<S: SurfaceSettings>(&self) -> &S {
        let mut sections = self.sections().map(|section| section as &dyn Any);
        sections.find_map(<dyn Any>::downcast_ref).expect("a dialect whose code runs is in the list of dialects")
    }

    /// The same, to be changed.
    pub fn of_mut<S: SurfaceSettings>(&mut self) -> &mut S {
        let mut sections = self.0.iter_mut().map(|section| &mut **section as &mut dyn Any);
        sections.find_map(<dyn Any>::downcast_mut).expect("a dialect whose code runs is in the list of dialects")
    }

    /// Listeners of one surface alone, in the order in which the data plane binds and tells them.
    pub fn own_listeners(&self) -> Vec<(SurfaceId, SocketAddr)> {
        let of = |section: &dyn Section| {
            let surface = section.surface();
            section.mount().listen.iter().map(|address| (surface, *address)).collect::<Vec<_>>()
        };
        self.enabled().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests;
