//! What the server tells about itself (CONTRACT.md §5). Health and info are open and cheap: clients probe them for
//! latency.

use std::net::SocketAddr;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::response::AppendHeaders;
use serde_json::{Map, Value, json};

use super::OWN;
use super::tus::extensions;
use crate::core::size;
use crate::link::meta::Meta;
use crate::machine::advice::{Direction, Moment};
use crate::machine::endpoints::{Endpoint, endpoints as find_endpoints};
use crate::machine::interface::Interface;
use crate::machine::proof::is_nonce;
use crate::machine::traffic::rate_text;
use crate::surface::easytransfer::Service;
use crate::surface::refusal::Refused;

/// Names the node. A field and not a key: the body of CONTRACT.md §5.1 is fixed.
const NODE: HeaderName = HeaderName::from_static("x-node");
/// A client's question for the proof.
const NONCE: HeaderName = HeaderName::from_static("x-node-nonce");
/// The answer to it ([`crate::machine::proof`]).
const PROOF: HeaderName = HeaderName::from_static("x-node-proof");

/// `GET /api/health`: while the disk is not trusted, with the reason; the status stays 200, for the node answers.
/// A nonce is answered with the proof for the local address of the connection, or for the address that the operator
/// advertises and the client asked for.
pub async fn health(
    State(app): State<Service>,
    parts: Parts,
) -> Result<(AppendHeaders<Vec<(HeaderName, String)>>, Json<Value>), Refused> {
    let mut fields = vec![(NODE, app.identity.to_string())];
    if let Some(nonce) = parts.headers.get(NONCE) {
        let nonce = nonce.to_str().ok().filter(|nonce| is_nonce(nonce));
        let nonce = nonce.ok_or_else(|| Refused::new(400, "X-Node-Nonce is not 32 hexadecimal digits"))?;
        let local = parts.extensions.get::<Meta>().and_then(|meta| meta.listener);
        let address = app.advertised_as(&parts.headers).or(local);
        fields.extend(address.map(|address| (PROOF, app.proof.prove(nonce, address))));
    }
    let body = match app.node.plane().degraded {
        None => json!({"status": "healthy"}),
        Some(reason) => json!({"status": "degraded", "reason": reason}),
    };
    Ok((AppendHeaders(fields), Json(body)))
}

/// `GET /api/info`
pub async fn info(State(app): State<Service>) -> Json<Value> {
    let config = app.node.config();
    let (totals, plane) = (app.node.totals(&OWN), app.node.plane());
    let interfaces = app.traffic.interfaces();
    let total = Rates::total(&interfaces);
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "tus_version": etransfer_contract::tus::VERSION,
        "tus_extensions": extensions(config.parallel_writes).split(',').collect::<Vec<_>>(),
        "max_upload_size": config.server.max_upload_size.map(|size| size.0),
        "chunk_size": config.server.chunk_size.0,
        "interfaces": interfaces.iter().map(interface_json).collect::<Vec<_>>(),
        "endpoints": app.endpoints().iter().map(|endpoint| endpoint_json(endpoint, total)).collect::<Vec<_>>(),
        "total_files": totals.files,
        "total_size": totals.file_bytes + totals.upload_bytes,
        "retention_policies": policies(config.retention.allow_permanent),
        "default_retention": config.retention.default.word(),
        "max_concurrent_tasks": config.max_concurrent_tasks,
        "engine": plane.engine,
        "cores": plane.cores,
        "degraded": plane.degraded,
    }))
}

fn policies(allow_permanent: bool) -> &'static [&'static str] {
    const ALL: [&str; 3] = ["permanent", "download_once", "ttl"];
    if allow_permanent { &ALL } else { &ALL[1..] }
}

