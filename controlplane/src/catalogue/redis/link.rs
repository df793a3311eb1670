//! The connection to Redis, and the few things that are said over it.
//!
//! Must stay true: every wait has a limit; a connection on which anything failed is dropped, so no late answer is ever
//! taken for another's; no text that leaves here holds more of the URL than host and port, or the socket's path.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use etransfer_contract::ObjectId;
use redis::{
    Client, Cmd, Connection, ErrorKind, InfoDict, IntoConnectionInfo, RedisError, Script, ScriptInvocation, cmd, pipe,
};

use super::super::codec::{self, Damaged};
use super::super::surface::Place;
use super::super::{Entry, Held, Records, WriteError};
use super::dirty_set::Batch;
use super::lease::{Found, WriterLease};
use super::marks::HighWaterMark;
use crate::bounds::{REDIS_ANSWER_WAIT, REDIS_CONNECT_WAIT};
use crate::core::Secret;

/// Entries of one request where many are read, or written again.
const PAGE: usize = 1000;
/// What was written beside the catalogue and never put into place goes by itself.
const BESIDE_LIFE_S: u32 = 3600;

/// `state.redis_url` cannot be used; the text never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Not one of the forms.
    #[error(
        "state.redis_url is not redis://[[user]:password@]host[:port][/database] or unix:///path[?db=N&user=U&pass=P]; \
         write special characters of a password as %XX"
    )]
    Form,
    /// `rediss://`
    #[error(
        "state.redis_url asks for TLS, which this build does not speak to Redis; use redis:// through a tunnel, or unix://"
    )]
    Tls,
}

/// Redis did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Fault {
    /// For the operator.
    pub reason: String,
    /// It has no memory left.
    pub is_full: bool,
    /// The connection was gone.
    pub is_dropped: bool,
}

/// The catalogue cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Redis does not answer, or refuses.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// An entry is damaged.
    #[error("the entry {entry} is damaged: {reason}")]
    Damaged {
        /// Its field.
        entry: String,
        /// How.
        reason: Damaged,
    },
    /// An entry has a name that says nothing here.
    #[error("the entry {0:?} was not written by a node of this version")]
    Stranger(String),
}

/// One server, and this node's keys on it.
pub struct Link {
    client: Client,
    connection: Option<Connection>,
    prefix: String,
}

static TAKE_OVER: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/take_over.lua")));
static WRITE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/write.lua")));
static REPLACE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/replace.lua")));

impl Link {
    /// For the node called `name`; connects when it is first used.
    pub fn new(url: &Secret, name: &str) -> Result<Self, BadUrl> {
        let text = url.expose();
        if text.starts_with("rediss:") || text.starts_with("valkeys:") {
            return Err(BadUrl::Tls);
        }
        // Everything after a # would be left out silently: most likely the rest of a password.
        if text.contains('#') {
            return Err(BadUrl::Form);
        }
        let info = text.into_connection_info().map_err(|_| BadUrl::Form)?;
        let client = Client::open(info).map_err(|_| BadUrl::Form)?;
        Ok(Self { client, connection: None, prefix: format!("etransfer:2:{{{name}}}:") })
    }

