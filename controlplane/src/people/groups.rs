//! The tables `groups` and `user_groups`.

use super::error::Fault;
use super::model::{Group, quota_json, stored_quota};
use super::pool::Transaction;
use super::sql::{Row, Value};
use super::users::lock;
use super::{People, PeopleError, fit};
use crate::clock::wall_ms;
use crate::quota::Quota;

/// Groups and how many are in each. The original's table of memberships may hold one twice.
macro_rules! select_groups {
    ($condition:literal) => {
        concat!(
            "SELECT g.id AS id, g.name AS name, g.description AS description, g.quota_json AS quota, \
             COUNT(DISTINCT m.user_id) AS members \
             FROM \"groups\" g LEFT JOIN user_groups m ON m.group_id = g.id ",
            $condition,
            " GROUP BY g.id, g.name, g.description, g.quota_json ORDER BY g.name"
        )
    };
}

impl People {
    /// All groups, by name.
    pub async fn groups(&self) -> Result<Vec<Group>, PeopleError> {
        self.work(|| async move {
            let rows = self.pool().rows(select_groups!(""), &[]).await?;
            Ok(rows.iter().map(group_of).collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Makes a group; [`PeopleError::Taken`] when there is one of that name.
    pub async fn create_group(
        &self,
        name: &str,
        description: &str,
        quota: Option<&Quota>,
    ) -> Result<Group, PeopleError> {
        let name = fit::fitting("name", name)?;
        let description = fit::description(description)?;
        self.work(|| async move {
            let mut transaction = self.pool().begin().await?;
            if id_of(&mut transaction, name).await?.is_some() {
                return Err(PeopleError::Taken.into());
            }
            let id = insert(&mut transaction, name, description, quota).await?;
            let group = group(&mut transaction, id).await?;
            transaction.commit().await?;
            Ok(group)
        })
        .await
    }

    /// Gives a group a quota.
    pub async fn set_group_quota(&self, id: i64, quota: &Quota) -> Result<Group, PeopleError> {
        let json = &quota_json(Some(quota));
        self.work(|| async move {
            let mut transaction = self.pool().begin().await?;
            let values = [Value::Text(json), Value::Int(id)];
            transaction.rows(r#"UPDATE "groups" SET quota_json = ? WHERE id = ?"#, &values).await?;
            let group = group(&mut transaction, id).await?;
            transaction.commit().await?;
            Ok(group)
        })
        .await
    }

    /// Removes a group and its memberships; one that is unknown is removed already.
    pub async fn delete_group(&self, id: i64) -> Result<(), PeopleError> {
        self.work(|| async move {
            let mut transaction = self.pool().begin().await?;
            transaction.rows("DELETE FROM user_groups WHERE group_id = ?", &[Value::Int(id)]).await?;
            transaction.rows(r#"DELETE FROM "groups" WHERE id = ?"#, &[Value::Int(id)]).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Puts a user into a group; who is in it already stays.
    pub async fn add_member(&self, group_id: i64, user_id: i64) -> Result<(), PeopleError> {
        self.work(|| async move {
            let mut transaction = self.pool().begin().await?;
            group(&mut transaction, group_id).await?;
            lock(&mut transaction, user_id).await?;
            if !group_ids(&mut transaction, user_id).await?.contains(&group_id) {
                join(&mut transaction, user_id, group_id).await?;
            }
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Takes a user out of a group; no error when it is not in it, or when there is no such user or group.
    pub async fn remove_member(&self, group_id: i64, user_id: i64) -> Result<(), PeopleError> {
        self.work(|| async move {
            let values = [Value::Int(user_id), Value::Int(group_id)];
            self.pool().rows("DELETE FROM user_groups WHERE user_id = ? AND group_id = ?", &values).await?;
            Ok(())
        })
        .await
    }
}

/// Makes the user's groups those that are named, and makes those that are missing. The user must be locked.
pub(super) async fn replace(transaction: &mut Transaction, user_id: i64, names: &[String]) -> Result<(), Fault> {
    let mut wanted = Vec::with_capacity(names.len());
    for name in names {
        wanted.push(match id_of(transaction, name).await? {
            Some(id) => id,
            None => insert(transaction, name, "", None).await?,
        });
    }
    // Two names may be one group where the database compares without regard to case.
    wanted.sort_unstable();
    wanted.dedup();
    let present = group_ids(transaction, user_id).await?;
    for id in present.iter().filter(|id| !wanted.contains(id)) {
        let values = [Value::Int(user_id), Value::Int(*id)];
        transaction.rows("DELETE FROM user_groups WHERE user_id = ? AND group_id = ?", &values).await?;
    }
    for id in wanted.iter().filter(|id| !present.contains(id)) {
        join(transaction, user_id, *id).await?;
    }
    Ok(())
}

async fn join(transaction: &mut Transaction, user_id: i64, group_id: i64) -> Result<(), sqlx::Error> {
    let values = [Value::Int(user_id), Value::Int(group_id)];
    transaction.rows("INSERT INTO user_groups (user_id, group_id) VALUES (?, ?)", &values).await?;
    Ok(())
}

async fn group_ids(transaction: &mut Transaction, user_id: i64) -> Result<Vec<i64>, sqlx::Error> {
    let rows = transaction.rows("SELECT group_id FROM user_groups WHERE user_id = ?", &[Value::Int(user_id)]).await?;
    rows.iter().map(|row| row.int("group_id")).collect()
}

async fn insert(
    transaction: &mut Transaction,
    name: &str,
    description: &str,
    quota: Option<&Quota>,
) -> Result<i64, Fault> {
    let json = quota_json(quota);
    let values = [Value::Text(name), Value::Text(description), Value::Text(&json), Value::Moment(wall_ms())];
    let statement = r#"INSERT INTO "groups" (name, description, quota_json, created_at) VALUES (?, ?, ?, ?)"#;
    transaction.rows(statement, &values).await?;
    Ok(id_of(transaction, name).await?.ok_or(PeopleError::UnknownGroup)?)
}

async fn id_of(transaction: &mut Transaction, name: &str) -> Result<Option<i64>, sqlx::Error> {
    let rows = transaction.rows(r#"SELECT id FROM "groups" WHERE name = ?"#, &[Value::Text(name)]).await?;
    rows.first().map(|row| row.int("id")).transpose()
}

async fn group(transaction: &mut Transaction, id: i64) -> Result<Group, Fault> {
    let rows = transaction.rows(select_groups!("WHERE g.id = ?"), &[Value::Int(id)]).await?;
    let row = rows.first().ok_or(PeopleError::UnknownGroup)?;
    Ok(group_of(row)?)
}

fn group_of(row: &Row) -> Result<Group, sqlx::Error> {
    Ok(Group {
        id: row.int("id")?,
        name: row.text("name")?,
        description: row.text("description")?,
        quota: stored_quota(row.maybe("quota")?.as_deref()),
        member_count: row.count("members")?,
    })
}
