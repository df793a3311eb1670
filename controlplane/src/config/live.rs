//! The settings in force: one immutable [`Config`] at a time, replaced as a whole.
//!
//! Must stay true: a request sees one configuration from its first look to its last when it keeps what [`Live::now`] gave
//! it; readers never wait for a reload.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Config;

/// What the node obeys at this moment.
#[derive(Debug)]
pub struct Live(ArcSwap<Config>);

impl Live {
    /// Begins with `config`.
    pub fn new(config: Arc<Config>) -> Self {
        Self(ArcSwap::new(config))
    }

    /// The settings of this moment.
    pub fn now(&self) -> Arc<Config> {
        self.0.load_full()
    }

    /// From now on these.
    pub fn replace(&self, config: Arc<Config>) {
        self.0.store(config);
    }
}
