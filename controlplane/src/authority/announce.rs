//! Telling the first token: on standard output once (the log goes elsewhere), and to the `et` of the same user on this machine.
//!
//! `~/.etransfer/local.json` maps loopback addresses to tokens: `{"127.0.0.1:8765": "…", "localhost:8765": "…"}`, 0600.
//! It names only addresses the listener serves. Entries of other nodes are left alone; entries of these addresses are
//! removed when this node has no token of its own, so that `et` never presents a stale one.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use etransfer_disk::Os;
use tokio::sync::OnceCell;

use super::first_token::FirstToken;
use crate::private_file::write_private;

/// What is to be told, and whether it was.
#[derive(Debug)]
pub struct Announcement {
    token: Option<FirstToken>,
    told: OnceCell<()>,
}

impl Announcement {
    /// Tells `token`, or that there is none.
    pub fn of(token: Option<FirstToken>) -> Self {
        Self { token, told: OnceCell::new() }
    }

    /// Announces nothing.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { token: None, told: OnceCell::new_with(Some(())) }
    }

    /// Tells once, as soon as it is known where the node listens.
    pub async fn tell(&self, addresses: &[String]) {
        let bound: Vec<SocketAddr> = addresses.iter().filter_map(|text| text.parse().ok()).collect();
        if bound.is_empty() {
            return;
        }
        self.told
            .get_or_init(|| async {
                let token = self.token.clone();
                let told = tokio::task::spawn_blocking(move || announce(&bound, token.as_ref())).await;
                if let Err(error) = told {
                    tracing::error!(%error, "tell the token");
                }
            })
            .await;
    }
}

fn announce(bound: &[SocketAddr], token: Option<&FirstToken>) {
    let local = loopback_names(bound);
    if let Some(home) = std::env::home_dir()
        && let Err(error) = write_local(&home.join(".etransfer"), &local, token)
    {
        tracing::warn!(%error, "tell et on this machine the token");
    }
    if let Some(token) = token.filter(|token| token.is_new) {
        let text = words(token, bound, &local);
        // No terminal reads any more: the token stays in its file.
        let _ = io::stdout().lock().write_all(text.as_bytes());
    }
}

/// Printed on standard output, not logged: logs are kept and read by others.
fn words(token: &FirstToken, bound: &[SocketAddr], local: &[String]) -> String {
    let (path, shown) = (token.path.display(), token.token.expose());
    // Not as an argument: a pasted argument is visible to every user of that machine.
    let head = format!("\n  This node made itself a token. It is shown once, and kept in {path}\n\n      {shown}\n\n");
    let port = bound.first().map_or(8765, SocketAddr::port);
    match (local.first(), bound.first()) {
        (Some(here), _) => format!(
            "{head}  On this machine:   et setup {here}\n  Elsewhere:         et setup HOST:{port} --token -     (asks for it on standard input)\n\n"
        ),
        (None, Some(here)) => format!("{head}  et setup {here} --token -     (asks for it on standard input)\n\n"),
        (None, None) => head,
    }
}

/// The loopback names under which one of `bound` answers.
fn loopback_names(bound: &[SocketAddr]) -> Vec<String> {
    let mut names = Vec::new();
    for address in bound {
        let (ip, port) = (address.ip(), address.port());
        let any = ip.is_unspecified();
        if ip.is_loopback() && ip.is_ipv4() {
            names.push(format!("{ip}:{port}"));
        } else if any {
            names.push(format!("127.0.0.1:{port}"));
        }
        if ip.is_ipv6() && (any || ip.is_loopback()) {
            names.push(format!("[::1]:{port}"));
        }
        if any || ip.is_loopback() {
            names.push(format!("localhost:{port}"));
        }
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn write_local(directory: &Path, names: &[String], token: Option<&FirstToken>) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let path = directory.join("local.json");
    let mut entries: BTreeMap<String, String> = match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).unwrap_or_default(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error),
    };
    let before = entries.clone();
    for name in names {
        match token {
            Some(token) => entries.insert(name.clone(), token.token.expose().to_owned()),
            None => entries.remove(name),
        };
    }
    if entries == before {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let text = serde_json::to_vec_pretty(&entries).expect("a map of strings is always JSON");
    write_private(&Os, &path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Secret;

    #[test]
    fn only_loopback_names_the_listener_serves_are_told() {
        let names = |addresses: &[&str]| {
            let bound: Vec<SocketAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            loopback_names(&bound)
        };
        assert_eq!(names(&["0.0.0.0:8765"]), ["127.0.0.1:8765", "localhost:8765"]);
        assert_eq!(names(&["[::]:1"]), ["127.0.0.1:1", "[::1]:1", "localhost:1"]);
        assert_eq!(names(&["[::1]:1"]), ["[::1]:1", "localhost:1"]);
        assert_eq!(names(&["127.0.0.1:1", "127.0.0.2:1"]), ["127.0.0.1:1", "localhost:1", "127.0.0.2:1"]);
        assert!(names(&["192.0.2.1:1"]).is_empty());
    }

    #[test]
    fn section_1_3_other_nodes_entries_stay_and_stale_ones_go() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join(".etransfer");
        let token = FirstToken { token: Secret::new("abc"), is_new: true, path: "x".into() };
        write_local(&directory, &["127.0.0.1:1".into()], Some(&token)).unwrap();
        write_local(&directory, &["127.0.0.1:2".into()], Some(&token)).unwrap();
        let read = || std::fs::read_to_string(directory.join("local.json")).unwrap();
        let entries: BTreeMap<String, String> = serde_json::from_str(&read()).unwrap();
        assert_eq!(entries.keys().collect::<Vec<_>>(), ["127.0.0.1:1", "127.0.0.1:2"]);
        write_local(&directory, &["127.0.0.1:1".into()], None).unwrap();
        assert!(!read().contains("127.0.0.1:1") && read().contains("127.0.0.1:2"));
    }
}
