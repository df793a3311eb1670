//! `et server start|data|control|config`: composes the planes of a node and does nothing else. What looks at a node from
//! outside is beside it: `reload.rs`, `user.rs`, `verify.rs`, `doctor/`.
//!
//! Order at start, and what breaks if a line moves: configuration → log → control plane (the data plane's first question
//! must find it) → data plane → `listening on …` (a reader of that line may connect at once). At the end the data plane
//! goes first: its last facts still find the control plane.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use clap::{ArgAction, Args, Subcommand};
use etransfer_controlplane::audit;
use etransfer_controlplane::config::{Config, Loaded, Sources};
use etransfer_controlplane::core as words;
use etransfer_controlplane::machine::devices;
use etransfer_controlplane::{Running, start as start_control};
use etransfer_dataplane::config as data;
use etransfer_dataplane::{Node, Opened, StartError, open as open_data};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use super::audit_file::AuditFile;
use crate::command::{doctor, import, plant, reload, user, verify};

/// Run a storage node, or reload its configuration.
#[derive(Debug, Args)]
pub struct ServerArgs {
    #[command(subcommand)]
    command: ServerCommand,
}

#[derive(Debug, Subcommand)]
enum ServerCommand {
    /// Run a whole node in one process
    #[command(disable_help_flag = true)]
    Start(NodeArgs),
    /// Run the half that moves bytes; needs a `control` with the same configuration
    #[command(disable_help_flag = true)]
    Data(NodeArgs),
    /// Run the half that decides
    #[command(disable_help_flag = true)]
    Control(NodeArgs),
    /// Read every stored byte of a stopped node and compare it with its recorded checksum
    #[command(disable_help_flag = true)]
    Verify(VerifyCommand),
    /// Take over the files of a server of the original Python releases, into a stopped node
    #[command(disable_help_flag = true)]
    Import(ImportCommand),
    /// Fill the storage of a stopped node with many small files, to measure a large store
    #[command(hide = true, disable_help_flag = true)]
    Plant(PlantCommand),
    /// Look at this machine: what keeps it from line rate, and the command that fixes each thing
    #[command(disable_help_flag = true)]
    Doctor(DoctorArgs),
    /// Make a running server read its configuration file again
    Reload(reload::ReloadArgs),
    /// Accounts of the CloudBackend surface of a running node
    User(user::UserArgs),
    /// Print the configuration in force, each value with its source
    #[command(disable_help_flag = true)]
    Config(ConfigArgs),
}

/// Flags override the environment and the file only when given.
#[derive(Debug, Args)]
struct NodeArgs {
    /// Address to listen on; several with commas
    #[arg(long, short = 'h', value_name = "IP")]
    host: Option<String>,
    /// Port; 0 takes a free one
    #[arg(long, short, value_name = "PORT")]
    port: Option<String>,
    /// Cores to use; 1 means all
    #[arg(long, short, value_name = "N")]
    workers: Option<String>,
    /// Storage directory
    #[arg(long, value_name = "DIRECTORY")]
    storage: Option<String>,
    /// Catalogue: file, redis or memory
    #[arg(long, short, value_name = "BACKEND")]
    backend: Option<String>,
    /// Where Redis is, for the catalogue there; put a URL with a password into ETRANSFER_REDIS_URL instead
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// Configuration file
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

#[derive(Debug, Args)]
struct VerifyCommand {
    #[command(flatten)]
    node: NodeArgs,
    /// Move objects that the catalogue knows nothing of to the quarantine, where they wait for storage.quarantine
    #[arg(long)]
    quarantine_unclaimed: bool,
}

#[derive(Debug, Args)]
struct ImportCommand {
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    import: import::ImportArgs,
}

#[derive(Debug, Args)]
struct PlantCommand {
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    plant: plant::PlantArgs,
}

#[derive(Debug, Args)]
struct DoctorArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Print JSON, one finding per line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ConfigArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Print the sample: every key with its default and its explanation; the default with --output
    #[arg(long, conflicts_with = "effective")]
    sample: bool,
    /// Print the values in force, and where each comes from, with secrets masked; the default without --output
    #[arg(long)]
    effective: bool,
    /// Write to this file instead of stdout: the sample, or with --effective the values in force
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs one of them to its end.
pub fn run(args: &ServerArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        ServerCommand::Start(node) => serve(node, true, true),
        ServerCommand::Data(node) => serve(node, false, true),
        ServerCommand::Control(node) => serve(node, true, false),
        ServerCommand::Verify(args) => {
            let loaded = args.node.load(&args.node.sources())?;
            return verify::run(&loaded.config, args.quarantine_unclaimed);
        }
        ServerCommand::Import(args) => {
            let loaded = args.node.load(&args.node.sources())?;
            return import::run(&loaded.config, &args.import);
        }
        ServerCommand::Plant(args) => {
            let loaded = args.node.load(&args.node.sources())?;
            return plant::run(&loaded.config, &args.plant);
        }
        ServerCommand::Doctor(args) => {
            let loaded = args.node.load(&args.node.sources())?;
            return doctor::run(&loaded.config, args.json);
        }
        ServerCommand::Reload(args) => reload::run(args),
        ServerCommand::User(args) => user::run(args),
        ServerCommand::Config(args) => print_config(args),
    }
    .map(|()| ExitCode::SUCCESS)
}

