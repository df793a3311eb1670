//! Uploads in parts that were not counted yet: a document `open/<hex of the user>/<id>` for each, made with the record and
//! gone once the upload is counted as the user's, or ended. The data plane tells of a completion as a fact, to no
//! request in particular; a request that needs the counts, or takes records away, asks here first.

use etransfer_contract::ObjectId;

use super::is_over;
use crate::catalogue::WriteError;
use crate::core::SurfaceId;
use crate::node::{Edit, Look, Node};
use crate::surface::pyblobserver::Service;
use crate::surface::pyblobserver::file::Detail;
use crate::surface::pyblobserver::tokens::hex;
use crate::surface::pyblobserver::user::User;

/// Documents changed in one edit.
const EDIT_MAX: usize = 500;
const PREFIX: &str = "open/";

fn prefix(user: &str) -> String {
    format!("{PREFIX}{}/", hex(user.as_bytes()))
}

/// An upload of `user` begins.
pub fn awaited(user: &str, id: ObjectId, edit: Edit) -> Edit {
    edit.write(SurfaceId::PyBlobServer, prefix(user) + &id.to_string(), "{}")
}

/// It is counted, or ended.
pub fn forgotten(user: &str, id: ObjectId, edit: Edit) -> Edit {
    edit.erase(SurfaceId::PyBlobServer, prefix(user) + &id.to_string())
}

/// Counts what `user` finished, and ends what took too long.
pub async fn count(app: &Service, user: &str) -> Result<(), WriteError> {
    if app.node.docs_under(SurfaceId::PyBlobServer, &prefix(user)).is_empty() {
        return Ok(());
    }
    let _alone = User::lock(&app.node, user).await;
    count_alone(&app.node, user).await
}

/// As [`count`], for who holds the user's lock.
pub async fn count_alone(node: &Node, user: &str) -> Result<(), WriteError> {
    let prefix = prefix(user);
    let open = node.docs_under(SurfaceId::PyBlobServer, &prefix);
    let ids: Vec<ObjectId> =
        open.iter().filter_map(|(key, _)| key.strip_prefix(&prefix)).filter_map(|id| id.parse().ok()).collect();
    let now = node.clock.now_ms();
    for part in ids.chunks(EDIT_MAX) {
        let (mut edit, mut ended) = (Edit::default(), 0);
        let mut kept = User::read(node, user).unwrap_or_default();
        for &id in part {
            let is_gone = match node.look(SurfaceId::PyBlobServer, id) {
                Look::There(entry) if entry.record.is_complete() => {
                    kept.count_upload(entry.record.length.unwrap_or(0), entry.record.completed_ms.unwrap_or(now));
                    true
                }
                // PROMISES.md P11: a clock that was stepped deletes nothing.
                Look::There(entry) if is_over(&entry.record, now) && node.clock.agrees() => {
                    debug_assert!(Detail::of(&entry.record).is_tus, "only uploads in parts have such a document");
                    edit = edit.delete(id);
                    true
                }
                Look::There(_) => false,
                Look::Expired | Look::Unknown => true,
            };
            if is_gone {
                edit = forgotten(user, id, edit);
                ended += 1;
            }
        }
        if ended > 0 {
            node.edit(kept.write(user, edit)).await?;
        }
    }
    Ok(())
}

/// Users who have uploads that were not counted yet.
pub fn users(node: &Node) -> Vec<String> {
    let open = node.docs_under(SurfaceId::PyBlobServer, PREFIX);
    let user = |key: &str| {
        let (hex, _) = key.strip_prefix(PREFIX)?.split_once('/')?;
        let digits: Option<Vec<u8>> = hex.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect();
        String::from_utf8(digits?.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()).ok()
    };
    let mut users: Vec<String> = open.iter().filter_map(|(key, _)| user(key)).collect();
    users.dedup();
    users
}
