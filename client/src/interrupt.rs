//! Ctrl-C and SIGTERM during a transfer or a login: it is cancelled and ends in its own words; when it does not within
//! a moment, or at the second signal, the process just ends. Nothing is lost either way, only the last journal entry.

use std::time::Duration;

use etransfer_client::Cancel;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Code;

/// How long a cancelled transfer may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// A handle that is cancelled by the first signal. Call once per process.
pub fn cancel_on_signal() -> std::io::Result<Cancel> {
    let cancel = Cancel::new();
    let handle = cancel.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            handle.cancel();
            let second = async {
                tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            };
            tokio::select! { () = second => {}, () = tokio::time::sleep(GRACE) => {} }
        });
        std::process::exit(Code::Interrupted as i32)
    });
    Ok(cancel)
}
