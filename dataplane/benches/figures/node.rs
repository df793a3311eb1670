//! The server under test: the real `et server start` with one data core, and the requests of its TUS and file surface.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};

use super::http::{Connection, Head};
use super::pattern::Pattern;
use super::process::{Process, pinned};
use super::settings::Settings;

pub const TOKEN: &str = "token-of-the-figures";

pub struct Node {
    pub process: Process,
    pub addr: SocketAddr,
    dir: PathBuf,
}

impl Node {
    /// On the server's CPU alone, so it starts one core; storage and log below `dir`. `FIGURES_ET_<NAME>` in our own
    /// environment becomes `ETRANSFER_<NAME>` in the server's.
    pub fn start(settings: &Settings, et: &Path, dir: &Path) -> Result<Self> {
        let log = std::fs::File::create(dir.join("server.log"))?;
        let mut command = pinned(settings.server_cpu, et);
        command.args(["server", "start", "--host", "127.0.0.1", "--port", "0", "--storage"]).arg(dir.join("storage"));
        command.env_clear().env("HOME", dir).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("ETRANSFER_AUTH_TOKENS", format!("[\"{TOKEN}\"]"));
        for (name, value) in std::env::vars() {
            if let Some(name) = name.strip_prefix("FIGURES_ET_") {
                command.env(format!("ETRANSFER_{name}"), value);
            }
        }
        command.current_dir(dir).stdout(Stdio::piped()).stderr(log);
        let mut process = Process::start(command)?;
        let mut lines = BufReader::new(process.child().stdout.take().context("standard output is piped")?).lines();
        let addr = lines.find_map(|line| {
            let line = line.ok()?;
            let url = line.split_once("listening on http://")?.1;
            url.split_whitespace().next()?.trim_end_matches('/').parse().ok()
        });
        std::thread::spawn(move || lines.for_each(drop));
        let addr = addr.with_context(|| format!("et does not start; its log is {}", log_text(dir)))?;
        Ok(Self { process, addr, dir: dir.into() })
    }

    /// Where objects lie, as `<2 hex>/<32 hex>`.
    pub fn objects(&self) -> PathBuf {
        self.dir.join("storage/objects")
    }
}

fn log_text(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("server.log")).unwrap_or_default()
}

/// `<2 hex>/<32 hex>`.
pub fn object_path(id: &str) -> String {
    format!("{}/{id}", &id[..2])
}

pub fn create_request(name: &str, length: u64) -> String {
    let name = base64(name.as_bytes());
    format!(
        "POST /tus HTTP/1.1\r\nHost: figures\r\nX-API-Token: {TOKEN}\r\nTus-Resumable: 1.0.0\r\n\
         Upload-Length: {length}\r\nUpload-Metadata: filename {name}\r\nContent-Length: 0\r\n\r\n"
    )
}

pub fn patch_head(id: &str, offset: u64, length: u64) -> String {
    format!(
        "PATCH /tus/{id} HTTP/1.1\r\nHost: figures\r\nX-API-Token: {TOKEN}\r\nTus-Resumable: 1.0.0\r\n\
         Upload-Offset: {offset}\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\n"
    )
}

pub fn get_request(id: &str) -> String {
    format!("GET /api/files/{id}/download HTTP/1.1\r\nHost: figures\r\nX-API-Token: {TOKEN}\r\n\r\n")
}

pub fn delete_request(id: &str) -> String {
    format!("DELETE /tus/{id} HTTP/1.1\r\nHost: figures\r\nX-API-Token: {TOKEN}\r\nTus-Resumable: 1.0.0\r\n\r\n")
}

/// The id at the end of `Location`.
pub fn id_of(created: &Head) -> Result<String> {
    let location = created.field("location").context("no Location")?;
    let id = location.rsplit('/').next().unwrap_or_default();
    ensure!(id.len() == 32, "no id in {location}");
    Ok(id.to_owned())
}

/// Creates and fills one file, a PATCH after the other; its id.
pub fn upload(settings: &Settings, addr: SocketAddr, pattern: &Pattern, file: usize) -> Result<String> {
    let mut connection = Connection::open(addr)?;
    let created = connection.call(&create_request(&format!("file-{file}"), settings.file_bytes))?;
    let id = id_of(&created.expect(201)?)?;
    let mut offset = 0;
    while offset < settings.file_bytes {
        let length = settings.patch_bytes.min(settings.file_bytes - offset);
        connection.send(patch_head(&id, offset, length).as_bytes())?;
        connection.send_body(pattern, file, offset, length)?;
        connection.head()?.expect(204)?;
        offset += length;
    }
    Ok(id)
}

/// Metadata values travel in base64.
fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
