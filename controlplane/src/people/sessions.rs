//! The tables `sessions` and `pending_logins`: signing in, being signed in, signing out.

use std::time::Duration;

use super::error::Fault;
use super::model::{NewSession, Role, Session};
use super::pool::Transaction;
use super::profile::Profile;
use super::sql::{Row, Value};
use super::users::{self, lock, select_users, users_of};
use super::{People, PeopleError, groups, token};
use crate::clock::{moment, wall_ms};

/// From creation; using a session does not renew it (easytransfer/CONTRACT.md §6.1).
const SESSION_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long a login may take (easytransfer/CONTRACT.md §6.1).
const LOGIN_LIFE: Duration = Duration::from_secs(10 * 60);

impl People {
    /// Signs in whom a provider vouches for: makes the user at the first login, refreshes its profile, admin flag and
    /// groups at later ones, and makes a session. [`PeopleError::Inactive`] for a user who is disabled.
    pub async fn sign_in(&self, profile: &Profile) -> Result<NewSession, PeopleError> {
        let profile = &profile.fitted()?;
        self.work(|| async move {
            let now_ms = wall_ms();
            let mut transaction = self.pool().begin().await?;
            let id = welcome(&mut transaction, profile, now_ms).await?;
            groups::replace(&mut transaction, id, &profile.groups).await?;
            let token = token::random();
            let expires_ms = now_ms + SESSION_LIFE.as_millis() as u64;
            let digest = token::digest(token.expose());
            let values = [Value::Text(&digest), Value::Int(id), Value::Moment(now_ms), Value::Moment(expires_ms)];
            let statement = "INSERT INTO sessions (token, user_id, created_at, expires_at) VALUES (?, ?, ?, ?)";
            transaction.rows(statement, &values).await?;
            let user = users::user(&mut transaction, id).await?;
            if !user.is_active {
                return Err(PeopleError::Inactive.into());
            }
            transaction.commit().await?;
            Ok(NewSession { token, session: Session { user, expires_ms } })
        })
        .await
    }

    /// Whose session `presented` is: unexpired, of an active user, as the database says now.
    pub async fn session(&self, presented: &str) -> Result<Option<Session>, PeopleError> {
        if !token::is_possible(presented) {
            return Ok(None);
        }
        let digest = &token::digest(presented);
        self.work(|| async move {
            // Read as text on every dialect; the three have no other type for it in common.
            let statement = select_users!(
                "s.token AS token, CAST(s.expires_at AS CHAR(26)) AS expires_at, ",
                "JOIN sessions s ON s.user_id = u.id WHERE s.token IN (?, ?) ORDER BY s.token, g.name"
            );
            let rows = self.pool().rows(statement, &[Value::Text(digest), Value::Text(presented)]).await?;
            match session_of(digest, &rows)? {
                Some(session) => Ok(Some(session)),
                None => session_of(presented, &rows),
            }
        })
        .await
    }

    /// Ends a session; one that is over already is fine.
    pub async fn sign_out(&self, presented: &str) -> Result<(), PeopleError> {
        if !token::is_possible(presented) {
            return Ok(());
        }
        let digest = &token::digest(presented);
        self.work(|| async move {
            let values = [Value::Text(digest), Value::Text(presented)];
            self.pool().rows("DELETE FROM sessions WHERE token IN (?, ?)", &values).await?;
            Ok(())
        })
        .await
    }

    /// Removes sessions that are over at `now_ms` and logins that were not finished. Who sweeps decides whether to
    /// believe the clock (PROMISES.md P11).
    pub async fn prune(&self, now_ms: u64) -> Result<(), PeopleError> {
        let abandoned_ms = now_ms.saturating_sub(LOGIN_LIFE.as_millis() as u64);
        self.work(|| async move {
            let pool = self.pool();
            pool.rows("DELETE FROM sessions WHERE expires_at <= ?", &[Value::Moment(now_ms)]).await?;
            pool.rows("DELETE FROM pending_logins WHERE created_at <= ?", &[Value::Moment(abandoned_ms)]).await?;
            Ok(())
        })
        .await
    }
}

/// Makes or refreshes the user, locks it, and gives its id.
async fn welcome(transaction: &mut Transaction, profile: &Profile, now_ms: u64) -> Result<i64, Fault> {
    if id_of(transaction, &profile.subject).await?.is_none() {
        let role = if profile.is_admin { Role::Admin } else { Role::User };
        let values = [
            Value::Text(&profile.subject),
            Value::Text(&profile.username),
            Value::Text(role.word()),
            Value::Flag(true),
            Value::Flag(profile.is_admin),
            Value::Int(0),
            Value::Moment(now_ms),
            Value::Moment(now_ms),
        ];
        let statement = "INSERT INTO users (oidc_sub, username, display_name, email, avatar_url, role, is_active, \
                         is_admin, storage_used, created_at, updated_at) VALUES (?, ?, '', '', '', ?, ?, ?, ?, ?, ?)";
        transaction.rows(statement, &values).await?;
    }
    let id = id_of(transaction, &profile.subject).await?.ok_or(PeopleError::UnknownUser)?;
    lock(transaction, id).await?;
    // Nothing is written as an empty text: not every database of the original takes NULL there.
    let values = [
        Value::Text(&profile.username),
        Value::Text(profile.display_name.as_deref().unwrap_or_default()),
        Value::Text(profile.email.as_deref().unwrap_or_default()),
        Value::Text(profile.avatar_url.as_deref().unwrap_or_default()),
        Value::Flag(profile.is_admin),
        Value::Int(id),
    ];
    let statement =
        "UPDATE users SET username = ?, display_name = ?, email = ?, avatar_url = ?, is_admin = ? WHERE id = ?";
    transaction.rows(statement, &values).await?;
    Ok(id)
}

/// The user with exactly this subject: a database that compares without regard to case may bring another one, whom a
/// login must not become. The insert then collides until it is [`PeopleError::Taken`].
async fn id_of(transaction: &mut Transaction, subject: &str) -> Result<Option<i64>, sqlx::Error> {
    let rows = transaction.rows("SELECT id, oidc_sub FROM users WHERE oidc_sub = ?", &[Value::Text(subject)]).await?;
    for row in &rows {
        if row.text("oidc_sub")? == subject {
            return row.int("id").map(Some);
        }
    }
    Ok(None)
}

/// The session whose token stands in the table as `stored`, while it counts. A database may compare without regard to
/// case; this does not.
fn session_of(stored: &str, rows: &[Row]) -> Result<Option<Session>, Fault> {
    let mut matching = Vec::new();
    for row in rows {
        if token::is_same(&row.text("token")?, stored) {
            matching.push(row);
        }
    }
    let Some(first) = matching.first() else { return Ok(None) };
    let expires_at = first.text("expires_at")?;
    let Some(expires_ms) = moment(&expires_at) else {
        return Err(PeopleError::Damaged { reason: format!("a session expires at {expires_at:?}") }.into());
    };
    let user = users_of(matching)?.pop().filter(|user| user.is_active && expires_ms > wall_ms());
    Ok(user.map(|user| Session { user, expires_ms }))
}
