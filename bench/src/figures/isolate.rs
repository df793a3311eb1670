//! A network namespace of our own, so that congestion control can be chosen without touching the machine's: cubic,
//! or reno where a namespace may not have cubic. Without loss, as here, the two are the same; pacing (bbr) is not.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Result, bail};

const INSIDE: &str = "ET_BENCH_INSIDE_NAMESPACE";
const CONGESTION: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// Starts this program again inside a fresh namespace; stays outside, and says so, when that is not allowed.
pub fn enter() -> Result<()> {
    if std::env::var_os(INSIDE).is_none() {
        if !Command::new("unshare").args(["--net", "true"]).status().is_ok_and(|status| status.success()) {
            eprintln!("et-bench: no network namespace of our own; congestion control is {}", congestion());
            return Ok(());
        }
        let again = std::env::current_exe()?;
        let args = std::env::args_os().skip(1);
        let error = Command::new("unshare").args(["--net", "--"]).arg(again).args(args).env(INSIDE, "1").exec();
        return Err(error.into());
    }
    if !Command::new("ip").args(["link", "set", "lo", "up"]).status()?.success() {
        bail!("ip link set lo up");
    }
    if !["cubic", "reno"].iter().any(|name| std::fs::write(CONGESTION, name).is_ok()) {
        eprintln!("et-bench: congestion control stays {}", congestion());
    }
    Ok(())
}

fn congestion() -> String {
    std::fs::read_to_string(CONGESTION).unwrap_or_default().trim().to_owned()
}
