//! The one typed tree of settings, for both planes; read once, checked once, then immutable.
//!
//! [`Config::read`] is the list of all keys: path in the file, field name, default. `config.example.yaml` is tested
//! against it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::surfaces::{Section, Surfaces};
use crate::bounds;
use crate::core::setting::{Anything, Hours, Password, Secret, Size};
use crate::core::{
    Durability, Engine, Host, LogLevel, Network, OnceMode, PeopleBackend, Policy, StateBackend, TokenPolicy, UserCheck,
    WriteMode,
};
use crate::quota::RoleQuotas;

/// Everything an operator can say.
#[derive(Debug, Clone)]
pub struct Config {
    /// Addresses, cores, the engine.
    pub server: Server,
    /// Where bytes live and how they get there.
    pub storage: Storage,
    /// Where the catalogue lives.
    pub state: StateBackend,
    /// Where Redis is, should the catalogue live there.
    pub redis_url: Secret,
    /// Who may come in.
    pub auth: Auth,
    /// People, their groups and how they sign in.
    pub user_system: UserSystem,
    /// How long files live.
    pub retention: Retention,
    /// Incomplete uploads.
    pub uploads: Uploads,
    /// `tus.parallel_writes`: the table of easytransfer/CONTRACT.md §2.4.
    pub parallel_writes: bool,
    /// `quota.reject_impossible`: 413 at creation for what can never fit the node.
    pub reject_impossible: bool,
    /// `quota.user_check`: when a person's limit is looked at (easytransfer/CONTRACT.md §4, §17.8).
    pub user_check: UserCheck,
    /// `cors.origins`; `*` echoes the origin of the request.
    pub cors_origins: Vec<String>,
    /// Which interfaces there are for clients.
    pub nics: Nics,
    /// Server-side downloads at once; told in `/api/info`, there are none yet.
    pub max_concurrent_tasks: usize,
    /// Bounds of the data plane.
    pub limits: Limits,
    /// `logging.level`.
    pub log_level: LogLevel,
    /// `logging.audit`: who did what, as JSON lines; `None` = into the log.
    pub audit_log: Option<PathBuf>,
    /// The other HTTP dialects (SURFACES.md).
    pub surfaces: Surfaces,
}

/// `server.*`
#[derive(Debug, Clone)]
pub struct Server {
    /// Addresses to listen on.
    pub hosts: Vec<Host>,
    /// Port on each of them; 0 = any free one.
    pub port: u16,
    /// Cores to use; 0 and 1 = all.
    pub workers: usize,
    /// How bytes are moved.
    pub engine: Engine,
    /// The Unix socket between the planes; `None` = below the storage directory.
    pub line_socket: Option<PathBuf>,
    /// How long running bodies may take to end after SIGTERM.
    pub grace: Duration,
    /// What every `Location` and link of every surface begins with, a proxy's prefix included.
    pub public_url: Option<String>,
    /// Names in `Host` that are the node's, beside its addresses, localhost and the public URL's; asked on a loopback
    /// listener of a node without credentials.
    pub allowed_hosts: Vec<String>,
    /// Peers whose `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Largest single file.
    pub max_upload_size: Option<Size>,
    /// The chunk size that is reported to clients; storage does not care.
    pub chunk_size: Size,
    /// Whether the file is looked at for changes, and how often (easytransfer/CONTRACT.md §9.6).
    pub config_watch: bool,
    /// See there; not hot.
    pub config_watch_interval: Duration,
}

/// `storage.*`
#[derive(Debug, Clone)]
pub struct Storage {
    /// The storage directory.
    pub path: PathBuf,
    /// Most bytes stored on this node.
    pub max_storage_size: Option<Size>,
    /// When acknowledged bytes are synced.
    pub durability: Durability,
    /// Which door bytes take to the disk.
    pub write_mode: WriteMode,
    /// A damaged store is served read-only instead of not at all (PROMISES.md P18).
    pub serve_damaged: bool,
    /// How long a file that no record names waits in `quarantine/` before it is unlinked; zero: for good.
    pub quarantine: Duration,
}

