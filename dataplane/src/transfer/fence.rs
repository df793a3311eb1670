//! Ending writers and waiting until the last of their bytes has landed or is lost.

use std::pin::pin;
use std::time::Duration;

use crate::bounds::REMOVAL_END_WAIT;
use crate::core::Core;
use crate::store::Object;

/// How often to look when no event says so.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Ends the writers that were silent for `silent` (all of them when `None`) and waits for them to let go; `false` when
/// they do not in time.
pub async fn fence_writers(core: &Core, object: &Object, silent: Option<Duration>) -> bool {
    let deadline = core.io.now() + REMOVAL_END_WAIT;
    loop {
        let listener = object.writers_changed();
        if object.end_writers(None, silent) == 0 {
            return true;
        }
        if core.io.now() >= deadline {
            return false;
        }
        futures_util::future::select(pin!(listener), pin!(core.io.sleep(LOOK_AGAIN))).await;
    }
}
