//! Decide once, then move bytes: the grant for a request, from the cache of this core or from the control plane.
//!
//! Must stay true: two requests share a grant only when everything that a decision may depend on is equal: method, target,
//! `Host`, every credential field, `Origin`, the override, the forwarding fields, and the presence of a `Range`.
//!
//! Next on the way of an upload: [`transfer::append`](crate::transfer::append).

use std::rc::Rc;
use std::sync::atomic::Ordering;

use etransfer_contract::Grant;
use etransfer_contract::grant::PrefetchedGrant;
use etransfer_contract::link::{self, GRANT_MEDIA_TYPE};
use etransfer_contract::step::Outcome;
use etransfer_contract::tus::Fields;

use crate::bounds::{CONTROL_CONNECT_WAIT, DECISION_WAIT};
use crate::core::Core;
use crate::http::{Framing, Head, forwarded_head};
use crate::link::{ControlReply, Granted};

/// Fields that a decision may depend on, beside method, target and `Host`.
const DECIDING_FIELDS: [&str; 12] = [
    "authorization",
    "cookie",
    "origin",
    "upload-concat",
    "upload-length",
    "x-api-token",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-http-method-override",
    "x-session-token",
    "tus-resumable",
];

/// Those of them that belong to a creation, and not to the request that follows it.
const ONCE_FIELDS: [&str; 2] = ["upload-concat", "upload-length"];

/// What the control plane decided.
pub enum Decided {
    /// Act on this.
    Grant(Rc<Granted>),
    /// Relay this answer.
    Answer(Box<ControlReply>),
    /// The control plane is away: 503.
    Away,
}

/// The client of a request, as the control plane sees it.
pub struct Client {
    /// The client's address.
    pub peer: std::net::SocketAddr,
    /// The address it connected to.
    pub local: std::net::SocketAddr,
}

/// The grant for a request, cached or requested from the control plane.
pub async fn decide(core: &Core, head: &Head, client: &Client) -> Decided {
    let key = key(head, client, head.method_name(), head.target(), &DECIDING_FIELDS);
    let epoch = core.shared.epoch.load(Ordering::Relaxed);
    let can_renew = core.shared.control_ready.load(Ordering::Acquire);
    if let Some(grant) = core.grants.borrow_mut().find(&key, core.io.now(), epoch, can_renew) {
        core.counters.update(|core| core.cached += 1);
        return Decided::Grant(grant);
    }
    let began = core.io.now();
    let request = forwarded(head, client, "decide", &head.framing().announcement(), Framing::None);
    let decided = request_decision(core, &request, Some(key)).await;
    let took = core.io.now().saturating_duration_since(began);
    if let Decided::Answer(reply) = &decided {
        remember_prefetched(core, head, client, reply);
    }
    core.counters.update(|core| {
        core.decide.observe(took);
        match decided {
            Decided::Grant(_) => core.granted += 1,
            Decided::Answer(_) => core.answered += 1,
            Decided::Away => core.undecided += 1,
        }
    });
    decided
}

/// Remembers the grant that came with an answer, for the client's next request.
fn remember_prefetched(core: &Core, head: &Head, client: &Client, reply: &ControlReply) {
    let Some(json) = reply.head.get(link::NEXT) else { return };
    match serde_json::from_slice::<PrefetchedGrant>(json) {
        Ok(PrefetchedGrant { method, target, grant }) if grant.version == link::VERSION => {
            let fields = DECIDING_FIELDS.into_iter().filter(|name| !ONCE_FIELDS.contains(name));
            let key = key(head, client, &method, &target, &fields.collect::<Vec<_>>());
            if let Some(rate) = grant.act.rate() {
                core.shared.rates.learn(rate, core.io.now());
            }
            core.grants.borrow_mut().remember(
                key.into_boxed_slice(),
                &Rc::new(Granted::new(&core.shared.holders, grant)),
                core.io.now(),
            );
        }
        Ok(_) => {}
        Err(error) => tracing::error!(%error, "a prefetched grant cannot be read"),
    }
}

