//! The addresses of one node: what it advertises, which of them answer, and in which order they are worth using.
//!
//! What must stay true:
//! * A candidate is used only after it proved to be *the same node* ([`crate::proof`]). A server that does not say which
//!   one it is, or gives no key for the proof, gets its configured address alone.
//! * The question goes out without a token, and no redirect is followed; so nothing but the node ever sees the token.
//! * A client that reaches the server through a loopback address stays on loopback: it is this very machine, or the end
//!   of a tunnel, and what was meant to go through a tunnel must not go beside it.
//! * All candidates together cost one [`PROBE_TIMEOUT`] at most, and one that did not answer is not asked again by this
//!   client or its clones.

use std::fmt;
use std::num::NonZeroU8;
use std::str::FromStr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::proof::Identity;
use crate::{Address, Client, Error, Result, Secret};

/// For all candidates together.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// Most candidates asked.
const CANDIDATES_MAX: usize = 32;

/// Which of a node's addresses a transfer uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nics {
    /// Every one that answers.
    #[default]
    All,
    /// The least loaded one.
    Best,
    /// So many, the least loaded first.
    Count(NonZeroU8),
}

impl Nics {
    /// How many of `found` to use.
    pub fn limit(self, found: usize) -> usize {
        match self {
            Self::All => found,
            Self::Best => 1,
            Self::Count(count) => found.min(usize::from(count.get())),
        }
    }
}

/// A choice of NICs that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the NICs are all, best, or a number from 1 to 255")]
pub struct NicsFault;

impl FromStr for Nics {
    type Err = NicsFault;

    fn from_str(text: &str) -> std::result::Result<Self, NicsFault> {
        match text {
            "all" => Ok(Self::All),
            "best" => Ok(Self::Best),
            number => number.parse().map(Self::Count).map_err(|_| NicsFault),
        }
    }
}

/// Which way the bytes go, as the client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The node receives.
    Upload,
    /// The node sends.
    Download,
}

/// One entry of `GET /api/endpoints` (easytransfer/CONTRACT.md §5.3). Rates and loads are the node's: *upload* is what
/// it sends.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Endpoint {
    /// Interface name, or `advertised`.
    #[serde(default, deserialize_with = "crate::types::null_is_default")]
    pub interface: String,
    /// `http://host:port`
    pub url: String,
    /// 0 when unknown.
    #[serde(default, deserialize_with = "crate::types::null_is_default")]
    pub speed_mbps: u64,
    /// Percent of the speed.
    #[serde(default, deserialize_with = "crate::types::null_is_default")]
    pub upload_load_percent: f64,
    /// Percent of the speed.
    #[serde(default, deserialize_with = "crate::types::null_is_default")]
    pub download_load_percent: f64,
    /// Whether the node thinks it usable.
    #[serde(default = "yes")]
    pub is_available: bool,
}

fn yes() -> bool {
    true
}

impl Endpoint {
    /// Load in the direction that matters to a client, in whole percent: less is noise.
    pub fn load(&self, direction: Direction) -> u64 {
        let percent = match direction {
            Direction::Upload => self.download_load_percent,
            Direction::Download => self.upload_load_percent,
        };
        percent.clamp(0.0, 100.0) as u64
    }
}

/// `GET /api/endpoints`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EndpointList {
    /// Where the node says it can be reached.
    pub endpoints: Vec<Endpoint>,
    /// Its advice to the next client. It knows which clients asked before, so that not all that ask at once choose the
    /// same.
    #[serde(default)]
    pub best_for_upload: Option<String>,
    /// The same for downloads.
    #[serde(default)]
    pub best_for_download: Option<String>,
    /// Under which its addresses prove themselves; it is never written out.
    #[serde(default, skip_serializing)]
    pub proof_key: Option<Secret>,
}

impl EndpointList {
    fn advised(&self, endpoint: &Endpoint) -> Advised {
        let is = |best: &Option<String>| best.as_deref() == Some(&*endpoint.url);
        Advised { for_upload: is(&self.best_for_upload), for_download: is(&self.best_for_download) }
    }
}

/// What the node says an address is best for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Advised {
    /// Sending to the node.
    pub for_upload: bool,
    /// Receiving from it.
    pub for_download: bool,
}

/// What was found at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The node, this far away.
    Node(Duration),
    /// Some other server, or one that does not say who it is.
    Stranger,
    /// No answer within [`PROBE_TIMEOUT`], now or earlier.
    Silent,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(latency) => write!(f, "{:.1} ms", latency.as_secs_f64() * 1e3),
            Self::Stranger => f.write_str("another server"),
            Self::Silent => f.write_str("no answer"),
        }
    }
}

