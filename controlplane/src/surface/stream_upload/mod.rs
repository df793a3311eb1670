//! The stream upload dialect (CONTRACT.md): chunks addressed by index, all parameters in `x-` fields.
//!
//! * [`user`] who asks · [`head`] for which chunk · [`refusal`] every refusal, its status and its words
//! * [`chunk`] a chunk's way in · [`build`] an asset of all of them · [`answer`] what is told
//! * [`upload`] which chunks are there, and where · [`store`] where that is kept
//! * [`asset`] what comes back · [`cleanup`] uploads that are not continued
//!
//! Must stay true: a request is authenticated before anything else of it is looked at; a user's uploads are found through
//! their own key alone. What a request must know between two steps stands in their memo ([`Note`]).

pub mod answer;
pub mod asset;
pub mod build;
pub mod chunk;
pub mod cleanup;
pub mod head;
pub mod refusal;
mod service;
pub mod settings;
pub mod store;
pub mod upload;
pub mod user;

pub use service::Service;

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::response::IntoResponse;
use etransfer_contract::step::Outcome;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::build::Built;
use self::chunk::Chunk;
use self::head::ChunkHead;
use self::refusal::Refusal;
use self::store::State;
use self::user::User;
use super::cross_origin::is_preflight;
use super::own_url;
use super::recheck::Right;
use crate::audit;
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::link::meta::Meta;
use crate::mounts::Mounted;
use crate::surface::reported::Reported;
use crate::surface::stream_upload::settings::StreamUpload;

/// This dialect in messages and metrics.
pub const NAME: &str = "stream_upload";

/// What a request's next outcome is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Memo {
    /// The beginning of a form.
    #[serde(rename = "preface")]
    FormFields,
    /// A chunk.
    Data(chunk::Coming),
    /// The whole file.
    Build(build::Building),
}

/// A memo, and whose request it is.
#[derive(Serialize, Deserialize)]
pub struct Note {
    /// Who.
    pub user: User,
    /// What.
    pub memo: Memo,
}

impl Note {
    /// For a step.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("a note is JSON: its keys are its fields")
    }
}

/// A request, taken apart.
struct RequestContext<'r> {
    app: &'r Service,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    meta: Meta,
    prefix: &'r str,
}

/// Whether the user of a transfer under way still may.
pub async fn right(app: &Service, request: Request) -> Right {
    let is_open = app.node.config().surfaces.of::<StreamUpload>().public_assets
        && matches!(*request.method(), Method::GET | Method::HEAD)
        && request.uri().path().starts_with("/api/scratch/assets/");
    if is_open {
        return Right::of(true);
    }
    match user::authenticate(app, request.method(), request.uri(), request.headers()).await {
        Ok(user) => Right::Holds { rate: None, account: Some(user.account()) },
        Err(Refusal::NeedLogin | Refusal::InvalidToken) => Right::Ended,
        Err(_) => Right::Unknown,
    }
}

/// One request to its answer.
pub async fn handle(app: &Service, mounted: &Mounted, request: Request) -> Decision {
    let config = app.node.config();
    let pages = user::pages(config.surfaces.of::<StreamUpload>());
    if is_preflight(&request) {
        return match pages.preflight(request.headers()) {
            Some(fields) => (StatusCode::NO_CONTENT, fields).into_response().into(),
            None => StatusCode::FORBIDDEN.into_response().into(),
        };
    }
    let fields = pages.fields(request.headers());
    let context = RequestContext {
        app,
        method: request.method().clone(),
        uri: request.uri().clone(),
        headers: request.headers().clone(),
        meta: *request.extensions().get::<Meta>().expect("the entry layer put it there"),
        prefix: &mounted.prefix,
    };
    let mut decision = context.answer(request).await.unwrap_or_else(|refusal| refusal.into_response().into());
    if let Some(fields) = fields {
        decision.add_fields(&fields);
    }
    decision
}

