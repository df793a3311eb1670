//! What the operator does to accounts of a running node (`et server user`): over the node's own socket, which only its owner
//! can open, so no other caller is asked for a credential.

use std::io;
use std::path::{Path, PathBuf};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use etransfer_contract::link::CALL;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::fit;
use super::register::{Applicant, create};
use super::{Account, session};
use crate::audit;
use crate::bounds::PASSWORD_CHARS_MIN;
use crate::core::SurfaceId;
use crate::node::Edit;
use crate::socket;
use crate::surface::cloudbackend::Service;
use crate::surface::cloudbackend::api::Refusal;
use crate::surface::cloudbackend::drive;
use crate::surface::cloudbackend::settings::CloudBackend;
use crate::surface::password::Purpose;

const PATH: &str = "/line/cloudbackend/accounts";

/// What to do. Holds passwords in clear.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// A new account.
    Add {
        /// Its name.
        username: String,
        /// What people read; empty: the name.
        display_name: String,
        /// Its address; empty: none.
        email: String,
        /// In clear.
        password: String,
    },
    /// All of them.
    List,
    /// Neither its password nor its tokens count any more.
    Disable(String),
    /// It may log in again, with a new session.
    Enable(String),
    /// Another password; every session ends.
    SetPassword {
        /// Whose.
        username: String,
        /// In clear.
        password: String,
    },
}

/// An account, as the operator sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listed {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub username: String,
    /// Its address.
    pub email: String,
    /// Whether it may log in.
    pub is_active: bool,
    /// Whether it administers the surface.
    pub is_admin: bool,
    /// Bytes it may have.
    pub quota: u64,
    /// Bytes it has.
    pub used: u64,
}

/// The node did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// No node answers on the socket.
    #[error("no node runs on this storage directory; start it with `et server start`")]
    NotRunning,
    /// Another user's program answers there; it is told nothing.
    #[error("{0} is another user's socket, not the node's")]
    Foreign(PathBuf),
    /// The socket, or what came over it.
    #[error("speak to the node: {0}")]
    Line(#[source] io::Error),
    /// It says why.
    #[error("{0}")]
    Refused(String),
}

/// The route; only a program on the control link reaches it.
pub fn router() -> Router<Service> {
    Router::new().route(PATH, post(handle))
}

/// Has it done by the node that listens on the socket `line`; the accounts it was about.
pub async fn ask(line: &Path, command: &Command) -> Result<Vec<Listed>, ConsoleError> {
    let failed = |error: hyper::Error| ConsoleError::Line(io::Error::other(error));
    let stream = tokio::net::UnixStream::connect(line).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ConsoleError::NotRunning,
        _ => ConsoleError::Line(error),
    })?;
    if !socket::is_node_of(&stream, line) {
        return Err(ConsoleError::Foreign(line.to_owned()));
    }
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // It ends when `sender` is dropped.
    tokio::spawn(connection);
    let body = serde_json::to_vec(command).expect("a command is always JSON");
    let request = Request::post(PATH)
        .header(HOST, "node")
        .header(CALL, "call")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(bytes::Bytes::from(body)))
        .expect("a path and fields that are written here");
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(failed)?.to_bytes();
    if status == StatusCode::OK {
        return serde_json::from_slice(&body).map_err(|error| ConsoleError::Line(error.into()));
    }
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = told["detail"].as_str().map_or_else(|| format!("the node answers {status}"), str::to_owned);
    Err(ConsoleError::Refused(text))
}

async fn handle(State(app): State<Service>, Json(command): Json<Command>) -> Response {
    match act(&app, command).await {
        Ok(accounts) => Json(accounts.iter().map(|account| listed(&app, account)).collect::<Vec<_>>()).into_response(),
        Err(why) => (StatusCode::CONFLICT, Json(json!({"detail": why}))).into_response(),
    }
}

