//! How much of its quota an account uses: `GET /file/storage-info/`, `POST /file/recalculate-storage/` (CONTRACT.md
//! §A4, §A8).

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::item::Item;
use super::store::Drive;
use crate::node::Edit;
use crate::surface::cloudbackend::api::{self, RequestContext, told};

/// What is used and what is left.
pub fn info(context: &RequestContext<'_>) -> Result<Response, api::Refusal> {
    let account = context.account()?;
    let used = Drive::of(context.node(), account.id).used();
    let body = json!({
        "quota": account.quota,
        "used_space": used,
        "available_space": account.quota.saturating_sub(used),
        "usage_percentage": percentage(used, account.quota),
        "message": "Success",
    });
    Ok(told(StatusCode::OK, body))
}

/// Adds all files up again.
pub async fn recalculate(context: &RequestContext<'_>) -> Result<Response, api::Refusal> {
    let account = context.account()?;
    let drive = Drive::of(context.node(), account.id);
    let _alone = drive.lock().await;
    let (old, new) = (drive.used(), drive.items().iter().map(Item::size).fold(0, u64::saturating_add));
    context.node().edit(drive.put_used(Edit::default(), new)).await?;
    let difference = i64::try_from(i128::from(new) - i128::from(old)).unwrap_or(i64::MIN);
    let body = json!({
        "old_used_space": old,
        "new_used_space": new,
        "difference": difference,
        "message": "Storage recalculated successfully",
    });
    Ok(told(StatusCode::OK, body))
}

/// With two decimals; nothing is left of a quota of nothing.
fn percentage(used: u64, quota: u64) -> f64 {
    if quota == 0 {
        return 100.0;
    }
    (used as f64 / quota as f64 * 10_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::percentage;

    #[test]
    fn a4_percentages_have_two_decimals() {
        for (used, quota, told) in
            [(0, 100, 0.0), (1, 3, 33.33), (2, 3, 66.67), (100, 100, 100.0), (1, 10_737_418_240, 0.0), (0, 0, 100.0)]
        {
            assert_eq!(percentage(used, quota), told, "{used} of {quota}");
        }
    }
}