impl RequestContext<'_> {
    async fn answer(&self, request: Request) -> Result<Decision, Refusal> {
        let path = self.uri.path().trim_end_matches('/').to_owned();
        let Some(rest) = path.strip_prefix("/api/scratch/") else { return Err(Refusal::NotFound) };
        let segments: Vec<&str> = rest.split('/').collect();
        match (segments.as_slice(), self.method.as_str()) {
            (["stream-upload"], "POST") => self.upload(request).await,
            (["stream-upload"], _) => Err(Refusal::Method("POST")),
            (["upload-status", id @ ..], "GET" | "HEAD") => self.status(request, id).await,
            (["upload-status", ..], _) => Err(Refusal::Method("GET")),
            (["cancel-upload", id @ ..], "DELETE") => self.cancel(id).await,
            (["cancel-upload", ..], _) => Err(Refusal::Method("DELETE")),
            (["assets"], "GET" | "HEAD") => Ok(asset::list(self.app, &self.user().await?, &self.base()).into()),
            (["assets"], _) => Err(Refusal::Method("GET")),
            (["assets", id], "GET" | "HEAD") => {
                let is_public = self.app.node.config().surfaces.of::<StreamUpload>().public_assets;
                let user = if is_public { None } else { Some(self.user().await?) };
                asset::serve(self.app, user.as_ref(), id, &self.method, &self.headers)
            }
            (["assets", id], "DELETE") => asset::delete(self.app, &self.user().await?, id).await,
            (["assets", _], _) => Err(Refusal::Method("GET, HEAD, DELETE")),
            _ => Err(Refusal::NotFound),
        }
    }

    async fn user(&self) -> Result<User, Refusal> {
        user::authenticate(self.app, &self.method, &self.uri, &self.headers).await
    }

    /// Whose step this is has the right to it still. People who cannot be asked now were let in before.
    async fn still(&self, user: &User) -> Result<(), Refusal> {
        match self.user().await {
            Ok(now) if now.key == user.key => Ok(()),
            Ok(_) => Err(Refusal::InvalidToken),
            Err(refusal @ (Refusal::NeedLogin | Refusal::InvalidToken)) => Err(refusal),
            Err(_) => Ok(()),
        }
    }

    /// What the address of an asset begins with.
    fn base(&self) -> String {
        let config = self.app.node.config();
        match &config.surfaces.of::<StreamUpload>().base_url {
            Some(url) => url.0.clone(),
            None => format!("{}{}", own_url::base(&config, &self.meta, &self.headers), self.prefix),
        }
    }

    /// A chunk, at the step it has come to.
    async fn upload(&self, request: Request) -> Result<Decision, Refusal> {
        let told = match Reported::from_request(request, self.app).await {
            Ok(Reported(told)) => told,
            Err(response) => return Ok(response),
        };
        let chunk = |user| -> Result<Chunk<'_>, Refusal> {
            let config = self.app.node.config();
            let settings = config.surfaces.of::<StreamUpload>();
            let head = ChunkHead::read(&self.headers, settings.max_chunks, settings.max_file_bytes.0)?;
            Ok(Chunk { app: self.app, user, head, headers: &self.headers, meta: self.meta, base: self.base() })
        };
        let Some(Outcome { ticket, continuation: memo, report: told, .. }) = told else {
            return chunk(self.user().await?)?.begin();
        };
        let Note { user, memo } = read(&memo)?;
        self.still(&user).await?;
        let chunk = chunk(user)?;
        match memo {
            Memo::FormFields => chunk.preface(told),
            Memo::Data(coming) => chunk.data(coming, ticket, told).await,
            Memo::Build(building) => match build::built(self.app, &chunk.user, &building, told).await? {
                Built::Again(response) => Ok(response),
                Built::Asset(State::Done { asset, about, .. }) => {
                    answer::chunk_of_asset(&chunk, &about, asset).map(Decision::from).ok_or(Refusal::NoAsset)
                }
                Built::Asset(_) => Err(Refusal::Internal),
            },
        }
    }

    /// CONTRACT.md §5. An upload whose chunks are all there becomes an asset first: the client has nothing left to
    /// send.
    async fn status(&self, request: Request, id: &[&str]) -> Result<Decision, Refusal> {
        let told = match Reported::from_request(request, self.app).await {
            Ok(Reported(told)) => told,
            Err(response) => return Ok(response),
        };
        let user = match told {
            None => self.user().await?,
            Some(Outcome { continuation: memo, report: told, .. }) => {
                let Note { user, memo: Memo::Build(building) } = read(&memo)? else { return Err(Refusal::Internal) };
                self.still(&user).await?;
                if let Built::Again(response) = build::built(self.app, &user, &building, told).await? {
                    return Ok(response);
                }
                user
            }
        };
        let id = checked(id)?;
        let key = store::key(&user, id);
        // The pages are those of this state.
        let _alone = self.app.node.locks.lock(SurfaceId::StreamUpload, &key).await;
        match store::read(self.app, &key)? {
            Some(State::Open(mut upload)) => {
                store::read_pages(&self.app.node, &mut upload)?;
                match upload.is_full() {
                    true => build::begin(self.app, &user, id, &upload),
                    false => Ok(Json(answer::status(&upload)).into_response().into()),
                }
            }
            Some(State::Done { asset, about, .. }) => {
                let asset = answer::asset_of(self.app, asset, &self.base()).ok_or(Refusal::NoUpload)?;
                Ok(Json(answer::status_of_asset(&about, asset)).into_response().into())
            }
            Some(State::Cancelled { .. }) | None => Err(Refusal::NoUpload),
        }
    }

    /// CONTRACT.md §6.
    async fn cancel(&self, id: &[&str]) -> Result<Decision, Refusal> {
        let user = self.user().await?;
        let key = store::key(&user, checked(id)?);
        let _alone = self.app.node.locks.lock(SurfaceId::StreamUpload, &key).await;
        let state = store::read(self.app, &key)?.ok_or(Refusal::NoUpload)?;
        match &state {
            State::Done { asset, .. } if answer::asset_of(self.app, *asset, "").is_some() => {
                return Err(Refusal::Finished);
            }
            State::Done { .. } => return Err(Refusal::NoUpload),
            State::Cancelled { .. } => {}
            State::Open(upload) => {
                let after = State::Cancelled { at_ms: self.app.node.clock.now_ms() };
                self.app.node.edit(store::change(&self.app.node, &key, Some(&state), Some(&after))?).await?;
                self.app.openings.close(&key);
                audit::surface(SurfaceId::StreamUpload, &user.key, audit::DELETE, upload.base);
            }
        }
        Ok(Json(json!({"status": "success", "message": "上传已取消"})).into_response().into())
    }
}

fn read(memo: &str) -> Result<Note, Refusal> {
    serde_json::from_str(memo).map_err(|error| {
        tracing::error!(%error, "a step's memo cannot be read");
        Refusal::Internal
    })
}

/// The one segment that is an upload id.
fn checked<'s>(segments: &[&'s str]) -> Result<&'s str, Refusal> {
    match segments {
        [id] if head::is_id(id) => Ok(id),
        _ => Err(Refusal::Incomplete),
    }
}

#[cfg(test)]
mod golden;
