//! What one person may use (easytransfer/CONTRACT.md §4, §6.2): four limits, and the retention that a role chooses for
//! uploads that do not say.
//!
//! Must stay true: `None` is unlimited and beats any number; a group without a quota says nothing
//! (easytransfer/CONTRACT.md §4).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::core::{Expected, Policy, Setting, Size};

/// RoleQuota of easytransfer/CONTRACT.md §6.2: bytes, and bytes per second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quota {
    /// Bytes stored, incomplete uploads included.
    pub max_storage_size: Option<u64>,
    /// Bytes of one file.
    pub max_upload_size: Option<u64>,
    /// Bytes per second towards the node.
    pub upload_speed_limit: Option<u64>,
    /// Bytes per second from the node.
    pub download_speed_limit: Option<u64>,
    /// What uploads get that do not say; `None` is shown as `permanent` and chooses nothing (easytransfer/CONTRACT.md
    /// §3).
    #[serde(serialize_with = "shown_policy")]
    pub default_retention: Option<Policy>,
    /// Seconds, when that is `ttl`.
    pub default_retention_ttl: Option<u64>,
}

fn shown_policy<S: Serializer>(policy: &Option<Policy>, serializer: S) -> Result<S::Ok, S::Error> {
    policy.unwrap_or(Policy::Permanent).serialize(serializer)
}

impl Quota {
    /// Its keys, in a file and on the wire.
    pub const FIELDS: [&str; 6] = [
        "max_storage_size",
        "max_upload_size",
        "upload_speed_limit",
        "download_speed_limit",
        "default_retention",
        "default_retention_ttl",
    ];

    /// The effective quota, field by field: without a group quota the role's; else the most generous of role and groups.
    /// `role` is `None` for a role that is not configured: unlimited. Retention comes from the role alone.
    pub fn effective<'q>(role: Option<&Self>, groups: impl IntoIterator<Item = &'q Self>) -> Self {
        let role = role.cloned().unwrap_or_default();
        groups.into_iter().fold(role, |sum, group| Self {
            max_storage_size: generous(sum.max_storage_size, group.max_storage_size),
            max_upload_size: generous(sum.max_upload_size, group.max_upload_size),
            upload_speed_limit: generous(sum.upload_speed_limit, group.upload_speed_limit),
            download_speed_limit: generous(sum.download_speed_limit, group.download_speed_limit),
            ..sum
        })
    }
}

/// The larger of two limits; no limit is the largest.
fn generous(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.zip(b).map(|(a, b)| a.max(b))
}

/// Quotas by role name (`user_system.role_quotas`, easytransfer/CONTRACT.md §9.3); given, the map replaces the default
/// as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleQuotas(pub BTreeMap<String, Quota>);

impl Default for RoleQuotas {
    /// The seed's: admin unlimited; user 10 GiB, 5 GiB a file; guest 1 GiB, 512 MiB, 10 MiB/s both ways.
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        const GIB: u64 = 1 << 30;
        let user = Quota { max_storage_size: Some(10 * GIB), max_upload_size: Some(5 * GIB), ..Quota::default() };
        let guest = Quota {
            max_storage_size: Some(GIB),
            max_upload_size: Some(512 * MIB),
            upload_speed_limit: Some(10 * MIB),
            download_speed_limit: Some(10 * MIB),
            ..Quota::default()
        };
        let named = [("admin", Quota::default()), ("user", user), ("guest", guest)];
        Self(named.into_iter().map(|(role, quota)| (role.to_owned(), quota)).collect())
    }
}

impl Setting for Quota {
    fn from_text(_: &str) -> Result<Self, Expected> {
        Err(Expected("a map such as {max_storage_size: 10G, upload_speed_limit: 10M}".into()))
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        let Value::Object(entries) = value else { return Self::from_text("") };
        if let Some(stranger) = entries.keys().find(|key| !Self::FIELDS.contains(&key.as_str())) {
            return Err(Expected(format!("one of {} instead of {stranger}", Self::FIELDS.join(", "))));
        }
        let limit = |name: &str| -> Result<Option<u64>, Expected> {
            let value = entries.get(name).filter(|value| !value.is_null());
            let size = value.map(Option::<Size>::from_value).transpose().map_err(|wrong| within(name, wrong))?;
            Ok(size.flatten().map(|size| size.0))
        };
        let policy = entries.get("default_retention").filter(|value| !value.is_null());
        let seconds = entries.get("default_retention_ttl").filter(|value| !value.is_null());
        Ok(Self {
            max_storage_size: limit("max_storage_size")?,
            max_upload_size: limit("max_upload_size")?,
            upload_speed_limit: limit("upload_speed_limit")?,
            download_speed_limit: limit("download_speed_limit")?,
            default_retention: policy
                .map(Policy::from_value)
                .transpose()
                .map_err(|wrong| within("default_retention", wrong))?,
            default_retention_ttl: seconds
                .map(u64::from_value)
                .transpose()
                .map_err(|wrong| within("default_retention_ttl", wrong))?,
        })
    }

