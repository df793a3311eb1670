//! The table `users`, read with the groups each one is in.

use super::error::Fault;
use super::model::{Membership, Role, User, stored_quota};
use super::pool::Transaction;
use super::sql::{Row, Value};
use super::{People, PeopleError};
use crate::clock::wall_ms;

/// Columns and tables of everything that reads users; one row per membership, one for who has none.
macro_rules! select_users {
    ($columns:literal, $tail:literal) => {
        concat!(
            "SELECT ",
            $columns,
            "u.id AS id, u.oidc_sub AS subject, u.username AS username, u.display_name AS display_name, \
             u.email AS email, u.avatar_url AS avatar_url, u.role AS role, u.is_active AS is_active, \
             u.is_admin AS is_admin, u.storage_used AS storage_used, \
             g.id AS group_id, g.name AS group_name, g.quota_json AS group_quota \
             FROM users u LEFT JOIN user_groups m ON m.user_id = u.id LEFT JOIN \"groups\" g ON g.id = m.group_id ",
            $tail
        )
    };
}
pub(super) use select_users;

const ONE_USER: &str = select_users!("", "WHERE u.id = ? ORDER BY g.name");

impl People {
    /// One user.
    pub async fn user(&self, id: i64) -> Result<Option<User>, PeopleError> {
        self.work(|| async move {
            let rows = self.pool().rows(ONE_USER, &[Value::Int(id)]).await?;
            Ok(users_of(&rows)?.pop())
        })
        .await
    }

    /// All users, newest first.
    pub async fn users(&self) -> Result<Vec<User>, PeopleError> {
        self.work(|| async move {
            let statement = select_users!("", "ORDER BY u.created_at DESC, u.id DESC, g.name");
            Ok(users_of(&self.pool().rows(statement, &[]).await?)?)
        })
        .await
    }

    /// How many there are.
    pub async fn count_users(&self) -> Result<u64, PeopleError> {
        self.work(|| async move {
            let rows = self.pool().rows("SELECT COUNT(*) AS total FROM users", &[]).await?;
            Ok(rows.first().map_or(Ok(0), |row| row.count("total"))?)
        })
        .await
    }

    /// Gives a role; logins leave it alone.
    pub async fn set_role(&self, id: i64, role: Role) -> Result<(), PeopleError> {
        self.work(|| async move {
            let mut transaction = self.pool().begin().await?;
            lock(&mut transaction, id).await?;
            let values = [Value::Text(role.word()), Value::Int(id)];
            transaction.rows("UPDATE users SET role = ? WHERE id = ?", &values).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Lets a user in or keeps it out. Who is kept out has no session from then on.
    pub async fn set_active(&self, id: i64, active: bool) -> Result<(), PeopleError> {
        self.work(|| async move {
            let mut transaction = self.pool().begin().await?;
            lock(&mut transaction, id).await?;
            let values = [Value::Flag(active), Value::Int(id)];
            transaction.rows("UPDATE users SET is_active = ? WHERE id = ?", &values).await?;
            if !active {
                transaction.rows("DELETE FROM sessions WHERE user_id = ?", &[Value::Int(id)]).await?;
            }
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Writes down what is charged to a user, in bytes. One who is gone is charged nothing, and that is no error.
    pub async fn set_storage_used(&self, id: i64, bytes: u64) -> Result<(), PeopleError> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.work(|| async move {
            let values = [Value::Int(bytes), Value::Int(id)];
            self.pool().rows("UPDATE users SET storage_used = ? WHERE id = ?", &values).await?;
            Ok(())
        })
        .await
    }
}

/// Writes the user's row, which is the lock on everything that is the user's, until the transaction ends.
pub(super) async fn lock(transaction: &mut Transaction, id: i64) -> Result<(), Fault> {
    let values = [Value::Moment(wall_ms()), Value::Int(id)];
    transaction.rows("UPDATE users SET updated_at = ? WHERE id = ?", &values).await?;
    let rows = transaction.rows("SELECT id FROM users WHERE id = ?", &[Value::Int(id)]).await?;
    if rows.is_empty() { Err(PeopleError::UnknownUser.into()) } else { Ok(()) }
}

/// The user as the transaction sees it.
pub(super) async fn user(transaction: &mut Transaction, id: i64) -> Result<User, Fault> {
    let rows = transaction.rows(ONE_USER, &[Value::Int(id)]).await?;
    Ok(users_of(&rows)?.pop().ok_or(PeopleError::UnknownUser)?)
}

/// The users in rows where those of one user follow each other.
pub(super) fn users_of<'r>(rows: impl IntoIterator<Item = &'r Row>) -> Result<Vec<User>, sqlx::Error> {
    let mut users: Vec<User> = Vec::new();
    for row in rows {
        let id = row.int("id")?;
        if users.last().is_none_or(|user| user.id != id) {
            users.push(User {
                id,
                subject: row.text("subject")?,
                username: row.text("username")?,
                display_name: row.maybe("display_name")?,
                email: row.maybe("email")?,
                avatar_url: row.maybe("avatar_url")?,
                role: Role::from_stored(&row.text("role")?),
                is_active: row.flag("is_active")?,
                is_admin: row.flag("is_admin")?,
                storage_used: row.count("storage_used")?,
                groups: Vec::new(),
            });
        }
        let Some(user) = users.last_mut() else { continue };
        if let Some(name) = row.maybe("group_name")? {
            user.groups.push(Membership { name, quota: stored_quota(row.maybe("group_quota")?.as_deref()) });
        }
    }
    Ok(users)
}