/// An address the node may be reached at.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Where.
    pub address: Address,
    /// What the node says about it; `None` for a configured address that it does not advertise.
    pub endpoint: Option<Endpoint>,
    /// What the node advises.
    pub advised: Advised,
    /// Whether it is the configured one.
    pub is_configured: bool,
    /// What is there.
    pub found: Found,
}

impl Candidate {
    /// The best is the least: usable, advised, little loaded, near.
    fn rank(&self, direction: Direction) -> (bool, bool, u64, Duration) {
        let load = self.endpoint.as_ref().map_or(0, |endpoint| endpoint.load(direction));
        let is_advised = match direction {
            Direction::Upload => self.advised.for_upload,
            Direction::Download => self.advised.for_download,
        };
        let latency = if let Found::Node(latency) = self.found { latency } else { PROBE_TIMEOUT };
        (!self.is_usable(), !is_advised, load, latency)
    }

    /// Whether it leads to the node.
    pub fn is_usable(&self) -> bool {
        matches!(self.found, Found::Node(_))
    }
}

/// The candidates and the node they were compared with.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// What the configured server calls itself; `None`: it does not say.
    pub node: Option<String>,
    /// The usable ones first; of them the one the node advises, then the least loaded, then the nearest.
    pub list: Vec<Candidate>,
    /// How the node is recognised; `None`: only the configured address is used.
    pub(crate) identity: Option<Identity>,
}

impl Candidates {
    /// The one to use when it is to be one; the configured one is always usable.
    pub fn best(&self, direction: Direction) -> &Candidate {
        self.list.iter().min_by_key(|candidate| candidate.rank(direction)).expect("the configured one is among them")
    }
}

impl Client {
    /// `GET /api/endpoints`.
    pub fn endpoints(&self) -> Result<EndpointList> {
        let what = "the list of endpoints";
        self.get("/api/endpoints", what, what)
    }

    /// Every address of this node, probed in parallel and ranked for `direction`. The configured one always belongs to
    /// them. An error is only ever about the configured server.
    pub fn candidates(&self, direction: Direction) -> Result<Candidates> {
        let asked = Instant::now();
        let node = self.health()?;
        let near = Found::Node(asked.elapsed());
        let mut told = self.endpoints()?;
        let key = told.proof_key.take();
        let mut list = self.advertised(told);
        let own = match list.iter_mut().find(|candidate| candidate.is_configured) {
            Some(own) => own,
            None => {
                let address = self.address().clone();
                let advised = Advised::default();
                list.push(Candidate { address, endpoint: None, advised, is_configured: true, found: near });
                list.last_mut().expect("just pushed")
            }
        };
        own.found = near;
        let own = self.address().clone();
        let identity = node.clone().zip(key).map(|(node, key)| Identity { own, node, key });
        if let Some(identity) = &identity {
            self.probe_all(&mut list, identity);
        }
        list.sort_by_key(|candidate| candidate.rank(direction));
        Ok(Candidates { node, list, identity })
    }

    /// The advertised addresses that may be used at all; none of them was asked yet.
    fn advertised(&self, mut told: EndpointList) -> Vec<Candidate> {
        let endpoints = std::mem::take(&mut told.endpoints);
        let own = self.address().resolve().unwrap_or_default();
        let is_local = !self.address().loopback_addresses().is_empty();
        let mut list: Vec<Candidate> = Vec::new();
        for endpoint in endpoints.into_iter().filter(|endpoint| endpoint.is_available).take(CANDIDATES_MAX) {
            let Ok(address) = endpoint.url.parse::<Address>() else { continue };
            // The host name in the configuration and an advertised address of it are one NIC, not two.
            let is_configured = address == *self.address() || address.literal().is_some_and(|ip| own.contains(&ip));
            let address = if is_configured { self.address().clone() } else { address };
            let is_known = list.iter().any(|known| known.address == address);
            let is_elsewhere = is_local && address.loopback_addresses().is_empty();
            if !is_known && !is_elsewhere && address.prefix() == self.address().prefix() {
                let (advised, found) = (told.advised(&endpoint), Found::Stranger);
                list.push(Candidate { address, endpoint: Some(endpoint), advised, is_configured, found });
            }
        }
        list
    }

