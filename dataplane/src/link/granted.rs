//! A grant, as a core keeps it.

use std::borrow::Borrow;
use std::ops::Deref;
use std::sync::Arc;

use etransfer_contract::Grant;
use etransfer_contract::grant::Act;

use crate::limits::holders::{Holder, Holders, TooManyUnderWay, UnderWay};

/// A grant, and the holder its requests are counted for.
pub struct Granted {
    grant: Grant,
    holder: Option<Arc<Holder>>,
}

impl Granted {
    /// Finds the holder of `grant`.
    pub fn new(holders: &Arc<Holders>, grant: Grant) -> Self {
        let holder = grant.holder.as_ref().map(|holder| holders.find(&holder.key));
        Self { grant, holder }
    }

    /// Counts a request under this grant while it is under way. Requests that never wait for their client (state, remove,
    /// concat) are not counted.
    pub fn enter(&self) -> Result<Option<UnderWay<'_>>, TooManyUnderWay> {
        if matches!(self.grant.act, Act::State(_) | Act::Remove(_) | Act::Concat(_)) {
            return Ok(None);
        }
        let counted = self.holder.as_ref().zip(self.grant.holder.as_ref());
        counted.map(|(holder, permitted)| holder.enter(permitted)).transpose()
    }
}

impl Deref for Granted {
    type Target = Grant;

    fn deref(&self) -> &Grant {
        &self.grant
    }
}

impl Borrow<Grant> for Granted {
    fn borrow(&self) -> &Grant {
        &self.grant
    }
}
