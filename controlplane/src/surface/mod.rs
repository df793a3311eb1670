//! The dialects: one folder each. A dialect owns its paths, its errors, its limits and what it keeps in memory; below it
//! there is one node.
//!
//! * [`Surface`] what the server asks of a dialect · [`all`] the one list of them
//! * [`attached`] how a handler gets a body, [`reported`] how it hears what came of a step · [`recheck`] whether a transfer under
//!   way may go on · [`cross_origin`] pages of other origins
//! * [`query`], [`multipart`] what requests are written in · [`own_url`] addresses of this node ·
//!   [`disposition`], [`delivery`] files on their way out
//! * [`jwt`], [`password`] what several of them log people in with
//! * [`easytransfer`], [`secure_file_transfer`], [`cloudbackend`], [`stream_upload`], [`pyblobserver`]
//!
//! Must stay true: no module outside of a dialect's folder names it, but for [`all`] and [`SETTINGS`].

pub mod attached;
pub mod attempts;
pub mod cloudbackend;
pub mod cross_origin;
pub mod delivery;
pub mod disposition;
pub mod easytransfer;
pub mod jwt;
pub mod multipart;
pub mod openings;
pub mod own_url;
pub mod password;
pub mod pyblobserver;
pub mod query;
pub mod recheck;
pub mod refusal;
pub mod reported;
pub mod secure_file_transfer;
pub mod stream_upload;

use std::path::Path;
use std::pin::Pin;

use axum::Router;
use axum::extract::Request;

use self::recheck::Right;
use crate::app::App;
use crate::config::surfaces::Registered;
use crate::config::{Config, Flags, Layers, Sources, from_layers};
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::mounts::Mounted;

/// What a dialect's methods return: they are called through a trait object.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One dialect, as the server knows it.
pub trait Surface: Send + Sync {
    /// Which one it is.
    fn id(&self) -> SurfaceId;

    /// One request to its decision. The path begins below the mount.
    fn handle<'a>(&'a self, mounted: &'a Mounted, request: Request) -> Pending<'a, Decision>;

    /// Whether the sender of a request that is under way would still be let in. Decides nothing new and changes nothing.
    fn recheck<'a>(&'a self, mounted: &'a Mounted, request: Request) -> Pending<'a, Right>;

    /// What goes on without being asked for; each ends with the runtime or with `App::stopping`.
    fn tasks(&self) -> Vec<Pending<'static, ()>> {
        Vec::new()
    }

    /// Removes what has expired; called every `retention.cleanup_interval`, one call at a time.
    fn sweep(&self) -> Pending<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Writes down what is kept in memory; called once, after the last request.
    fn stop(&self) -> Pending<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Paths on the control link that the operator's commands call. No client reaches them.
    fn operator_routes(&self) -> Router {
        Router::new()
    }
}

/// The settings of every dialect that has any, in the order of SURFACES.md §3.
pub const SETTINGS: &[Registered] = &[
    Registered::of::<secure_file_transfer::settings::SecureFileTransfer>(),
    Registered::of::<cloudbackend::settings::CloudBackend>(),
    Registered::of::<stream_upload::settings::StreamUpload>(),
    Registered::of::<pyblobserver::settings::PyBlobServer>(),
];

/// Where the values of a node's configuration come from ([`Sources::find`]).
pub fn sources(named: Option<&Path>, flags: Flags) -> Sources {
    Sources::find(named, flags, SETTINGS)
}

impl Config {
    /// All defaults, with the settings of every dialect.
    pub fn defaults() -> Self {
        from_layers(Layers::all()).expect("the defaults are sound").config
    }
}

impl Layers {
    /// Nothing is said; every dialect is known.
    pub fn all() -> Self {
        Self { dialects: SETTINGS, ..Self::default() }
    }
}

/// Every dialect of this server.
pub fn all(app: &App) -> Vec<Box<dyn Surface>> {
    vec![
        Box::new(easytransfer::EasyTransfer::of(app)),
        Box::new(secure_file_transfer::Service::of(app)),
        Box::new(cloudbackend::Service::of(app)),
        Box::new(stream_upload::Service::of(app)),
        Box::new(pyblobserver::Service::of(app)),
    ]
}