/// `auth.*`
#[derive(Debug, Clone)]
pub struct Auth {
    /// `false` opens every path to everybody.
    pub enabled: bool,
    /// Static tokens.
    pub tokens: Vec<Secret>,
    /// Those of them that may administer people (easytransfer/CONTRACT.md §6.3).
    pub admin_tokens: Vec<Secret>,
    /// The time wrong credentials are counted over.
    pub failure_window: Duration,
    /// Wrong ones of one address in it, on all routes of all dialects; 0 = any number.
    pub failures_per_address: u64,
    /// Wrong passwords of one device in it; 0 = any number.
    pub failures_per_principal: u64,
}

/// `user_system.*` (easytransfer/CONTRACT.md §6)
#[derive(Debug, Clone)]
pub struct UserSystem {
    /// `false`: its routes do not exist.
    pub enabled: bool,
    /// The provider people sign in with.
    pub oidc: Oidc,
    /// Where people are kept.
    pub database: Database,
    /// Limits by role.
    pub role_quotas: RoleQuotas,
}

/// `user_system.oidc.*`; an empty text means that it is not set.
#[derive(Debug, Clone)]
pub struct Oidc {
    /// Where the provider's discovery document is found.
    pub issuer_url: String,
    /// This node at the provider.
    pub client_id: String,
    /// Its password there.
    pub client_secret: Password,
    /// Public URL of the callback, or the origin alone.
    pub callback_url: String,
    /// Scopes asked for.
    pub scope: String,
    /// Where browsers sign in, at a provider without a discovery document; with it, and with the next two, none is asked.
    pub authorize_url: String,
    /// Where a code becomes a token there.
    pub token_url: String,
    /// Where a token becomes a person there.
    pub userinfo_url: String,
}

/// `user_system.database.*`
#[derive(Debug, Clone)]
pub struct Database {
    /// Which kind.
    pub backend: PeopleBackend,
    /// The SQLite file; `None` = `users.db` in the storage directory.
    pub path: Option<PathBuf>,
    /// Host of MySQL or PostgreSQL.
    pub host: String,
    /// Its port; `None` = the usual one.
    pub port: Option<u16>,
    /// Who signs in there.
    pub user: String,
    /// With what.
    pub password: Password,
    /// The database's name.
    pub name: String,
}

/// How many failures there may be; 0 = any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Of one address.
    pub per_address: u64,
    /// At one device or account.
    pub per_principal: u64,
    /// Within this time.
    pub window: Duration,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            per_address: bounds::FAILURES_PER_ADDRESS,
            per_principal: bounds::FAILURES_PER_PRINCIPAL,
            window: bounds::FAILURE_WINDOW,
        }
    }
}

impl Auth {
    /// How many wrong credentials there may be.
    pub fn failures(&self) -> Limit {
        Limit {
            per_address: self.failures_per_address,
            per_principal: self.failures_per_principal,
            window: self.failure_window,
        }
    }
}

/// `retention.*`
#[derive(Debug, Clone)]
pub struct Retention {
    /// For uploads that do not say.
    pub default: Policy,
    /// Seconds for `ttl` uploads that do not say.
    pub default_ttl: Option<u64>,
    /// Defaults per static token.
    pub token_policies: BTreeMap<Secret, TokenPolicy>,
    /// Whether people without administrator's rights may keep files forever (easytransfer/CONTRACT.md §8.6).
    pub allow_permanent: bool,
    /// What a second receiver of a whole `download_once` file meets (easytransfer/CONTRACT.md §17.6).
    pub once_mode: OnceMode,
    /// How often the sweep runs.
    pub cleanup_interval: Duration,
}

/// `uploads.*`
#[derive(Debug, Clone)]
pub struct Uploads {
    /// An incomplete upload lives this long after its last accepted byte.
    pub expiration: Duration,
    /// An expired upload answers 410 for this long, then 404.
    pub tombstone: Duration,
    /// Most incomplete uploads at once; beyond it creation is 429.
    pub open_max: usize,
    /// Most of them from one user, static token or address; 0: any number.
    pub open_per_principal: usize,
    /// Most uploads and files of one user, static token or address; 0: any number.
    pub records_per_principal: usize,
}