/// Reports the outcome of a step; the answer says how to continue.
pub async fn report_step(core: &Core, head: &Head, client: &Client, outcome: &Outcome) -> Decided {
    let json = serde_json::to_vec(outcome).expect("the types of the link are always JSON");
    let attached = Framing::Length(json.len() as u64);
    let mut request = forwarded(head, client, "outcome", &head.framing().announcement(), attached);
    request.extend_from_slice(&json);
    request_decision(core, &request, None).await
}

/// Requests a decision. `key`: what a grant is remembered under.
async fn request_decision(core: &Core, request: &[u8], key: Option<Vec<u8>>) -> Decided {
    if !wait_for_line(core).await || !core.shared.facts.flush(&core.io, CONTROL_CONNECT_WAIT).await {
        return Decided::Away;
    }
    match core.control.request(request, DECISION_WAIT).await {
        Ok(reply) if reply.head.get("content-type") == Some(GRANT_MEDIA_TYPE.as_bytes()) => {
            accept(core, key, reply).await
        }
        Ok(reply) => Decided::Answer(Box::new(reply)),
        Err(error) => {
            tracing::debug!(%error, "no decision");
            Decided::Away
        }
    }
}

/// The head as it is sent to the control plane.
pub fn forwarded(head: &Head, client: &Client, call: &str, body: &str, attached: Framing) -> Vec<u8> {
    let (peer, local) = (client.peer.to_string(), client.local.to_string());
    let own = [(link::CALL, call), (link::PEER, &peer), (link::LISTENER, &local), (link::BODY, body)];
    forwarded_head(head, &own, attached)
}

async fn accept(core: &Core, key: Option<Vec<u8>>, mut reply: ControlReply) -> Decided {
    let Ok(body) = reply.take_whole(DECISION_WAIT).await else { return Decided::Away };
    let ControlReply { head, body: rest, wire } = reply;
    core.control.give_back(wire, &head, &rest);
    match serde_json::from_slice::<Grant>(&body) {
        Ok(grant) if grant.version == link::VERSION => {
            let grant = Rc::new(Granted::new(&core.shared.holders, grant));
            if let Some(key) = key {
                core.grants.borrow_mut().remember(key.into_boxed_slice(), &grant, core.io.now());
            }
            if let Some(rate) = grant.act.rate() {
                core.shared.rates.learn(rate, core.io.now());
            }
            Decided::Grant(grant)
        }
        Ok(grant) => {
            tracing::error!(theirs = grant.version, ours = link::VERSION, "the planes speak different versions");
            Decided::Away
        }
        Err(error) => {
            tracing::error!(%error, "a grant cannot be read");
            Decided::Away
        }
    }
}

/// Whether the control plane answered the last poll, or does within [`CONTROL_CONNECT_WAIT`].
async fn wait_for_line(core: &Core) -> bool {
    let deadline = core.io.now() + CONTROL_CONNECT_WAIT;
    loop {
        let listener = core.shared.control_event.listen();
        if core.shared.control_ready.load(Ordering::Acquire) {
            return true;
        }
        if core.io.now() >= deadline {
            return false;
        }
        let late = core.io.sleep_until(deadline);
        futures_util::future::select(std::pin::pin!(listener), std::pin::pin!(late)).await;
    }
}

/// The key that a grant is remembered under: `method target` with the deciding `fields` of `head`.
fn key(head: &Head, client: &Client, method: &str, target: &str, fields: &[&str]) -> Vec<u8> {
    let mut key = Vec::with_capacity(256);
    let mut add = |part: &[u8]| {
        key.extend_from_slice(&(part.len() as u32).to_le_bytes());
        key.extend_from_slice(part);
    };
    add(method.as_bytes());
    add(target.as_bytes());
    add(head.host().unwrap_or_default().as_bytes());
    add(&[u8::from(head.get("range").is_some())]);
    add(client.peer.ip().to_string().as_bytes());
    // A listener may belong to one dialect: the same target means something else there.
    add(client.local.to_string().as_bytes());
    for name in fields {
        for value in head.all(name) {
            add(name.as_bytes());
            add(value);
        }
    }
    key
}
