//! `et server reload`: a running server takes up its configuration file again (easytransfer/CONTRACT.md §7, §11.1).
//!
//! ```text
//! address: argument > server.host and server.port of the configuration > saved
//! token:   option > ETRANSFER_TOKEN > first of auth.tokens of the configuration > saved for that address
//! ```
//!
//! The configuration is the one `et server start` would find here; it is read only when address or token are missing,
//! so a broken file does not keep the server from saying what is wrong with it.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use etransfer_client::{Address, Client, Reloaded, Secret};
use etransfer_controlplane::config::{Loaded, Source};

use crate::args::OutputArgs;
use crate::exit::CliError;
use crate::home::Home;
use crate::printer::Printer;
use crate::{human, remote};

/// Arguments.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Server, HOST:PORT or http://…; instead of the one in the configuration file, or the saved one
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,
    /// Token; `-` reads it from stdin; instead of the first in the configuration file, or the saved one
    #[arg(long, short, env = "ETRANSFER_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<Secret>,
    /// Configuration file of the server, to find address and token in
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Tells what changed; exit 1 for every reason not to reload.
pub fn run(args: &ReloadArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    let (server, token) = choose(args, printer)?;
    let client = Client::new(server.clone(), Some(token.expose()));
    let reloaded =
        client.reload_config().map_err(|source| CliError::NotReloaded { server: server.to_string(), source })?;
    if printer.is_json() {
        return Ok(printer.json(&reloaded)?);
    }
    for line in lines(&server, &reloaded) {
        printer.data(human::visible(&line))?;
    }
    if let Some(note) = &reloaded.note {
        printer.note(human::visible(note));
    }
    Ok(())
}

fn choose(args: &ReloadArgs, printer: Printer) -> anyhow::Result<(Address, Secret)> {
    let home = Home::of_user();
    let saved = home.saved()?;
    let given = remote::given_token(args.token.as_ref())?;
    let configuration = match (&args.address, &given) {
        (Some(_), Some(_)) => None,
        _ => Some(
            etransfer_controlplane::surface::sources(args.config.as_deref(), Default::default())
                .read()
                .context("configuration")?,
        ),
    };
    let server = match &args.address {
        Some(address) => address.parse()?,
        None => match configuration.as_ref().and_then(configured_address) {
            Some(address) => address.parse()?,
            None => remote::server(None, &saved)?,
        },
    };
    let configured = || configuration.as_ref().and_then(configured_token);
    let token = given.or_else(configured).or_else(|| remote::own_token(&saved, &home, &server, printer));
    let token = token.ok_or_else(|| CliError::NoTokenToReload { server: server.to_string() })?;
    Ok((server, token))
}

/// Where the configured server is reached from this machine; `None` when the configuration says neither host nor port,
/// or leaves the port to the system.
fn configured_address(loaded: &Loaded) -> Option<String> {
    let is_said = |path: &str| loaded.shown.iter().any(|shown| shown.path == path && shown.source != Source::Default);
    if !is_said("server.host") && !is_said("server.port") {
        return None;
    }
    let mut address = loaded.config.addresses().into_iter().next().filter(|address| address.port() != 0)?;
    match address.ip() {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(std::net::Ipv4Addr::LOCALHOST.into()),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
        std::net::IpAddr::V4(_) | std::net::IpAddr::V6(_) => {}
    }
    Some(address.to_string())
}

fn configured_token(loaded: &Loaded) -> Option<Secret> {
    loaded.config.auth.tokens.first().map(|token| Secret::new(token.expose()))
}

fn lines(server: &Address, reloaded: &Reloaded) -> Vec<String> {
    if !reloaded.reloaded {
        return vec![format!("No changes at {server}")];
    }
    let change =
        |(field, change): (&String, &etransfer_client::Change)| format!("{field}: {} → {}", change.old, change.new);
    std::iter::once(format!("Reloaded {server}")).chain(reloaded.changes.iter().map(change)).collect()
}

#[cfg(test)]
mod tests {
    use etransfer_controlplane::config::{Layers, from_layers, parse_yaml};

    use super::*;

    fn loaded(yaml: &str) -> Loaded {
        let file = Some(("config.yaml".into(), parse_yaml(yaml).unwrap()));
        from_layers(Layers { file, ..Layers::all() }).unwrap()
    }

    #[test]
    fn section_11_1_the_configuration_tells_the_address_when_it_names_one() {
        for (yaml, expected) in [
            ("server: {host: 0.0.0.0, port: 9000}", Some("127.0.0.1:9000")),
            ("server: {host: \"::\", port: 9000}", Some("[::1]:9000")),
            ("server: {host: 192.0.2.7}", Some("192.0.2.7:8765")),
            ("server: {host: \"192.0.2.7,192.0.2.8\", port: 1}", Some("192.0.2.7:1")),
            ("server: {port: 9000}", Some("127.0.0.1:9000")),
            ("server: {port: 0}", None),
            ("auth: {tokens: [a]}", None),
            ("", None),
        ] {
            assert_eq!(configured_address(&loaded(yaml)).as_deref(), expected, "{yaml}");
        }
    }

    #[test]
    fn section_11_1_the_first_token_of_the_configuration_counts() {
        assert_eq!(configured_token(&loaded("auth: {tokens: [one, two]}")), Some(Secret::new("one")));
        assert_eq!(configured_token(&loaded("auth: {tokens: []}")), None);
    }
}