fn serve(args: &NodeArgs, control: bool, data: bool) -> anyhow::Result<()> {
    let sources = args.sources();
    let loaded = args.load(&sources)?;
    let audit_file = start_log(&loaded.config)?;
    check_clock(std::time::SystemTime::now())?;
    tell_oddities(&sources, &loaded);
    raise_open_files();
    let config = Arc::new(loaded.config);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the signal loop")?;
    // Before anything runs: a signal in between must not end the process the rough way.
    let mut signals = runtime.block_on(async { Signals::new() }).context("listen for signals")?;
    let opening = data.then(|| open_data_plane(&runtime, &config)).transpose().context("start the data plane")?;
    let control =
        control.then(|| start_control(Arc::clone(&config), sources)).transpose().context("start the control plane");
    // Waited for in any case: nothing is left half-way by the end of this process.
    let opened = opening.map(|thread| thread.join().expect("the store opens or says why not")).transpose();
    let control = control?;
    let data = opened.and_then(|opened| opened.map(Opened::start).transpose()).context("start the data plane")?;
    if let Some(node) = &data {
        tell_addresses(node, &config)?;
    }
    runtime.block_on(async {
        while signals.next().await == Heard::HangUp {
            // The control plane hears it too, and reads its configuration again.
            audit_file.iter().for_each(AuditFile::reopen);
        }
    });
    tracing::info!("stopping; a second signal ends it at once");
    // A thread waits for the planes; this one for the operator's second signal.
    let ending = std::thread::spawn(move || stop(data, control));
    runtime.block_on(async {
        tokio::select! {
            () = signals.end() => {
                tracing::warn!("ended at once; what was acknowledged is safe");
                std::process::exit(0);
            }
            ended = tokio::task::spawn_blocking(move || ending.join()) => match ended {
                Ok(Ok(ended)) => ended,
                Ok(Err(_)) | Err(_) => anyhow::bail!("a plane ended by a panic"),
            },
        }
    })
}

/// As many descriptors as this process may have: the soft limit is for programs that use `select`.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::warn!(%error, ?limit, "the limit of open files stays as it is");
    }
}

/// The data plane first: the facts it still has are for the control plane.
fn stop(data: Option<Node>, control: Option<Running>) -> anyhow::Result<()> {
    let ended = data.map_or(Ok(()), |node| {
        node.stop();
        node.join().context("end the data plane")
    });
    if let Some(control) = control {
        control.stop();
        control.join();
    }
    ended
}

/// On stdout, one line per address: from here on connections are accepted. Those of one surface alone come last, and name it.
fn tell_addresses(node: &Node, config: &Config) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for address in node.addresses() {
        writeln!(out, "listening on http://{address}")?;
    }
    for ((surface, _), address) in config.surfaces.own_listeners().into_iter().zip(node.separate()) {
        tracing::info!(surface = surface.name(), %address, "listening");
        writeln!(out, "listening on http://{address} for {}", surface.name())?;
    }
    out.flush()?;
    Ok(())
}

/// Text for people, and the audit log as JSON lines: in a file of its own, or between the text.
fn start_log(config: &Config) -> anyhow::Result<Option<AuditFile>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(config.log_level.word()));
    let colours = std::env::var_os("NO_COLOR").is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
    let is_audit = filter_fn(|event| event.target() == audit::TARGET);
    let text = fmt::layer().with_ansi(colours).with_writer(std::io::stderr).with_filter(filter);
    let lines = fmt::layer().json().flatten_event(true).with_ansi(false);
    let audit_file = config.audit_log.as_deref().map(AuditFile::open).transpose()?;
    let lines = match audit_file.clone() {
        Some(file) => lines.with_writer(file).with_filter(is_audit.clone()).boxed(),
        None => lines.with_writer(std::io::stderr).with_filter(is_audit.clone()).boxed(),
    };
    // A second call (none is made) would keep the first subscriber: nothing to do about it.
    let _ = tracing_subscriber::registry().with(lines).with(text.with_filter(is_audit.not())).try_init();
    Ok(audit_file)
}

fn tell_oddities(sources: &Sources, loaded: &Loaded) {
    match &sources.file {
        Some(file) => tracing::info!(file = %file.display(), "configuration read"),
        None => tracing::info!("no configuration file; defaults, environment and flags"),
    }
    if let Some(missing) = &sources.missing {
        tracing::warn!(file = %missing.display(), "ETRANSFER_CONFIG names a file that does not exist");
    }
    for key in &loaded.unknown {
        tracing::warn!(key, "unknown key, ignored");
    }
    for (name, key) in loaded.originals() {
        tracing::info!(name, key, "set by the name the original program knows it by");
    }
    for shown in loaded.without_effect() {
        tracing::warn!(key = shown.path.as_str(), source = %shown.source, "this key has no effect");
    }
}

