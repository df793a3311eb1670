//! This dialect as the server sees it.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::Request;

use super::downloads::Downloads;
use super::rate::Limiter;
use super::upkeep;
use crate::app::App;
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::metrics::decisions;
use crate::mounts::Mounted;
use crate::surface::recheck::Right;
use crate::surface::{Pending, Surface};

/// What every handler of this dialect shares: the node's services, and what the dialect keeps in memory. A restart loses
/// at most the downloads of the last second.
#[derive(Clone)]
pub struct Service {
    app: App,
    /// Requests per address.
    pub(super) limiter: Arc<Limiter>,
    /// Downloads that the catalogue does not have yet.
    pub(super) downloads: Arc<Downloads>,
}

impl Service {
    /// Over the services of `app`.
    pub fn of(app: &App) -> Self {
        Self { app: app.clone(), limiter: Arc::default(), downloads: Arc::default() }
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
        SurfaceId::PyBlobServer
    }

    fn handle<'a>(&'a self, mounted: &'a Mounted, request: Request) -> Pending<'a, Decision> {
        let handler = |request| super::handle(self, mounted, request);
        Box::pin(decisions::follow((&self.metrics, self.id()), request, handler))
    }

    fn recheck<'a>(&'a self, _: &'a Mounted, request: Request) -> Pending<'a, Right> {
        Box::pin(async move { super::right(self, &request) })
    }

    fn tasks(&self) -> Vec<Pending<'static, ()>> {
        vec![Box::pin(upkeep::run(self.clone()))]
    }

    fn stop(&self) -> Pending<'_, ()> {
        Box::pin(async {
            if let Err(error) = self.flush().await {
                tracing::warn!(%error, "write down the last downloads");
            }
        })
    }
}