    /// Host and port, or the path of the socket.
    pub fn address(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    /// Refuses servers that cannot keep a catalogue; tells whether this one keeps an append-only file.
    pub fn check_server(&mut self) -> Result<bool, Fault> {
        let info: InfoDict = self.say(|connection| cmd("INFO").query(connection))?;
        let is = |key: &str, value: &str| info.get::<String>(key).is_some_and(|found| found.starts_with(value));
        let refuse = |reason: &str| Err(Fault { reason: reason.into(), is_full: false, is_dropped: false });
        if is("cluster_enabled", "1") {
            return refuse("this Redis is part of a cluster; give a server that is not");
        }
        if is("role", "slave") {
            return refuse("this Redis is a replica; give its primary");
        }
        if is("maxmemory_policy", "allkeys") {
            return refuse("this Redis throws keys away when its memory is full; set maxmemory-policy to noeviction");
        }
        Ok(is("aof_enabled", "1"))
    }

    /// Makes `run` the owner of the catalogue.
    pub fn take_over(&mut self, run: &str, remembered: HighWaterMark) -> Result<WriterLease, Fault> {
        let mut call = self.call(&TAKE_OVER, &["owner", "generation", "trusted"]);
        call.arg(run).arg(remembered.term).arg(remembered.generation);
        let (term, generation) = self.say(|connection| call.invoke(connection))?;
        Ok(WriterLease::new(run, term, generation))
    }

    /// Who owns the catalogue, and how far it is.
    pub fn look(&mut self) -> Result<Found, Fault> {
        let look = cmd("MGET").arg(self.key("owner")).arg(self.key("generation")).take();
        let (owner, generation) = self.say_again(|link| link.say(|connection| look.query(connection)))?;
        Ok(Found { owner, generation })
    }

    /// All of it, page by page: an answer of any size would not come within a limit.
    pub fn read(&mut self) -> Result<Held, ReadError> {
        let (records, docs, kept) =
            (self.scan("HSCAN", "records"), self.scan("HSCAN", "docs"), self.scan("SSCAN", "kept"));
        let trusted = cmd("EXISTS").arg(self.key("trusted")).take();
        let record = |(entry, bytes): (String, Vec<u8>)| {
            parse_id(&entry)?;
            codec::decode(&bytes).map_err(|reason| ReadError::Damaged { entry, reason })
        };
        // A scan may tell an entry twice.
        let records = self.say(|connection| {
            let mut held = Records::default();
            for row in records.iter(connection)? {
                match record(row?) {
                    Ok(record) => held.put(&Entry { record, presence: None }),
                    Err(error) => return Ok(Err(error)),
                }
            }
            Ok(Ok(held))
        })??;
        let docs: HashMap<String, Vec<u8>> = self.say(|connection| docs.iter(connection)?.collect())?;
        let kept: HashSet<String> = self.say(|connection| kept.iter(connection)?.collect())?;
        let is_trusted = self.say(|connection| trusted.query(connection))?;
        let doc = |(entry, bytes): (String, Vec<u8>)| {
            let place = parse_place(&entry)?;
            let content = codec::unseal(&bytes).map_err(|reason| ReadError::Damaged { entry, reason })?;
            Ok((place, content.into()))
        };
        Ok(Held {
            records,
            docs: docs.into_iter().map(doc).collect::<Result<_, ReadError>>()?,
            kept: kept.iter().map(|entry| parse_id(entry)).collect::<Result<_, _>>()?,
            is_trusted,
        })
    }

    /// Writes a batch in one step; `false`: Redis is not as this run left it, and nothing was done.
    pub fn write(&mut self, batch: &Batch, lease: &mut WriterLease) -> Result<bool, Fault> {
        // Each attempt has a number of its own, and a batch that is written twice is written.
        self.say_again(|link| link.write_once(batch, lease))
    }

    fn write_once(&mut self, batch: &Batch, lease: &mut WriterLease) -> Result<bool, Fault> {
        let mut call = self.call(&WRITE, &["owner", "generation", "records", "docs", "kept", "trusted"]);
        call.arg(lease.owner()).arg(lease.written()).arg(lease.attempt()).arg(u8::from(batch.is_trusted));
        call.arg(batch.deletes.len()).arg(batch.doc_deletes.len()).arg(batch.puts.len()).arg(batch.docs.len());
        for id in &batch.deletes {
            call.arg(id.to_string());
        }
        for place in &batch.doc_deletes {
            call.arg(place_text(place));
        }
        for record in batch.puts.iter() {
            call.arg(record.id.to_string()).arg(codec::encode(&record));
        }
        for (place, content) in &batch.docs {
            call.arg(place_text(place)).arg(codec::seal(content));
        }
        for id in &batch.kept {
            call.arg(id.to_string());
        }
        let is_written = self.say(|connection| call.invoke(connection))?;
        if is_written {
            lease.succeed();
        }
        Ok(is_written)
    }

    /// Writes everything again beside what is there, then puts it into its place in one step; `false`: something
    /// happened since `found` was looked at, and nothing was done.
    pub fn replace(&mut self, batch: &Batch, lease: &mut WriterLease, found: &Found) -> Result<bool, Fault> {
        let attempt = lease.attempt();
        // A name of its own for each attempt: what a late request still adds to an abandoned one is read by no one.
        let beside = |key: &str| self.key(&format!("{key}:{}:{attempt}", lease.owner()));
        let (records, docs, kept) = (beside("records"), beside("docs"), beside("kept"));
        let mut puts = batch.puts.iter().map(|record| (record.id.to_string(), codec::encode(&record)));
        loop {
            let page: Vec<_> = puts.by_ref().take(PAGE).collect();
            if page.is_empty() {
                break;
            }
            self.add_beside(cmd("HSET").arg(&records).arg(page), &records)?;
        }
        for page in batch.docs.chunks(PAGE) {
            let entries = page.iter().map(|(place, content)| (place_text(place), codec::seal(content)));
            self.add_beside(cmd("HSET").arg(&docs).arg(entries.collect::<Vec<_>>()), &docs)?;
        }
        for page in batch.kept.chunks(PAGE) {
            let entries = page.iter().map(ObjectId::to_string);
            self.add_beside(cmd("SADD").arg(&kept).arg(entries.collect::<Vec<_>>()), &kept)?;
        }
        let mut call = self.call(&REPLACE, &["owner", "generation", "records", "docs", "kept", "trusted"]);
        call.key(records).key(docs).key(kept);
        call.arg(found.owner.as_deref().unwrap_or(""));
        call.arg(found.generation.map_or(String::new(), |generation| generation.to_string()));
        call.arg(lease.owner()).arg(attempt).arg(u8::from(batch.is_trusted));
        call.arg(batch.puts.len()).arg(batch.docs.len()).arg(batch.kept.len());
        let is_in_place = self.say(|connection| call.invoke(connection))?;
        if is_in_place {
            lease.succeed();
        }
        Ok(is_in_place)
    }

    fn add_beside(&mut self, add: &Cmd, key: &str) -> Result<(), Fault> {
        let mut both = pipe();
        both.add_command(add.clone()).ignore().cmd("EXPIRE").arg(key).arg(BESIDE_LIFE_S).ignore();
        self.say(|connection| both.exec(connection))
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn scan(&self, command: &str, key: &str) -> Cmd {
        cmd(command).arg(self.key(key)).cursor_arg(0).arg("COUNT").arg(PAGE).take()
    }

    fn call<'script>(&self, script: &'script Script, keys: &[&str]) -> ScriptInvocation<'script> {
        let mut call = script.prepare_invoke();
        for key in keys {
            call.key(self.key(key));
        }
        call
    }

