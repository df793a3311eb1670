//! The control link's own paths: facts, orders, claims, counters, and what the operator asks on the node's machine. Every other request
//! is 404: the data plane drops the field that opens them from what clients send.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use etransfer_contract::counters::CountersReport;
use etransfer_contract::fact::{Claim, FactBatch, Verdict};
use etransfer_contract::link::{CLAIM_PATH, COUNTERS_PATH, FACTS_PATH, ORDERS_PATH, VERSION};
use etransfer_contract::order::OrdersQuery;
use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::bounds::{POLL_WAIT, POLL_WAIT_BUSY};
use crate::surface::refusal::Refused;

/// The routes.
pub fn router() -> Router<App> {
    Router::new()
        .route(FACTS_PATH, post(facts))
        .route(ORDERS_PATH, post(orders))
        .route(CLAIM_PATH, post(claim))
        .route(COUNTERS_PATH, post(counters))
}

async fn facts(State(app): State<App>, body: Bytes) -> Result<StatusCode, Refused> {
    let batch: FactBatch = read(&body)?;
    check_version(batch.version)?;
    app.node.apply(batch).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn orders(State(app): State<App>, body: Bytes) -> Result<Response, Refused> {
    let query: OrdersQuery = read(&body)?;
    check_version(query.version)?;
    app.mounts.hear(&query.node.separate);
    // The data plane asks for decisions after this answer: a client that gets one could have read the token before.
    app.announcement.tell(&query.node.addresses).await;
    let mut news = app.node.follow_news();
    let deadline = tokio::time::Instant::now() + if query.busy { POLL_WAIT_BUSY } else { POLL_WAIT };
    loop {
        news.mark_unchanged();
        if let Some(orders) = app.node.orders(&query) {
            return Ok(Json(orders).into_response());
        }
        let mut stopping = app.stopping.clone();
        tokio::select! {
            _ = news.changed() => {}
            _ = tokio::time::sleep_until(deadline) => return Ok(Json(app.node.no_orders()).into_response()),
            _ = stopping.wait_for(|stopping| *stopping) => return Ok(Json(app.node.no_orders()).into_response()),
        }
    }
}

async fn claim(State(app): State<App>, body: Bytes) -> Result<Json<Verdict>, Refused> {
    let claim: Claim = read(&body)?;
    let verdict = app.node.claim(&claim).await?;
    Ok(Json(verdict))
}

async fn counters(State(app): State<App>, body: Bytes) -> Result<StatusCode, Refused> {
    let report: CountersReport = read(&body)?;
    check_version(report.version)?;
    app.metrics.cores.hear(report);
    Ok(StatusCode::NO_CONTENT)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused::new(400, error.to_string()))
}

fn check_version(theirs: u16) -> Result<(), Refused> {
    if theirs == VERSION {
        return Ok(());
    }
    tracing::error!(theirs, ours = VERSION, "the planes speak different versions");
    Err(Refused::new(400, format!("line version {theirs}; this control plane speaks {VERSION}")))
}