/// `GET /api/storage`
pub async fn storage(State(app): State<Service>) -> Json<Value> {
    let used = app.node.used();
    let max = app.node.config().storage.max_storage_size.map(|size| size.0);
    let available = max.map(|max| max.saturating_sub(used));
    let percent = max.filter(|max| *max > 0).map_or(0.0, |max| used as f64 / max as f64 * 100.0);
    let text = |bytes: Option<u64>| bytes.map_or_else(|| "unlimited".to_owned(), size::format);
    let is_full = max.is_some_and(|max| used >= max);
    let (totals, plane) = (app.node.totals(&OWN), app.node.plane());
    Json(json!({
        "used": used,
        "used_formatted": size::format(used),
        "max": max,
        "max_formatted": text(max),
        "available": available,
        "available_formatted": text(available),
        "usage_percent": (percent * 100.0).round() / 100.0,
        "is_full": is_full,
        "can_accept_uploads": !is_full && plane.degraded.is_none(),
        "files_count": totals.files,
        "uploads_count": totals.uploads,
        "disk_free": plane.disk_free,
        "disk_size": plane.disk_size,
    }))
}

/// `GET /api/endpoints`
pub async fn endpoints(State(app): State<Service>) -> Json<Value> {
    let (all, total) = (app.endpoints(), Rates::total(&app.traffic.interfaces()));
    let transfers = app.node.plane().transfers;
    let moment = Moment { endpoints: &all, transfers: &transfers, now: Instant::now() };
    let best = |direction| app.advice.best(direction, moment).map(|endpoint| endpoint.url.clone());
    Json(json!({
        "endpoints": all.iter().map(|endpoint| endpoint_json(endpoint, total)).collect::<Vec<_>>(),
        "best_for_upload": best(Direction::Upload),
        "best_for_download": best(Direction::Download),
        "total_endpoints": all.len(),
        "server_port": app.port(),
        "proof_key": app.proof.expose(),
    }))
}

/// `GET /api/traffic`
pub async fn traffic(State(app): State<Service>) -> Json<Value> {
    Json(app.traffic_now())
}

/// `GET /api/stats`
pub async fn stats(State(app): State<Service>) -> Result<Json<Value>, Refused> {
    let user_count = match &app.people {
        Some(people) => people.count_users().await?,
        None => 0,
    };
    let (totals, interfaces) = (app.node.totals(&OWN), app.traffic.interfaces());
    let total = Rates::total(&interfaces);
    // Totals are of clients: what they uploaded, what they downloaded.
    let (received, sent) = app.metrics.cores.moved();
    let traffic: Map<String, Value> =
        interfaces.iter().map(|interface| (interface.name.clone(), interface_json(interface))).collect();
    let instances: Map<String, Value> =
        app.endpoints().iter().map(|endpoint| (endpoint.endpoint.clone(), endpoint_json(endpoint, total))).collect();
    Ok(Json(json!({
        "traffic": traffic,
        "instances": instances,
        "files": {
            "completed": totals.files,
            "in_progress": totals.uploads,
            "total_size": totals.file_bytes,
            "uploading_size": totals.upload_bytes,
        },
        "total_upload_bytes": received,
        "total_download_bytes": sent,
        "task_download_bytes": 0,
        "task_push_bytes": 0,
        "task_total": 0,
        "task_completed": 0,
        "task_active": 0,
        "migration_object_count": 0,
        "migration_download_bytes": 0,
        "migration_push_bytes": 0,
        "migration_tasks": [],
        "user_count": user_count,
        "machine": app.machine_json(),
    })))
}

impl Service {
    /// Where clients reach this node.
    fn endpoints(&self) -> Vec<Endpoint> {
        let bound = self.bound();
        find_endpoints(&self.node.config().nics.advertised_endpoints, &bound, self.port(), &self.traffic.interfaces())
    }

    /// The address in `Host`, when the operator advertises it: behind a router or a proxy the node does not see it itself.
    fn advertised_as(&self, headers: &HeaderMap) -> Option<SocketAddr> {
        let host: SocketAddr = headers.get(HOST)?.to_str().ok()?.parse().ok()?;
        let is_advertised = !self.node.config().nics.advertised_endpoints.is_empty()
            && self.endpoints().iter().any(|endpoint| endpoint.endpoint.parse() == Ok(host));
        is_advertised.then_some(host)
    }