    fn probe_all(&self, list: &mut [Candidate], identity: &Identity) {
        let cancel = self.cancel().child();
        let (tell, told) = mpsc::channel();
        let mut waiting = 0;
        for (at, candidate) in list.iter_mut().enumerate().filter(|(_, candidate)| !candidate.is_configured) {
            candidate.found = Found::Silent;
            if self.silent().contains(&candidate.address.to_string()) {
                continue;
            }
            waiting += 1;
            let prober = self.probing(candidate.address.clone(), PROBE_TIMEOUT, &cancel);
            let (tell, identity) = (tell.clone(), identity.clone());
            // Left alone when it takes too long: a name that does not resolve cannot be interrupted.
            std::thread::spawn(move || {
                let asked = Instant::now();
                let found = match identity.meets(&prober) {
                    Ok(()) => Found::Node(asked.elapsed()),
                    Err(Error::Unreachable { .. } | Error::Interrupted) => Found::Silent,
                    Err(_) => Found::Stranger,
                };
                let _ = tell.send((at, found)); // the receiver is gone: it took too long
            });
        }
        let end = Instant::now() + PROBE_TIMEOUT;
        for _ in 0..waiting {
            let Ok((at, found)) = told.recv_timeout(end.saturating_duration_since(Instant::now())) else { break };
            list[at].found = found;
        }
        cancel.cancel();
        let silent = list.iter().filter(|candidate| candidate.found == Found::Silent);
        self.silent().extend(silent.map(|candidate| candidate.address.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nics_are_chosen_by_word_or_number() {
        for (text, expected) in [
            ("all", Ok((5, 1))),
            ("best", Ok((1, 1))),
            ("2", Ok((2, 1))),
            ("9", Ok((5, 1))),
            ("0", Err(NicsFault)),
            ("256", Err(NicsFault)),
            ("", Err(NicsFault)),
            ("eth0", Err(NicsFault)),
        ] {
            let limits = text.parse::<Nics>().map(|nics| (nics.limit(5), nics.limit(1)));
            assert_eq!(limits, expected, "{text:?}");
        }
    }

    fn endpoint(url: &str, sends: f64, receives: f64) -> Endpoint {
        Endpoint {
            interface: String::new(),
            url: url.into(),
            speed_mbps: 0,
            upload_load_percent: sends,
            download_load_percent: receives,
            is_available: url != "http://10.0.0.9:1",
        }
    }

    #[test]
    fn only_addresses_that_can_be_the_configured_node_are_candidates() {
        let addresses = |configured: &str, urls: &[&str]| {
            let client = Client::new(configured.parse().unwrap(), Some("secret"));
            let endpoints = urls.iter().map(|url| endpoint(url, 0.0, 0.0)).collect();
            let list = client.advertised(EndpointList { endpoints, ..EndpointList::default() });
            list.iter().map(|one| (one.address.to_string(), one.is_configured)).collect::<Vec<_>>()
        };
        let own = |text: &str| (text.to_owned(), true);
        let other = |text: &str| (text.to_owned(), false);
        let all = ["http://10.0.0.1:1", "http://10.0.0.2:1", "http://10.0.0.2:1/", "http://10.0.0.9:1"];
        assert_eq!(addresses("10.0.0.1:1", &all), [own("http://10.0.0.1:1"), other("http://10.0.0.2:1")]);
        let odd = ["https://10.0.0.2:1", "http://10.0.0.3:1/other", "", "http://", "http://10.0.0.2:99999"];
        assert_eq!(addresses("10.0.0.1:1", &odd), []);
        let tunnel = ["http://10.0.0.1:1", "http://127.0.0.2:1", "http://127.0.0.1:1"];
        let local = [other("http://127.0.0.2:1"), own("http://127.0.0.1:1")];
        assert_eq!(addresses("127.0.0.1:1", &tunnel), local, "beside a tunnel goes nothing");
        assert_eq!(
            addresses("localhost:1", &["http://127.0.0.1:1"]),
            [own("http://localhost:1")],
            "one NIC, two names"
        );
    }

    #[test]
    fn section_16_24_candidates_are_ranked_by_the_direction_that_matters() {
        let candidate = |name: &str, sends, receives, found| Candidate {
            address: name.parse().unwrap(),
            endpoint: Some(endpoint("http://x", sends, receives)),
            advised: Advised { for_upload: name == "advised", for_download: false },
            is_configured: false,
            found,
        };
        let near = |millis| Found::Node(Duration::from_millis(millis));
        let mut list = [
            candidate("silent", 0.0, 0.0, Found::Silent),
            candidate("sends", 90.0, 1.0, near(2)),
            candidate("receives", 1.0, 90.0, near(2)),
            candidate("far", 1.2, 1.2, near(9)),
            candidate("advised", 80.0, 80.0, near(9)),
        ];
        for (direction, expected) in [
            (Direction::Upload, ["advised", "sends", "far", "receives", "silent"]),
            (Direction::Download, ["receives", "far", "advised", "sends", "silent"]),
        ] {
            list.sort_by_key(|candidate| candidate.rank(direction));
            let order = list.each_ref().map(|candidate| candidate.address.to_string());
            assert_eq!(order, expected.map(|name| format!("http://{name}:8765")), "{direction:?}");
        }
    }
}
