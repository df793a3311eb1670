//! This dialect as the server sees it.

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;

use super::api::failures::Failures;
use super::user::console;
use crate::app::App;
use crate::bounds::{REGISTRATION_WINDOW, REGISTRATIONS_PER_ADDRESS};
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::metrics::decisions;
use crate::mounts::Mounted;
use crate::surface::attempts::Attempts;
use crate::surface::password::Passwords;
use crate::surface::recheck::Right;
use crate::surface::{Pending, Surface};

/// What every handler of this dialect shares: the node's services, and what the dialect keeps in memory. A restart loses
/// the counts of wrong guesses; everything else is in documents.
#[derive(Clone)]
pub struct Service {
    app: App,
    /// Where passwords are hashed.
    pub passwords: Arc<Passwords>,
    /// Wrong codes and passwords of shares, by address and by share.
    pub shares: Arc<Failures>,
    /// Registrations, by address.
    pub registrations: Arc<Attempts>,
}

impl Service {
    /// Over the services of `app`.
    pub fn of(app: &App) -> Self {
        Self {
            app: app.clone(),
            passwords: Arc::default(),
            shares: Arc::default(),
            registrations: Arc::new(Attempts::within(REGISTRATIONS_PER_ADDRESS, REGISTRATION_WINDOW)),
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
        SurfaceId::CloudBackend
    }

    fn handle<'a>(&'a self, mounted: &'a Mounted, request: Request) -> Pending<'a, Decision> {
        let handler = |request| super::handle(self, mounted, request);
        Box::pin(decisions::follow((&self.metrics, self.id()), request, handler))
    }

    fn recheck<'a>(&'a self, mounted: &'a Mounted, request: Request) -> Pending<'a, Right> {
        Box::pin(async move { super::right(self, mounted, request) })
    }

    fn sweep(&self) -> Pending<'_, ()> {
        Box::pin(super::sweep(self))
    }

    fn operator_routes(&self) -> Router {
        console::router().with_state(self.clone())
    }
}
