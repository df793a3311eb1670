//! `POST /file/{id}/download/` (CONTRACT.md §A4): a signed URL that is good for a while (CONTRACT.md §B6); with a
//! share's code for anybody (CONTRACT.md §A6).

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::address::Address;
use super::delete::own;
use super::item::Item;
use super::refusal::{Doing, Refusal};
use super::store::{Drive, owner_of};
use crate::surface::cloudbackend::api::texts::Text;
use crate::surface::cloudbackend::api::{self, RequestContext, told};
use crate::surface::cloudbackend::basis::{self, Basis};
use crate::surface::cloudbackend::drop;
use crate::surface::cloudbackend::oss::parameters::Parameters;
use crate::surface::cloudbackend::oss::signature::{KeyPair, Signed};
use crate::surface::cloudbackend::user::Account;
use crate::surface::disposition;

/// A link to a file.
pub async fn download(context: &RequestContext<'_>, id: u64) -> Result<Response, api::Refusal> {
    let (account, item, share) = match context.text("code").filter(|code| !code.is_empty()) {
        Some(code) => {
            let share = drop::may_download(context, code, id).await?;
            let owner = owner_of(context.node(), id).and_then(|owner| Account::read(context.node(), owner));
            let owner = owner.ok_or(Refusal::NoFile(Doing::Download))?;
            let item = Drive::of(context.node(), owner.id).item(id);
            (owner, item, Some(share))
        }
        None => {
            let account = context.account()?;
            let item = own(context, account.id, id, Doing::Download)?.item(id);
            (account, item, None)
        }
    };
    let basis = Basis::of_file(&account, id, share);
    let url = link(context, &item.ok_or(Refusal::NoFile(Doing::Download))?, basis)?;
    Ok(told(StatusCode::OK, json!({"download_url": url, "message": context.say(Text::LinkMade)})))
}

/// Saved under the name of the record, whatever the key is.
fn link(context: &RequestContext<'_>, item: &Item, basis: Basis) -> Result<String, Refusal> {
    let key = item.key().ok_or(Refusal::FolderDownload)?;
    let cloud = context.cloud();
    let parameters = Parameters::of([
        ("response-content-disposition", disposition::attachment(&item.name)),
        (basis::PARAMETER, basis.to_string()),
    ]);
    let headers = HeaderMap::new();
    let signed = Signed {
        verb: "GET",
        headers: &headers,
        bucket: &cloud.bucket,
        key: Some(key.as_str()),
        parameters: &parameters,
    };
    let expires = (context.now_ms() / 1000).saturating_add(cloud.download_url_seconds);
    let query = KeyPair::of(cloud).presigned_query(&signed, expires);
    Ok(format!("{}?{query}", Address::of_request(context).url(key)))
}