/// `network.*` (easytransfer/CONTRACT.md §5.3)
#[derive(Debug, Clone)]
pub struct Nics {
    /// What clients are told, as given; empty = the addresses that are served.
    pub advertised_endpoints: Vec<String>,
    /// The only interfaces that count, loopback among them when it is named; empty = every one but loopback.
    pub interfaces: Vec<String>,
    /// `false`: an interface without an IPv4 address is told by its IPv6 address.
    pub prefer_ipv4: bool,
    /// Listeners are bound to the device of their address, so that answers leave by it.
    pub bind_device: bool,
    /// Mbit/s by interface name, instead of what the driver says.
    pub speed_mbps: BTreeMap<String, u64>,
}

/// `limits.*` (PROMISES.md §4, P16)
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open client connections over all cores.
    pub connections: usize,
    /// A head must be complete this long after its first byte.
    pub head_timeout: Duration,
    /// An idle keep-alive connection is closed after this.
    pub keep_alive_timeout: Duration,
    /// A body without a byte for this long is cut.
    pub body_idle_timeout: Duration,
    /// A body slower than this over that time is cut, bytes per second.
    pub body_rate_min: Size,
    /// An answer of which its client takes less than `body_rate_min` for this long is cut.
    pub answer_timeout: Duration,
    /// A client that acknowledges nothing of what is on its way for this long is dead.
    pub peer_timeout: Duration,
    /// Clients that take their answers too slowly; beyond it the one that stalled first is cut.
    pub stalled_readers: usize,
    /// Open connections from one address or one /64 of IPv6.
    pub connections_per_address: usize,
    /// Requests under way with one credential.
    pub transfers_per_credential: usize,
    /// Memory for requests that are not decided yet.
    pub undecided_memory: Size,
}

impl Config {
    /// Asks for every key there is.
    pub(super) fn read(r: &mut Reader) -> Self {
        let config = Self {
            server: Server::read(r),
            storage: Storage {
                path: r.get("storage.path", "storage_path", "./storage".into()),
                max_storage_size: r.get("storage.max_storage_size", "max_storage_size", None),
                durability: r.get("storage.durability", "durability", Durability::Complete),
                write_mode: r.get("storage.write_mode", "write_mode", WriteMode::Auto),
                serve_damaged: r.get("storage.serve_damaged", "serve_damaged", false),
                quarantine: r.get("storage.quarantine", "storage_quarantine", Duration::from_secs(7 * 86_400)),
            },
            state: r.get("state.backend", "state_backend", StateBackend::File),
            redis_url: r.get("state.redis_url", "redis_url", Secret::new("redis://localhost:6379/0")),
            auth: Auth {
                enabled: r.get("auth.enabled", "auth_enabled", true),
                tokens: r.get("auth.tokens", "auth_tokens", Vec::new()),
                admin_tokens: r.get("auth.admin_tokens", "auth_admin_tokens", Vec::new()),
                failure_window: r.get("auth.failure_window", "auth_failure_window", bounds::FAILURE_WINDOW),
                failures_per_address: r.get(
                    "auth.failures_per_address",
                    "auth_failures_per_address",
                    bounds::FAILURES_PER_ADDRESS,
                ),
                failures_per_principal: r.get(
                    "auth.failures_per_principal",
                    "auth_failures_per_principal",
                    bounds::FAILURES_PER_PRINCIPAL,
                ),
            },
            user_system: UserSystem::read(r),
            retention: Retention {
                default: r.get("retention.default", "default_retention", Policy::Permanent),
                default_ttl: r.get("retention.default_ttl", "default_retention_ttl", None),
                token_policies: r.get("retention.token_policies", "token_retention_policies", BTreeMap::new()),
                allow_permanent: r.get("retention.allow_permanent", "allow_permanent_retention", true),
                once_mode: r.get("retention.once_mode", "retention_once_mode", OnceMode::FirstComplete),
                cleanup_interval: r.get("cleanup_interval", "cleanup_interval", Duration::from_secs(3600)),
            },
            uploads: Uploads {
                expiration: r
                    .get("upload_expiration_hours", "upload_expiration_hours", Hours(Duration::from_secs(86_400)))
                    .0,
                tombstone: r.get("uploads.tombstone", "uploads_tombstone", Duration::from_secs(86_400)),
                open_max: r.get("uploads.open_max", "uploads_open_max", bounds::UPLOADS_OPEN_MAX),
                open_per_principal: r.get(
                    "uploads.open_per_principal",
                    "uploads_open_per_principal",
                    bounds::UPLOADS_OPEN_PER_PRINCIPAL,
                ),
                records_per_principal: r.get(
                    "uploads.records_per_principal",
                    "uploads_records_per_principal",
                    bounds::RECORDS_PER_PRINCIPAL,
                ),
            },
            parallel_writes: r.get("tus.parallel_writes", "tus_parallel_writes", true),
            reject_impossible: r.get("quota.reject_impossible", "quota_reject_impossible", false),
            user_check: r.get("quota.user_check", "quota_user_check", UserCheck::Patch),
            cors_origins: r.get("cors.origins", "cors_origins", vec!["*".to_owned()]),
            nics: Nics {
                advertised_endpoints: r.get("network.advertised_endpoints", "advertised_endpoints", Vec::new()),
                interfaces: r.get("network.interfaces", "interfaces", Vec::new()),
                prefer_ipv4: r.get("network.prefer_ipv4", "prefer_ipv4", true),
                bind_device: r.get("network.bind_device", "network_bind_device", false),
                speed_mbps: r.get("network.speed_mbps", "network_speed_mbps", BTreeMap::new()),
            },
            max_concurrent_tasks: r.get("tasks.max_concurrent", "max_concurrent_tasks", 50),
            limits: Limits::read(r),
            log_level: r.get("logging.level", "log_level", LogLevel::Info),
            audit_log: r.get("logging.audit", "audit_log", None),
            surfaces: Surfaces::read(r),
        };
        later(r);
        config
    }
}

