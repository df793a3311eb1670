//! This dialect as the server sees it.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::Request;

use super::{cleanup, device, store};
use crate::app::App;
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::metrics::decisions;
use crate::mounts::Mounted;
use crate::surface::openings::Openings;
use crate::surface::password::Passwords;
use crate::surface::recheck::Right;
use crate::surface::{Pending, Surface};

/// What every handler of this dialect shares: the node's services, and what the dialect keeps in memory. A restart loses
/// nothing of it that a client would notice.
#[derive(Clone)]
pub struct Service {
    app: App,
    /// Where passwords are hashed.
    pub passwords: Arc<Passwords>,
    /// Hashes of configured passwords.
    pub hashes: Arc<device::Hashes>,
    /// Uploads about to begin.
    pub openings: Arc<Openings>,
    /// Names that chunks came for last.
    pub names: Arc<store::Remembered>,
}

impl Service {
    /// Over the services of `app`.
    pub fn of(app: &App) -> Self {
        Self {
            app: app.clone(),
            passwords: Arc::default(),
            hashes: Arc::default(),
            openings: Arc::default(),
            names: Arc::default(),
        }
    }
}

impl Deref for Service {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

impl Surface for Service {
    fn id(&self) -> SurfaceId {
        SurfaceId::SecureFileTransfer
    }

    fn handle<'a>(&'a self, _: &'a Mounted, request: Request) -> Pending<'a, Decision> {
        let handler = |request| super::handle(self, request);
        Box::pin(decisions::follow((&self.metrics, self.id()), request, handler))
    }

    fn recheck<'a>(&'a self, _: &'a Mounted, request: Request) -> Pending<'a, Right> {
        Box::pin(async move { super::right(self, &request) })
    }

    fn tasks(&self) -> Vec<Pending<'static, ()>> {
        vec![Box::pin(cleanup::run(self.clone()))]
    }
}