    fn to_value(&self) -> Value {
        let mut map = serde_json::to_value(self).expect("a quota has only string keys, so it is always JSON");
        map["default_retention"] = self.default_retention.map_or(Value::Null, |policy| policy.word().into());
        map
    }
}

impl Setting for RoleQuotas {
    fn from_text(text: &str) -> Result<Self, Expected> {
        let value = serde_json::from_str(text).map_err(|_| Expected("a JSON map of roles".into()))?;
        Self::from_value(&value)
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        let Value::Object(entries) = value else { return Err(Expected("a map of roles".into())) };
        let entry = |(role, value): (&String, &Value)| {
            Ok((role.clone(), Quota::from_value(value).map_err(|wrong| within(role, wrong))?))
        };
        entries.iter().map(entry).collect::<Result<_, _>>().map(Self)
    }

    fn to_value(&self) -> Value {
        Value::Object(self.0.iter().map(|(role, quota)| (role.clone(), quota.to_value())).collect())
    }
}

fn within(key: &str, Expected(what): Expected) -> Expected {
    Expected(format!("{key}: {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn storage(max: Option<u64>, file: Option<u64>) -> Quota {
        Quota { max_storage_size: max, max_upload_size: file, ..Quota::default() }
    }

    #[test]
    fn section_4_effective_quota() {
        let user = storage(Some(1000), Some(500));
        // The vector of easytransfer/CONTRACT.md §18; group B without a quota is not in the list.
        let effective = Quota::effective(Some(&user), [&storage(Some(5000), None)]);
        assert_eq!(effective, storage(Some(5000), None));
        assert_eq!(Quota::effective(Some(&user), []), user);
        assert_eq!(Quota::effective(None, [&user]), Quota::default(), "a role absent from role_quotas is unlimited");
    }

    proptest! {
        #[test]
        fn section_4_a_group_never_takes_away(role in prop::option::of(0u64..9), groups in prop::collection::vec(prop::option::of(0u64..9), 0..5), one in prop::option::of(0u64..9)) {
            let quota = |max| storage(max, max);
            let mut groups: Vec<Quota> = groups.into_iter().map(quota).collect();
            let limit = |quota: Quota| quota.max_storage_size.unwrap_or(u64::MAX);
            let before = limit(Quota::effective(Some(&quota(role)), &groups));
            groups.push(quota(one));
            prop_assert_eq!(limit(Quota::effective(Some(&quota(role)), &groups)), before.max(limit(quota(one))));
        }
    }

    #[test]
    fn section_9_5_quotas_are_sizes() {
        let map = json!({"user": {"max_storage_size": "10GB", "upload_speed_limit": 1024, "max_upload_size": null}});
        let RoleQuotas(roles) = RoleQuotas::from_value(&map).unwrap();
        let user = &roles["user"];
        assert_eq!(
            (user.max_storage_size, user.upload_speed_limit, user.max_upload_size),
            (Some(10 << 30), Some(1024), None)
        );
        assert_eq!(roles.len(), 1, "a map replaces the default as a whole");
        for (wrong, told) in [
            (json!({"user": {"max_storage": 1}}), "user: one of max_storage_size"),
            (json!({"user": {"max_storage_size": "-1"}}), "user: max_storage_size"),
            (json!({"user": 5}), "user: a map"),
            (json!([]), "a map of roles"),
        ] {
            let Expected(text) = RoleQuotas::from_value(&wrong).unwrap_err();
            assert!(text.starts_with(told), "{text}");
        }
    }

    #[test]
    fn section_6_2_a_quota_on_the_wire() {
        let quota = Quota { max_storage_size: Some(5), ..Quota::default() };
        let wire = json!({
            "max_storage_size": 5, "max_upload_size": null, "upload_speed_limit": null, "download_speed_limit": null,
            "default_retention": "permanent", "default_retention_ttl": null,
        });
        assert_eq!(serde_json::to_value(&quota).unwrap(), wire);
        assert_eq!(serde_json::from_value::<Quota>(json!({"max_storage_size": 5})).unwrap(), quota);
    }
}
