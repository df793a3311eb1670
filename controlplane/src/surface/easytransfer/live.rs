//! `GET /api/traffic/stream`: what `/api/traffic` answers, as a server-sent event each second, until the node stops or
//! grants are revoked (then the client's next attempt meets the gate again).
//!
//! Must stay true: an event is made when the connection has room for it, so a reader who is slow misses some and holds
//! back nothing; there are at most [`LIVE_AUDIENCE_MAX`](crate::bounds::LIVE_AUDIENCE_MAX) readers.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::Event;
use futures_util::Stream;
use futures_util::stream::unfold;
use http::header::RETRY_AFTER;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::surface::easytransfer::Service;
use crate::surface::refusal::Refused;

/// Between two events: the kernel's counters are read as often.
const PERIOD: Duration = Duration::from_secs(1);

/// `GET /api/traffic/stream`
pub async fn stream(State(app): State<Service>) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refused> {
    let Ok(seat) = Arc::clone(&app.audience).try_acquire_owned() else {
        return Err(Refused::new(503, "too many follow the traffic already").with(RETRY_AFTER, "10"));
    };
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let epoch = app.node.epoch();
    // The seat is given back when the stream is dropped, with the connection.
    let events = unfold((app, tick, seat), move |(app, mut tick, seat)| async move {
        let event = next(&app, &mut tick, epoch).await?;
        Some((Ok(event), (app, tick, seat)))
    });
    Ok(Sse::new(events))
}

async fn next(app: &Service, tick: &mut Interval, epoch: u64) -> Option<Event> {
    let mut stopping = app.stopping.clone();
    tokio::select! {
        _ = tick.tick() => {}
        _ = stopping.wait_for(|stopping| *stopping) => return None,
    }
    (app.node.epoch() == epoch).then(|| Event::default().data(app.traffic_now().to_string()))
}