    /// How busy the machine is, for people; no client reads it.
    fn machine_json(&self) -> Value {
        let (usage, plane) = (self.host.usage(), self.node.plane());
        json!({
            "cpus": usage.cpus,
            "cpu_percent": usage.cpu_percent,
            "memory": usage.memory,
            "memory_available": usage.memory_available,
            "disk_size": plane.disk_size,
            "disk_free": plane.disk_free,
        })
    }

    /// What `/api/traffic` answers, and each event of its stream.
    pub(super) fn traffic_now(&self) -> Value {
        let interfaces = self.traffic.interfaces();
        let total = Rates::total(&interfaces);
        let interface = |interface: &Interface| Rates::of(interface).worded(interface_json(interface));
        let endpoint = |endpoint: &Endpoint| {
            endpoint.load.as_ref().map_or(total, Rates::of).worded(endpoint_json(endpoint, total))
        };
        json!({
            "interfaces": interfaces.iter().map(interface).collect::<Vec<_>>(),
            "endpoints": self.endpoints().iter().map(endpoint).collect::<Vec<_>>(),
            "total": total.worded(json!({"upload_rate": total.sent, "download_rate": total.received})),
        })
    }
}

/// Bytes a second.
#[derive(Clone, Copy)]
struct Rates {
    sent: f64,
    received: f64,
}

impl Rates {
    fn of(interface: &Interface) -> Self {
        Self { sent: interface.send_rate, received: interface.receive_rate }
    }

    fn total(interfaces: &[Interface]) -> Self {
        let sum = |rate: fn(&Interface) -> f64| interfaces.iter().map(rate).sum();
        Self { sent: sum(|interface| interface.send_rate), received: sum(|interface| interface.receive_rate) }
    }

    /// Adds them to `value` as text.
    fn worded(self, mut value: Value) -> Value {
        value["upload_rate_formatted"] = rate_text(self.sent).into();
        value["download_rate_formatted"] = rate_text(self.received).into();
        value
    }
}

/// NetworkInterface. "Upload" is what the interface sends, "download" what it receives.
fn interface_json(interface: &Interface) -> Value {
    json!({
        "name": interface.name,
        "ip_address": interface.address.map_or_else(String::new, |address| address.to_string()),
        "is_up": interface.is_up,
        "speed_mbps": interface.speed_mbps,
        "bytes_sent": interface.sent,
        "bytes_recv": interface.received,
        "upload_rate": interface.send_rate,
        "download_rate": interface.receive_rate,
        "upload_load_percent": interface.send_load(),
        "download_load_percent": interface.receive_load(),
        "total_load_percent": interface.total_load(),
    })
}

/// Endpoint. One whose interface is not known has the rates of all of them, and no load (CONTRACT.md §5.3).
fn endpoint_json(endpoint: &Endpoint, total: Rates) -> Value {
    let load = endpoint.load.as_ref();
    let rates = load.map_or(total, Rates::of);
    let number = |of: fn(&Interface) -> f64| load.map_or(0.0, of);
    json!({
        "interface": endpoint.interface,
        "ip_address": endpoint.address,
        "endpoint": endpoint.endpoint,
        "url": endpoint.url,
        "speed_mbps": load.and_then(|load| load.speed_mbps).unwrap_or(0),
        "upload_rate": rates.sent,
        "download_rate": rates.received,
        "upload_load_percent": number(Interface::send_load),
        "download_load_percent": number(Interface::receive_load),
        "total_load_percent": number(Interface::total_load),
        "is_available": true,
        "bytes_sent": load.map_or(0, |load| load.sent),
        "bytes_recv": load.map_or(0, |load| load.received),
    })
}
