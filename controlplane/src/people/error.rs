//! What can go wrong with people, and what a database's own error means.

use sqlx::error::DatabaseError;

/// Why an operation on people failed. Holds no password, token or URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeopleError {
    /// The database gives no answer, or cannot do what it was asked to now: 503, and trying again may help.
    #[error("the database of people is away: {reason}; see user_system.database")]
    Away {
        /// What it said.
        reason: String,
    },
    /// The database answers, with something that makes no sense: 500, and the operator has to look at it.
    #[error("the database of people is damaged: {reason}")]
    Damaged {
        /// What was found.
        reason: String,
    },
    /// Another one has that name: 409.
    #[error("the name is taken; choose another")]
    Taken,
    /// 404
    #[error("there is no such user")]
    UnknownUser,
    /// 404
    #[error("there is no such group")]
    UnknownGroup,
    /// The user may not sign in.
    #[error("the user is disabled; an administrator can enable it")]
    Inactive,
    /// A text the columns cannot hold: 422.
    #[error("{field} must have 1 to {max} characters and no NUL")]
    Unfit {
        /// Which text.
        field: &'static str,
        /// Characters.
        max: usize,
    },
}

impl PeopleError {
    pub(super) fn from_sql(error: &sqlx::Error) -> Self {
        let reason = error.to_string();
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
                Self::Damaged { reason }
            }
            sqlx::Error::Database(told) if told.is_unique_violation() => Self::Taken,
            sqlx::Error::Database(told) if is_corrupt_file(told.as_ref()) => Self::Damaged { reason },
            sqlx::Error::PoolTimedOut => Self::Away { reason: "no connection".into() },
            _ => Self::Away { reason },
        }
    }
}

/// Why one round of an operation failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// The answer is no, and would be no again.
    Refused(PeopleError),
    /// The database's doing.
    Sql(sqlx::Error),
}

impl From<PeopleError> for Fault {
    fn from(refusal: PeopleError) -> Self {
        Self::Refused(refusal)
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

/// Another one was faster, and this one was undone: the next round sees what the other did.
pub(super) fn is_collision(error: &sqlx::Error) -> bool {
    let Some(told) = error.as_database_error() else { return false };
    // Serialization failure (MySQL also says it of a deadlock), and PostgreSQL's deadlock.
    let undone = || told.code().is_some_and(|code| code == "40001" || code == "40P01");
    told.is_unique_violation() || told.is_foreign_key_violation() || undone()
}

/// SQLITE_CORRUPT and SQLITE_NOTADB; the other two servers look after their files themselves.
fn is_corrupt_file(told: &dyn DatabaseError) -> bool {
    let told = told.try_downcast_ref::<sqlx::sqlite::SqliteError>();
    let code = told.and_then(|told| told.code()).and_then(|code| code.parse::<i32>().ok());
    // The low byte is the error, the rest its flavour.
    code.is_some_and(|code| matches!(code & 0xff, 11 | 26))
}
