//! The reference everybody knows: one nginx worker that takes PUTs (dav module) and serves files with sendfile.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::process::{Process, pinned, wait_listening};
use super::settings::Settings;

pub struct Nginx {
    pub process: Process,
    pub addr: SocketAddr,
}

/// Whether it is installed.
pub fn is_there() -> bool {
    Command::new("nginx").arg("-v").output().is_ok_and(|output| output.status.success())
}

impl Nginx {
    /// PUT below `/put/` writes below `dir/put/`; every other path is read below `root`.
    pub fn start(settings: &Settings, dir: &Path, root: &Path) -> Result<Self> {
        let addr = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        std::fs::create_dir_all(dir.join("put"))?;
        std::fs::write(dir.join("nginx.conf"), configuration(dir, root, addr))?;
        let mut command = pinned(settings.server_cpu, "nginx");
        command.arg("-c").arg(dir.join("nginx.conf")).arg("-p").arg(dir).arg("-e").arg(dir.join("error.log"));
        let process = Process::start(command)?;
        wait_listening(addr)?;
        Ok(Self { process, addr })
    }
}

/// Tuned for it: 1 MiB body buffer (16 KiB is the default), temporary files on the same file system, no access log.
fn configuration(dir: &Path, root: &Path, addr: SocketAddr) -> String {
    let (dir, root) = (dir.display(), root.display());
    let body_buffer = std::env::var("FIGURES_NGINX_BUFFER").unwrap_or_else(|_| "1m".into());
    format!(
        "user root; daemon off; worker_processes 1; worker_rlimit_nofile 16384; pid {dir}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 600;
    client_max_body_size 0; client_body_buffer_size {body_buffer}; client_body_temp_path {dir}/temp;
    fastcgi_temp_path {dir}/t1; proxy_temp_path {dir}/t2; scgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4;
    server {{
        listen {addr};
        location /put/ {{ root {dir}; dav_methods PUT; create_full_put_path on; }}
        location / {{ root {root}; }}
    }}
}}
"
    )
}
