//! FileStatus, the list, and deleting (CONTRACT.md §5.2, §5.4, §5.5).

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::name::Name;
use super::refusal::Refusal;
use super::{Job, store};
use crate::audit;
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::surface::secure_file_transfer::Service;

/// The FileStatus of a name: of its upload when there is one (CONTRACT.md §6.2 item 6).
pub fn of(name: &str, state: &Name) -> Response {
    Json(json(name, state)).into_response()
}

fn json(name: &str, state: &Name) -> Value {
    let (status, received, total, next) = match (&state.upload, &state.file) {
        (Some(upload), _) => ("partial", upload.content.bytes(), Some(upload.length()), upload.content.contiguous()),
        (None, Some(file)) => ("complete", file.length, Some(file.length), file.length),
        (None, None) => ("pending", 0, None, 0),
    };
    json!({
        "filename": name,
        "status": status,
        "bytes_received": received,
        "total_bytes": total,
        "next_expected_byte": next,
    })
}

/// `GET /api/files/status/{filename}`
pub fn get(app: &Service, job: &Job) -> Result<Decision, Refusal> {
    let name = store::read(app, &job.key())?;
    Ok(of(&job.name, &name).into())
}

/// `GET /api/files`
pub fn list(app: &Service, device: &str) -> Result<Decision, Refusal> {
    let names = store::names_of(app, device)?;
    let files: Vec<Value> = names.iter().map(|(name, state)| json(name, state)).collect();
    Ok(Json(json!({"files": files})).into_response().into())
}

/// `DELETE /api/files/{filename}`
pub async fn delete(app: &Service, job: &Job) -> Result<Decision, Refusal> {
    let key = job.key();
    let _alone = app.node.locks.lock(SurfaceId::SecureFileTransfer, &key).await;
    let before = store::read(app, &key)?;
    if before.is_empty() {
        return Err(Refusal::NoFile(job.name.clone()));
    }
    app.node.edit(store::change(&key, &before, &Name::default())).await?;
    app.openings.close(&key);
    for object in before.objects() {
        audit::surface(SurfaceId::SecureFileTransfer, &job.device, audit::DELETE, object);
    }
    Ok(Json(json!({"detail": format!("File {} deleted successfully", job.name)})).into_response().into())
}