impl Server {
    fn read(r: &mut Reader) -> Self {
        Self {
            hosts: r.get("server.host", "host", vec![Host::ANY]),
            port: r.get("server.port", "port", 8765),
            workers: r.get("server.workers", "workers", 1),
            engine: r.get("server.engine", "engine", Engine::Auto),
            line_socket: r.get("server.line_socket", "line_socket", None),
            grace: r.get("server.grace", "grace", Duration::from_secs(20)),
            public_url: r.get("server.public_url", "public_url", None),
            allowed_hosts: r.get("server.allowed_hosts", "allowed_hosts", Vec::new()),
            trusted_proxies: r.get("server.trusted_proxies", "trusted_proxies", Vec::new()),
            max_upload_size: r.get("server.max_upload_size", "max_upload_size", None),
            chunk_size: r.get("server.chunk_size", "chunk_size", Size(4 << 20)),
            config_watch: r.get("server.config_watch", "config_watch", false),
            config_watch_interval: r.get("server.config_watch_interval", "config_watch_interval", WATCH_INTERVAL),
        }
    }
}

impl Config {
    /// What is to be said about tokens that can be guessed, one line for each key; they work.
    pub fn weak_tokens(&self) -> Vec<String> {
        let of = |section: &dyn Section| {
            let (key, credentials) = section.plain_credentials()?;
            Some((format!("surfaces.{}.{key}", section.surface().name()), section.mount().enabled, credentials))
        };
        let mut lists = vec![("auth.tokens".to_owned(), self.auth.enabled, self.auth.tokens.clone())];
        lists.extend(self.surfaces.sections().filter_map(of));
        let is_weak = |token: &&Secret| token.expose().chars().count() < bounds::CREDENTIAL_CHARS_MIN;
        let told = lists.iter().filter(|(_, is_there, _)| *is_there).map(|(key, _, tokens)| {
            let weak = tokens.iter().filter(is_weak).count();
            (weak > 0).then(|| {
                format!(
                    "{weak} of {} tokens in {key} have fewer than {} characters and can be guessed; replace them by random \
                     ones",
                    tokens.len(),
                    bounds::CREDENTIAL_CHARS_MIN
                )
            })
        });
        told.flatten().collect()
    }
}

