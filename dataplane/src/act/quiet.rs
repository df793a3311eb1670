//! Ending writers and waiting until the last of their bytes has landed or is lost.

use std::pin::pin;
use std::time::Duration;

use crate::core::Core;
use crate::store::Object;

/// A writer that can not be ended in this time sits on a stuck disk (T-LOCK-4).
const END_WAIT: Duration = Duration::from_secs(5);
/// How often to look when no event says so.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Ends the writers that were silent for `silent` (all of them when `None`) and waits for them to let go; `false` when
/// they do not in time.
pub async fn end_and_wait(core: &Core, object: &Object, silent: Option<Duration>) -> bool {
    let deadline = core.io.now() + END_WAIT;
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