    /// The same words again on a new connection, when the one at hand was closed while it lay idle. For words that may be
    /// said twice.
    fn say_again<T>(&mut self, mut words: impl FnMut(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        let was_idle = self.connection.is_some();
        match words(self) {
            Err(fault) if was_idle && fault.is_dropped => words(self),
            said => said,
        }
    }

    /// One conversation, on the connection that is there or a new one.
    fn say<T>(&mut self, words: impl FnOnce(&mut Connection) -> Result<T, RedisError>) -> Result<T, Fault> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(connect(&self.client)?),
        };
        words(connection).map_err(|error| {
            self.connection = None;
            Fault::from(error)
        })
    }
}

fn connect(client: &Client) -> Result<Connection, RedisError> {
    let connection = client.get_connection_with_timeout(REDIS_CONNECT_WAIT)?;
    connection.set_read_timeout(Some(REDIS_ANSWER_WAIT))?;
    connection.set_write_timeout(Some(REDIS_ANSWER_WAIT))?;
    Ok(connection)
}

fn parse_id(entry: &str) -> Result<ObjectId, ReadError> {
    entry.parse().map_err(|_| ReadError::Stranger(entry.to_owned()))
}

/// `<surface>:<key>`
fn place_text((surface, key): &Place) -> String {
    format!("{}:{key}", surface.name())
}

fn parse_place(entry: &str) -> Result<Place, ReadError> {
    let stranger = || ReadError::Stranger(entry.to_owned());
    let (surface, key) = entry.split_once(':').ok_or_else(stranger)?;
    Ok((surface.parse().map_err(|_| stranger())?, key.to_owned()))
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        let is_full = error.code() == Some("OOM");
        let is_dropped = error.is_connection_dropped() && !error.is_timeout();
        let reason = match error.kind() {
            _ if is_full => "Redis has no memory left (maxmemory)".into(),
            _ if error.is_timeout() => format!("no answer within {} s", REDIS_ANSWER_WAIT.as_secs()),
            _ if error.is_cluster_error() => "this Redis is part of a cluster; give a server that is not".into(),
            ErrorKind::AuthenticationFailed => "Redis refuses the user or password of state.redis_url".into(),
            _ if error.code() == Some("NOAUTH") => "Redis wants a password; state.redis_url has none".into(),
            _ => error.to_string(),
        };
        Self { reason, is_full, is_dropped }
    }
}

impl From<Fault> for WriteError {
    fn from(fault: Fault) -> Self {
        Self { reason: fault.reason, is_full: fault.is_full }
    }
}
