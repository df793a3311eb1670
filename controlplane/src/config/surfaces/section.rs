//! What the configuration knows of one dialect: [`SurfaceSettings`] is what a dialect says of its settings, [`Section`] the
//! same behind a pointer, so that the list of them needs no type of each.

use std::any::Any;
use std::fmt::Debug;

use super::check::Report;
use super::{Generated, Mount};
use crate::config::reader::Reader;
use crate::config::reload::Hot;
use crate::core::SurfaceId;
use crate::core::setting::Secret;

/// Starts of paths, each some whole raw segments; the empty one is `/` itself and nothing below it.
pub type Roots = &'static [&'static [&'static str]];

/// What `table!` writes for a table of keys.
pub trait Table: Sized {
    /// `surfaces.<name>`
    const SECTION: &'static str;

    /// Asks for every key of the table.
    fn read_table(reader: &mut Reader) -> Self;

    /// Takes the hot keys of `read` over.
    fn take_table(&mut self, read: &Self, hot: &mut Hot<'_>);

    /// Where the dialect is.
    fn mount(&self) -> &Mount;
}

/// The settings of one dialect.
pub trait SurfaceSettings: Table + Any + Debug + Clone + PartialEq + Send + Sync {
    /// Whose they are.
    const SURFACE: SurfaceId;
    /// Names of environment variables that the original program knows, all of them.
    const ORIGINAL_NAMES: &'static [&'static str];
    /// What the dialect owns at the root of a listener it shares (SURFACES.md §2).
    const ROOTS: Roots;
    /// Dialects it cannot share a root with, and the path both have.
    const CLASHES: &'static [(SurfaceId, &'static str)] = &[];

    /// Names the keys that have no effect here.
    fn accept_the_rest(_: &mut Reader) {}

    /// Takes the hot keys of `read` over.
    fn take_hot(&mut self, read: &Self, hot: &mut Hot<'_>) {
        self.take_table(read, hot);
    }

    /// A name in `Host` that is the dialect's with a meaning of its own ([`crate::mounts::Mounted::is_own_host`]).
    fn own_host(&self) -> Option<String> {
        None
    }

    /// A first segment that is the dialect's by configuration, with the key that names it.
    fn own_root(&self) -> Option<(&'static str, &str)> {
        None
    }

    /// Values that make no sense by themselves (SURFACES.md §4, 6 to 8).
    fn check(&self, report: &mut Report<'_>);

    /// Secrets that are made when they are not configured, with their keys.
    fn generated(&mut self) -> Vec<(&'static str, &mut Generated)> {
        Vec::new()
    }

    /// Credentials that stand in clear in the configuration, and their key.
    fn plain_credentials(&self) -> Option<(&'static str, Vec<Secret>)> {
        None
    }
}

/// [`SurfaceSettings`] of any dialect.
pub trait Section: Any + Debug + Send + Sync {
    /// Whose they are.
    fn surface(&self) -> SurfaceId;
    /// Where the dialect is.
    fn mount(&self) -> &Mount;
    /// See [`SurfaceSettings::ROOTS`].
    fn roots(&self) -> Roots;
    /// See [`SurfaceSettings::CLASHES`].
    fn clashes(&self) -> &'static [(SurfaceId, &'static str)];
    /// See [`SurfaceSettings::own_host`].
    fn own_host(&self) -> Option<String>;
    /// See [`SurfaceSettings::own_root`].
    fn own_root(&self) -> Option<(&'static str, &str)>;
    /// See [`SurfaceSettings::check`].
    fn check(&self, report: &mut Report<'_>);
    /// See [`SurfaceSettings::generated`].
    fn generated(&mut self) -> Vec<(&'static str, &mut Generated)>;
    /// See [`SurfaceSettings::plain_credentials`].
    fn plain_credentials(&self) -> Option<(&'static str, Vec<Secret>)>;
    /// See [`SurfaceSettings::take_hot`]. Settings of another dialect have no hot keys of this one.
    fn take_hot(&mut self, read: &dyn Section, hot: &mut Hot<'_>);
    /// The same settings once more.
    fn to_boxed(&self) -> Box<dyn Section>;
    /// Whether both are the same settings.
    fn is_same(&self, other: &dyn Section) -> bool;
}

impl<S: SurfaceSettings> Section for S {
    fn surface(&self) -> SurfaceId {
        S::SURFACE
    }

    fn mount(&self) -> &Mount {
        Table::mount(self)
    }

    fn roots(&self) -> Roots {
        S::ROOTS
    }

    fn clashes(&self) -> &'static [(SurfaceId, &'static str)] {
        S::CLASHES
    }

    fn own_host(&self) -> Option<String> {
        SurfaceSettings::own_host(self)
    }

    fn own_root(&self) -> Option<(&'static str, &str)> {
        SurfaceSettings::own_root(self)
    }

    fn check(&self, report: &mut Report<'_>) {
        SurfaceSettings::check(self, report);
    }

    fn generated(&mut self) -> Vec<(&'static str, &mut Generated)> {
        SurfaceSettings::generated(self)
    }

    fn plain_credentials(&self) -> Option<(&'static str, Vec<Secret>)> {
        SurfaceSettings::plain_credentials(self)
    }

    fn take_hot(&mut self, read: &dyn Section, hot: &mut Hot<'_>) {
        if let Some(read) = (read as &dyn Any).downcast_ref::<S>() {
            SurfaceSettings::take_hot(self, read, hot);
        }
    }

    fn to_boxed(&self) -> Box<dyn Section> {
        Box::new(self.clone())
    }

    fn is_same(&self, other: &dyn Section) -> bool {
        (other as &dyn Any).downcast_ref::<S>() == Some(self)
    }
}

impl Clone for Box<dyn Section> {
    fn clone(&self) -> Self {
        (**self).to_boxed()
    }
}

impl PartialEq for Box<dyn Section> {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(&**other)
    }
}

/// A dialect's entry in the list of those that have settings.
#[derive(Debug, Clone, Copy)]
pub struct Registered {
    /// Which dialect.
    pub surface: SurfaceId,
    /// See [`SurfaceSettings::ORIGINAL_NAMES`].
    pub original_names: &'static [&'static str],
    /// Asks for every key there is.
    pub read: fn(&mut Reader) -> Box<dyn Section>,
}

impl Registered {
    /// The dialect with the settings `S`.
    pub const fn of<S: SurfaceSettings>() -> Self {
        Self { surface: S::SURFACE, original_names: S::ORIGINAL_NAMES, read: read::<S> }
    }
}

fn read<S: SurfaceSettings>(reader: &mut Reader) -> Box<dyn Section> {
    let read = S::read_table(reader);
    S::accept_the_rest(reader);
    Box::new(read)
}
