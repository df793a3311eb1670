//! The whole dialect without a socket: requests go to the router as the data plane would send them, and a fake data plane
//! answers grants with facts.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use etransfer_contract::fact::{Claim, Fact, FactBatch, Presence, Verdict};
use etransfer_contract::grant::{Act, Append, PrefetchedGrant, Serve};
use etransfer_contract::link::{self, GRANT_MEDIA_TYPE, VERSION};
use etransfer_contract::order::{NodeFacts, Orders, OrdersQuery, What};
use etransfer_contract::{Grant, ObjectId, Span};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::app::App;
use crate::authority::Authority;
use crate::authority::keys::Keys;
use crate::config::Config;
use crate::core::{Secret, Size};
use crate::people::{People, Profile};
use crate::server::entry::Routes;
use crate::server::entry::handle;

const TUS: &str = "application/offset+octet-stream";

/// A control plane and what a data plane would remember.
struct Node {
    app: App,
    routes: Routes,
    _stop: watch::Sender<bool>,
}

/// An answer, taken apart.
struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Node {
    /// With one token, `secret`.
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::defaults();
        config.auth.tokens = vec![Secret::new("secret")];
        change(&mut config);
        let authority = Authority::of(Keys::of(&config, None), None);
        let (app, stop) = App::for_tests(config, authority);
        Self { routes: Routes::of(&app), app, _stop: stop }
    }

    /// The same with a user database of its own in `dir`.
    fn with_people(dir: &std::path::Path, change: impl FnOnce(&mut Config)) -> Self {
        let mut node = Self::new(change);
        let people = People::open(&node.app.node.config().user_system.database, &dir.join("users.db"));
        let keys = Keys::of(&node.app.node.config(), None);
        node.app.authority = Arc::new(Authority::of(keys, Some(people.clone())));
        node.app.people = Some(people);
        node.routes = Routes::of(&node.app);
        node
    }

    /// Signs a person in; returns their token and id.
    async fn sign_in(&self, name: &str, is_admin: bool) -> (String, i64) {
        let profile = Profile { subject: name.into(), username: name.into(), is_admin, ..Profile::default() };
        let session = self.app.people.as_ref().unwrap().sign_in(&profile).await.unwrap();
        (session.token.expose().to_owned(), session.session.user.id)
    }

    async fn raw(&self, request: Request) -> Answer {
        let response: Response = handle(&self.app, &self.routes, request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// A decide with a valid token. HEAD travels as GET; `body` is how the client framed its own.
    async fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let fields: Vec<(&str, &str)> = [("x-api-token", "secret")].iter().chain(fields).copied().collect();
        self.ask_as(method, path, &fields, body).await
    }

    async fn ask_as(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder()
            .method(if method == "HEAD" { "GET" } else { method })
            .uri(path)
            .header("host", "files.test:8765")
            .header(link::CALL, "decide")
            .header(link::PEER, "192.0.2.7:4000")
            .header(link::LISTENER, "192.0.2.1:8765")
            .header(link::BODY, body);
        if method == "HEAD" {
            request = request.header(link::METHOD, "HEAD");
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        self.raw(request.body(Body::empty()).unwrap()).await
    }

    /// The same with a body, as the data plane sends it after a forward.
    async fn send(&self, method: &str, path: &str, token: &str, body: Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "files.test:8765")
            .header(link::CALL, "attached")
            .header("x-api-token", token)
            .body(Body::from(body.to_string()));
        self.raw(request.unwrap()).await
    }

    async fn call(&self, path: &str, body: &impl serde::Serialize) -> Answer {
        let request = Request::post(path)
            .header(link::CALL, "call")
            .header("content-type", "application/json")
            .body(Body::from(serde_json::to_vec(body).unwrap()));
        self.raw(request.unwrap()).await
    }

    async fn tell(&self, facts: Vec<Fact>) {
        let answer = self.call(link::FACTS_PATH, &FactBatch { version: VERSION, run: 1, asked_by: 0, facts }).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    async fn orders(&self) -> Orders {
        let query = OrdersQuery {
            version: VERSION,
            run: 1,
            control_run: 0,
            epoch: 0,
            after: 0,
            busy: false,
            node: NodeFacts { engine: "ring".into(), addresses: vec!["192.0.2.1:8765".into()], ..NodeFacts::default() },
        };
        serde_json::from_slice(&self.call(link::ORDERS_PATH, &query).await.body).unwrap()
    }

    async fn removals(&self) -> Vec<ObjectId> {
        let object = |What::Remove { object, .. }| object;
        self.orders().await.orders.into_iter().map(|order| object(order.what)).collect()
    }

    /// Creates an upload of `length` bytes and tells its path.
    async fn create(&self, length: &str, fields: &[(&str, &str)]) -> (ObjectId, String) {
        let fields: Vec<(&str, &str)> = [("upload-length", length)].iter().chain(fields).copied().collect();
        let answer = self.ask("POST", "/tus", &fields, "0").await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let location = answer.field("location").to_owned();
        let path = location.strip_prefix("http://files.test:8765").unwrap().to_owned();
        (path.strip_prefix("/tus/").unwrap().parse().unwrap(), path)
    }

    async fn patch(&self, path: &str, offset: &str, bytes: &str) -> Answer {
        self.ask("PATCH", path, &[("content-type", TUS), ("upload-offset", offset)], bytes).await
    }

    /// The bytes of an upload all arrive.
    async fn complete(&self, object: ObjectId, length: u64) {
        self.tell(vec![Fact::Completed(presence(object, length, length))]).await;
    }

    async fn json(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, &[], "none").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }
}

impl Answer {
    fn grant(&self) -> Grant {
        assert_eq!(self.field("content-type"), GRANT_MEDIA_TYPE, "{} {}", self.status, self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    fn append(&self) -> Append {
        match self.grant().act {
            Act::Append(append) => append,
            other => panic!("{other:?}"),
        }
    }

    fn serve(&self) -> Serve {
        match self.grant().act {
            Act::Serve(serve) => serve,
            other => panic!("{other:?}"),
        }
    }

    fn field(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn presence(object: ObjectId, received: u64, length: u64) -> Presence {
    Presence {
        object,
        received,
        contiguous: received,
        spans: Span::new(0, received).into_iter().collect(),
        length: Some(length),
        complete: received == length,
        at_unix_ms: crate::clock::Clock::default().now_ms(),
    }
}

fn header<'g>(grant: &'g Grant, name: &str) -> Option<&'g str> {
    grant.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

fn serve_field<'s>(serve: &'s Serve, name: &str) -> Option<&'s str> {
    serve.fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

mod authority;
mod concatenation;
mod creation;
mod downloads;
mod facts;
mod listing;
mod openapi;
mod people;
mod probes;
mod quota;
mod uploads;