impl Server {
    /// Whether the `X-Forwarded-*` of this peer is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(peer))
    }
}

const WATCH_INTERVAL: Duration = Duration::from_secs(30);

impl UserSystem {
    fn read(r: &mut Reader) -> Self {
        let nothing = String::new;
        Self {
            enabled: r.get("user_system.enabled", "user_system_enabled", false),
            oidc: Oidc {
                issuer_url: r.get("user_system.oidc.issuer_url", "oidc_issuer_url", nothing()),
                client_id: r.get("user_system.oidc.client_id", "oidc_client_id", nothing()),
                client_secret: r.get("user_system.oidc.client_secret", "oidc_client_secret", Password::default()),
                callback_url: r.get("user_system.oidc.callback_url", "oidc_callback_url", nothing()),
                scope: r.get("user_system.oidc.scope", "oidc_scope", "openid profile email".to_owned()),
                authorize_url: r.get("user_system.oidc.authorize_url", "oidc_authorize_url", nothing()),
                token_url: r.get("user_system.oidc.token_url", "oidc_token_url", nothing()),
                userinfo_url: r.get("user_system.oidc.userinfo_url", "oidc_userinfo_url", nothing()),
            },
            database: Database {
                backend: r.get("user_system.database.backend", "user_db_backend", PeopleBackend::Sqlite),
                path: r.get("user_system.database.path", "user_db_path", None),
                host: r.get("user_system.database.mysql.host", "mysql_host", "127.0.0.1".to_owned()),
                port: r.get("user_system.database.mysql.port", "mysql_port", None),
                user: r.get("user_system.database.mysql.user", "mysql_user", "root".to_owned()),
                password: r.get("user_system.database.mysql.password", "mysql_password", Password::default()),
                name: r.get("user_system.database.mysql.database", "mysql_database", "etransfer".to_owned()),
            },
            role_quotas: r.get("user_system.role_quotas", "role_quotas", RoleQuotas::default()),
        }
    }
}

impl Limits {
    fn read(r: &mut Reader) -> Self {
        let seconds = Duration::from_secs;
        Self {
            connections: r.get("limits.connections", "limits_connections", 20_000),
            head_timeout: r.get("limits.head_timeout", "limits_head_timeout", seconds(10)),
            keep_alive_timeout: r.get("limits.keep_alive_timeout", "limits_keep_alive_timeout", seconds(75)),
            body_idle_timeout: r.get("limits.body_idle_timeout", "limits_body_idle_timeout", seconds(30)),
            body_rate_min: r.get("limits.body_rate_min", "limits_body_rate_min", Size(1024)),
            answer_timeout: r.get("limits.answer_timeout", "limits_answer_timeout", seconds(14_400)),
            peer_timeout: r.get("limits.peer_timeout", "limits_peer_timeout", seconds(120)),
            stalled_readers: r.get("limits.stalled_readers", "limits_stalled_readers", 1_000),
            connections_per_address: r.get("limits.connections_per_address", "limits_connections_per_address", 2_000),
            transfers_per_credential: r.get(
                "limits.transfers_per_credential",
                "limits_transfers_per_credential",
                2_000,
            ),
            undecided_memory: r.get("limits.undecided_memory", "limits_undecided_memory", Size(64 << 20)),
        }
    }
}

/// Keys of easytransfer/CONTRACT.md §9.3 that are read and shown, and that nothing obeys yet.
fn later(r: &mut Reader) {
    let nothing = || Anything(serde_json::Value::Null);
    r.later("state.redis_max_connections", "redis_max_connections", 512usize);
    r.later("state.redis_blocking_timeout", "redis_blocking_timeout", Duration::from_secs(10));
    r.later("user_system.oidc.provider", "oidc_provider", nothing());
    r.later("user_system.oidc.corp_id", "dingtalk_corp_id", nothing());
    r.later("sinks.presets", "sink_presets", None::<Secret>);
    r.later("google_api_key", "google_api_key", None::<Secret>);
}
