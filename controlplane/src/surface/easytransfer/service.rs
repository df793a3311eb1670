//! This dialect as the server sees it.

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn;
use tokio::sync::Semaphore;

use super::login::Login;
use super::{entry, recheck};
use crate::app::App;
use crate::bounds::LIVE_AUDIENCE_MAX;
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::mounts::Mounted;
use crate::surface::recheck::Right;
use crate::surface::{Pending, Surface};

/// What every handler of this dialect shares: the node's services, and what the dialect keeps in memory. A restart loses
/// logins under way.
#[derive(Clone)]
pub struct Service {
    app: App,
    /// Permits for clients that follow the traffic.
    pub audience: Arc<Semaphore>,
    /// Logins under way, when a provider is configured.
    pub login: Option<Arc<Login>>,
}

impl Service {
    /// Over the services of `app`.
    pub fn of(app: &App) -> Self {
        Self {
            app: app.clone(),
            audience: Arc::new(Semaphore::new(LIVE_AUDIENCE_MAX)),
            login: app.provider.clone().map(|provider| Arc::new(Login::with(provider))),
        }
    }
}

impl Deref for Service {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

/// The dialect: its services and the paths above them.
pub struct EasyTransfer {
    service: Service,
    router: Router,
}

impl EasyTransfer {
    /// Over the services of `app`.
    pub fn of(app: &App) -> Self {
        Self::over(Service::of(app))
    }

    /// The paths over `service`.
    pub fn over(service: Service) -> Self {
        let router = super::router(&service).layer(from_fn(entry::name_route)).with_state(service.clone());
        Self { service, router }
    }
}

impl Surface for EasyTransfer {
    fn id(&self) -> SurfaceId {
        SurfaceId::EasyTransfer
    }

    fn handle<'a>(&'a self, _: &'a Mounted, request: Request) -> Pending<'a, Decision> {
        Box::pin(entry::handle(&self.service, &self.router, request))
    }

    fn recheck<'a>(&'a self, _: &'a Mounted, request: Request) -> Pending<'a, Right> {
        Box::pin(recheck::right(&self.service, request))
    }
}
