//! What is known about people.

use crate::core::Secret;
use crate::quota::{Quota, RoleQuotas};

/// What a person is allowed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Less than a user; only ever given by an administrator.
    Guest,
    /// What everybody is at first.
    User,
    /// May administer people.
    Admin,
}

impl Role {
    /// As it is stored and shown, and as `role_quotas` calls it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::User => "user",
            Self::Admin => "admin",
        }
    }

    /// `None` for an unknown word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Guest, Self::User, Self::Admin].into_iter().find(|role| role.word() == word)
    }

    /// The role in a row; one that another program made up has the least rights.
    pub(super) fn from_stored(word: &str) -> Self {
        Self::from_word(&word.to_ascii_lowercase()).unwrap_or(Self::Guest)
    }
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The row.
    pub id: i64,
    /// Who it is to the login provider.
    pub subject: String,
    /// What it is called.
    pub username: String,
    /// Its name in full.
    pub display_name: Option<String>,
    /// Its address.
    pub email: Option<String>,
    /// Its picture.
    pub avatar_url: Option<String>,
    /// Given here; a login does not change it.
    pub role: Role,
    /// Whether it may come in.
    pub is_active: bool,
    /// The provider says so, at each login again.
    pub is_admin: bool,
    /// Bytes charged to it.
    pub storage_used: u64,
    /// The groups it is in, by name.
    pub groups: Vec<Membership>,
}

impl User {
    /// Whether it may administer people (easytransfer/CONTRACT.md §6.3).
    pub fn is_administrator(&self) -> bool {
        self.is_admin || self.role == Role::Admin
    }

    /// What it may use (easytransfer/CONTRACT.md §4): a group without a stored quota does not count.
    pub fn effective(&self, roles: &RoleQuotas) -> Quota {
        let groups = self.groups.iter().filter_map(|group| group.quota.as_ref());
        Quota::effective(roles.0.get(self.role.word()), groups)
    }
}

/// A group as its member sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The group's name.
    pub name: String,
    /// Its quota, when it was given one.
    pub quota: Option<Quota>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The row.
    pub id: i64,
    /// Unique.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// What it was given; a group that a login brought along has none.
    pub quota: Option<Quota>,
    /// How many are in it.
    pub member_count: u64,
}

/// A person who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub user: User,
    /// Until when, in Unix milliseconds.
    pub expires_ms: u64,
}

/// A session just made: the only moment at which its token is known.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// What its holder presents from now on.
    pub token: Secret,
    /// Who holds it, and until when.
    pub session: Session,
}

/// The quota in `quota_json`: missing keys are null, and `{}` is none at all (easytransfer/CONTRACT.md §4). What cannot
/// be read is none as well: it lifts no limit.
pub(super) fn stored_quota(json: Option<&str>) -> Option<Quota> {
    let map: serde_json::Map<_, _> = serde_json::from_str(json?).ok()?;
    if map.is_empty() { None } else { serde_json::from_value(map.into()).ok() }
}

/// The text for `quota_json`.
pub(super) fn quota_json(quota: Option<&Quota>) -> String {
    quota.map_or("{}".into(), |quota| {
        serde_json::to_string(quota).expect("a quota has only string keys, so it is always JSON")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(max: u64) -> Quota {
        Quota { max_storage_size: Some(max), ..Quota::default() }
    }

    #[test]
    fn section_10_quota_json_is_read_tolerantly() {
        for (json, quota) in [
            (Some("{}"), None),
            (None, None),
            (Some(""), None),
            (Some("null"), None),
            (Some("[1]"), None),
            (Some("{broken"), None),
            (Some(r#"{"max_storage_size": "lots"}"#), None),
            (Some(r#"{"max_storage_size": -1}"#), None),
            (Some(r#"{"max_storage_size": 5}"#), Some(storage(5))),
            (Some(r#"{"max_storage_size": 5, "from_the_future": 1}"#), Some(storage(5))),
            (Some(r#"{"max_storage_size": null}"#), Some(Quota::default())),
        ] {
            assert_eq!(stored_quota(json), quota, "{json:?}");
        }
        assert_eq!(quota_json(None), "{}");
        let kept = stored_quota(Some(&quota_json(Some(&storage(7))))).unwrap();
        assert_eq!(kept.max_storage_size, Some(7));
    }

    #[test]
    fn section_4_a_group_without_a_quota_lifts_nothing() {
        let group = |name: &str, quota| Membership { name: name.into(), quota };
        let mut user = User {
            id: 1,
            subject: "s".into(),
            username: "u".into(),
            display_name: None,
            email: None,
            avatar_url: None,
            role: Role::User,
            is_active: true,
            is_admin: false,
            storage_used: 0,
            groups: vec![group("a", Some(storage(5000))), group("b", None)],
        };
        let limits = Quota { max_storage_size: Some(1000), max_upload_size: Some(500), ..Quota::default() };
        let roles = RoleQuotas([("user".to_owned(), limits.clone())].into());
        assert_eq!(user.effective(&roles), storage(5000), "the vector of easytransfer/CONTRACT.md §18");
        user.groups.remove(0);
        assert_eq!(user.effective(&roles), limits);
        user.role = Role::Guest;
        assert_eq!(user.effective(&roles), Quota::default(), "a role that is not in the map is unlimited");
    }

    #[test]
    fn section_6_3_who_is_an_administrator() {
        for (word, role) in
            [("guest", Role::Guest), ("ADMIN", Role::Admin), ("user", Role::User), ("root", Role::Guest)]
        {
            assert_eq!(Role::from_stored(word), role);
        }
        assert_eq!((Role::from_word("admin"), Role::from_word("Admin")), (Some(Role::Admin), None));
    }
}
