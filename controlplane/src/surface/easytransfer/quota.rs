//! The limits of one person (CONTRACT.md §4): their size at creation, their sum at every body. Node limits stand in
//! `tus`.

use etransfer_contract::grant::Rate;
use http::HeaderName;
use http::header::RETRY_AFTER;

use crate::authority::Caller;
use crate::catalogue::Owner;
use crate::core::UserCheck;
use crate::core::UserId;
use crate::node::{Account, Room, Whose};
use crate::quota::Quota;
use crate::surface::easytransfer::Service;
use crate::surface::refusal::Refused;

/// `Retry-After` of a 507, in seconds.
const RETRY_FULL_S: u64 = 10;
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// How fast `caller` may send to this node (CONTRACT.md §8.7): one rate per person, over all their connections.
pub fn upload_rate(caller: &Caller) -> Option<Rate> {
    let person = caller.signed_in()?;
    Some(Rate { key: format!("{}:up", caller.who.as_str()), bytes_per_s: person.quota.upload_speed_limit? })
}

/// How fast `caller` may receive.
pub fn download_rate(caller: &Caller) -> Option<Rate> {
    let person = caller.signed_in()?;
    Some(Rate { key: format!("{}:down", caller.who.as_str()), bytes_per_s: person.quota.download_speed_limit? })
}

impl Service {
    /// What a person may use at this moment; a person who no longer exists has no limits left to keep.
    pub async fn quota_of(&self, id: UserId, caller: &Caller) -> Result<Quota, Refused> {
        if let Some(person) = caller.signed_in().filter(|person| person.user.id == id) {
            return Ok(person.quota.clone());
        }
        let Some(people) = &self.people else { return Ok(Quota::default()) };
        let user = people.user(id).await?;
        let roles = &self.node.config().user_system.role_quotas;
        Ok(user.map_or_else(Quota::default, |user| user.effective(roles)))
    }

    /// The account that bytes of an upload of `owner` are put on.
    pub async fn account_of(&self, owner: Option<&Owner>, caller: &Caller) -> Result<Option<Account>, Refused> {
        let Some(id) = owner.and_then(Owner::person) else { return Ok(None) };
        let quota = self.quota_of(id, caller).await?;
        Ok(Some(Account { owner: Owner::Person(id), max: quota.max_storage_size }))
    }

    /// At creation: 413 above the largest file, 507 for what can never fit, or does not fit now when that is asked.
    pub fn check_person(&self, caller: &Caller, length: Option<u64>) -> Result<(), Refused> {
        let Some((person, length)) = caller.signed_in().zip(length) else { return Ok(()) };
        if person.quota.max_upload_size.is_some_and(|max| length > max) {
            return Err(Refused::new(413, "Upload-Length is above the largest file you may upload"));
        }
        let Some(max) = person.quota.max_storage_size else { return Ok(()) };
        let account = Account { owner: Owner::Person(person.user.id), max: Some(max) };
        if length > max {
            return Err(no_room(Room::Full { whose: Whose::Person, used: self.node.used_by(&account.owner), max }, 0));
        }
        match self.node.config().user_check {
            UserCheck::Patch => Ok(()),
            UserCheck::Create => match self.node.would_fit(length, &account) {
                Room::Unlimited | Room::Promised(_) => Ok(()),
                room @ (Room::Full { .. } | Room::Unknown) => Err(no_room(room, 0)),
            },
        }
    }
}

/// 507 as CONTRACT.md §4 words it: the seed's fields, of the node or of the person, and a JSON body.
pub fn no_room(room: Room, offset: u64) -> Refused {
    let Room::Full { whose, used, max } = room else {
        // The data plane has not told yet what it holds: a moment.
        return Refused::new(503, "the node is still counting what it stores").with(RETRY_AFTER, "1");
    };
    let field = |name: &'static str| HeaderName::from_static(name);
    let (message, used_field, max_field) = match whose {
        Whose::Node => ("no space left on this node", field("x-storage-used"), field("x-storage-max")),
        Whose::Person => ("your storage quota is used up", field("x-user-storage-used"), field("x-user-storage-max")),
    };
    let refused = Refused::full(message, RETRY_FULL_S)
        .with(UPLOAD_OFFSET, offset.to_string())
        .with(RETRY_AFTER, RETRY_FULL_S.to_string())
        .with(used_field, used.to_string())
        .with(max_field, max.to_string());
    match whose {
        Whose::Node => refused.with(field("x-storage-available"), max.saturating_sub(used).to_string()),
        Whose::Person => refused,
    }
}