fn print_config(args: &ConfigArgs) -> anyhow::Result<()> {
    let is_sample = args.sample || (args.output.is_some() && !args.effective);
    let text = if is_sample {
        etransfer_controlplane::config::EXAMPLE.to_owned()
    } else {
        args.node.load(&args.node.sources())?.to_yaml()
    };
    match &args.output {
        Some(path) => std::fs::write(path, text).with_context(|| format!("write {}", path.display())),
        None => Ok(std::io::stdout().lock().write_all(text.as_bytes())?),
    }
}

impl NodeArgs {
    fn sources(&self) -> Sources {
        let given = [
            ("server.host", "--host", &self.host),
            ("server.port", "--port", &self.port),
            ("server.workers", "--workers", &self.workers),
            ("storage.path", "--storage", &self.storage),
            ("state.backend", "--backend", &self.backend),
            ("state.redis_url", "--redis", &self.redis),
        ];
        let flags: BTreeMap<_, _> =
            given.into_iter().filter_map(|(key, flag, text)| Some((key, (flag, text.clone()?)))).collect();
        etransfer_controlplane::surface::sources(self.config.as_deref(), flags)
    }

    fn load(&self, sources: &Sources) -> anyhow::Result<Loaded> {
        sources.read().and_then(Loaded::checked).context("configuration")
    }
}

/// The store is opened beside the catalogue: both take their time when there are many objects.
fn open_data_plane(
    runtime: &tokio::runtime::Runtime,
    config: &Config,
) -> anyhow::Result<JoinHandle<Result<Opened, StartError>>> {
    let devices = if config.nics.bind_device {
        let addresses: Vec<_> = config.server.hosts.iter().map(|host| host.0).collect();
        runtime.block_on(devices::holding(&addresses))?
    } else {
        BTreeMap::new()
    };
    let config = data_config(config, devices);
    Ok(std::thread::Builder::new().name("store".into()).spawn(move || open_data(config))?)
}

/// What the data plane is told of the one configuration.
fn data_config(config: &Config, devices: BTreeMap<IpAddr, String>) -> data::Config {
    data::Config {
        addresses: config.addresses(),
        separate: config.surfaces.own_listeners().into_iter().map(|(_, address)| address).collect(),
        devices,
        // 0 and 1 mean all of them (easytransfer/CONTRACT.md §10): one process uses all cores.
        cores: Some(config.server.workers).filter(|workers| *workers > 1),
        storage: config.storage_path(),
        control_socket: config.line_socket(),
        proxies: config.server.trusted_proxies.iter().map(words::Network::parts).collect(),
        durability: match config.storage.durability {
            words::Durability::None => data::Durability::None,
            words::Durability::Complete => data::Durability::Complete,
            words::Durability::Every => data::Durability::Every,
        },
        write_mode: match config.storage.write_mode {
            words::WriteMode::Auto => data::WriteMode::Auto,
            words::WriteMode::Direct => data::WriteMode::Direct,
            words::WriteMode::Buffered => data::WriteMode::Buffered,
        },
        serve_damaged: config.storage.serve_damaged,
        quarantine: Some(config.storage.quarantine).filter(|age| !age.is_zero()),
        engine: match config.server.engine {
            words::Engine::Auto => data::EngineChoice::Auto,
            words::Engine::Ring => data::EngineChoice::Ring,
            words::Engine::Readiness => data::EngineChoice::Readiness,
        },
        grace: config.server.grace,
        limits: data::Limits {
            connections_max: config.limits.connections,
            head_timeout: config.limits.head_timeout,
            keep_alive_timeout: config.limits.keep_alive_timeout,
            body_idle_timeout: config.limits.body_idle_timeout,
            body_rate_min: config.limits.body_rate_min.0,
            answer_timeout: config.limits.answer_timeout,
            peer_timeout: config.limits.peer_timeout,
            stalled_readers_max: config.limits.stalled_readers,
            connections_per_source_max: config.limits.connections_per_address,
            undecided_bytes_max: usize::try_from(config.limits.undecided_memory.0).unwrap_or(usize::MAX),
        },
    }
}

/// Times are Unix milliseconds in every record, token and link: before 1970 there are none.
fn check_clock(now: std::time::SystemTime) -> anyhow::Result<()> {
    if let Err(error) = now.duration_since(std::time::UNIX_EPOCH) {
        let before_s = error.duration().as_secs();
        anyhow::bail!("the clock of this machine stands {before_s} s before 1970; set it, then start again");
    }
    Ok(())
}

/// What a signal asks for.
#[derive(PartialEq, Eq)]
enum Heard {
    /// SIGHUP: read the configuration and open the files again.
    HangUp,
    /// SIGTERM or Ctrl-C.
    End,
}

/// SIGTERM, Ctrl-C and SIGHUP.
struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
    /// Heard so that it does not end the process: what passes the limit of a file's size is 507 for its client, no more.
    _file_size: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let file_size = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_size: signal(file_size)?,
        })
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.hang_up.recv() => Heard::HangUp,
            _ = self.terminate.recv() => Heard::End,
            _ = self.interrupt.recv() => Heard::End,
        }
    }

    async fn end(&mut self) {
        while self.next().await == Heard::HangUp {}
    }
}