async fn act(app: &Service, command: Command) -> Result<Vec<Account>, String> {
    if !app.node.config().surfaces.of::<CloudBackend>().mount.enabled {
        return Err("surfaces.cloudbackend is not enabled".into());
    }
    match command {
        Command::List => Ok(Account::all(&app.node)),
        Command::Add { username, display_name, email, password } => {
            let fits = |told: &'static str| move |words: &'static str| format!("{told}: {words}");
            let username = fit::username(&username).map_err(fits("username"))?.to_owned();
            let email = if email.is_empty() { email } else { fit::email(&email).map_err(fits("email"))? };
            let names = json!({"display_name": display_name});
            let display_name = fit::display_name(&names, &username).map_err(fits("display name"))?;
            check_password(&password)?;
            let applicant = Applicant { username, display_name, email };
            let config = app.node.config();
            let cloud = config.surfaces.of::<CloudBackend>();
            let purpose = Purpose::Change;
            let account =
                create(&app.node, cloud, &app.passwords, (applicant, &password, purpose), |_, edit| edit).await;
            let done = vec![account.map_err(why)?];
            note("create account", &done);
            Ok(done)
        }
        Command::Disable(username) => set_active(app, &username, false).await,
        Command::Enable(username) => set_active(app, &username, true).await,
        Command::SetPassword { username, password } => {
            check_password(&password)?;
            let hashed = app.passwords.hash(Purpose::Change, &password).await;
            let phc = hashed.map_err(|busy| busy.to_string())?;
            let done = update(app, &username, |account, edit| account.set_password(&phc, edit)).await?;
            note("set password", &done);
            Ok(done)
        }
    }
}

async fn set_active(app: &Service, username: &str, is_active: bool) -> Result<Vec<Account>, String> {
    let done = update(app, username, |account, edit| account.set_active(is_active, edit)).await?;
    note(if is_active { "enable account" } else { "disable account" }, &done);
    Ok(done)
}

fn note(action: &'static str, accounts: &[Account]) {
    accounts
        .iter()
        .for_each(|account| audit::act_on(SurfaceId::CloudBackend, "the operator", action, &account.username));
}

/// Changes an account and ends its sessions.
async fn update(
    app: &Service,
    username: &str,
    write: impl FnOnce(&mut Account, Edit) -> Edit,
) -> Result<Vec<Account>, String> {
    let unknown = || format!("there is no account {username:?}");
    let node = &app.node;
    let id = Account::by_name(node, username).ok_or_else(unknown)?.id;
    let _alone = Account::lock(node, id).await;
    let _no_sessions = session::lock(node, id).await;
    let mut account = Account::read(node, id).ok_or_else(unknown)?;
    let edit = write(&mut account, Edit::default());
    node.edit(session::end_all(node, id, edit)).await.map_err(|error| error.to_string())?;
    node.revoke();
    Ok(vec![account])
}

fn check_password(password: &str) -> Result<(), String> {
    let is_fit = !password.trim().is_empty() && password.chars().count() >= PASSWORD_CHARS_MIN;
    is_fit.then_some(()).ok_or_else(|| format!("the password needs {PASSWORD_CHARS_MIN} characters"))
}

/// Words of a refusal for the operator.
fn why(refusal: Refusal) -> String {
    match refusal {
        Refusal::Fields(faults) => {
            let texts = faults.values().filter_map(|texts| texts[0].as_str());
            texts.collect::<Vec<_>>().join(" ")
        }
        Refusal::NodeFull => "the node's disk is full".into(),
        _ => "the node cannot do this now; try again".into(),
    }
}

fn listed(app: &Service, account: &Account) -> Listed {
    let config = app.node.config();
    let cloud = config.surfaces.of::<CloudBackend>();
    Listed {
        id: account.id,
        username: account.username.clone(),
        email: account.email.clone(),
        is_active: account.is_active,
        is_admin: account.is_admin(cloud),
        quota: account.quota,
        used: drive::used(&app.node, account.id),
    }
}
