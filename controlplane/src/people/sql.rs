//! One SQL text for three dialects.
//!
//! Statements are written once, in what all three understand, with `?` for values and `"` around names; [`spoken`] turns
//! them into a dialect. What differs otherwise is only the tables (`schema`). No statement asks how many rows it
//! changed and none returns ids: the next statement of the same transaction looks.

use sqlx::mysql::MySqlRow;
use sqlx::postgres::PgRow;
use sqlx::query::Query;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Database, Encode, Error, Executor, IntoArguments, Row as _, Type};

use super::stamp::stamp;

/// Whose SQL is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    /// MariaDB's as well.
    MySql,
    Postgres,
}

/// What stands for a `?`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'v> {
    Int(i64),
    Flag(bool),
    Text(&'v str),
    /// A time in Unix milliseconds.
    Moment(u64),
}

/// `statement` in a dialect. Neither character it looks for may stand in a literal.
fn spoken(dialect: Dialect, statement: &str, values: &[Value<'_>]) -> String {
    match dialect {
        Dialect::Sqlite => statement.to_owned(),
        Dialect::MySql => statement.replace('"', "`"),
        Dialect::Postgres => {
            let mut pieces = statement.split('?');
            let mut text = pieces.next().unwrap_or_default().to_owned();
            for (index, piece) in pieces.enumerate() {
                let place = format!("${}", index + 1);
                // Times are sent as text, which PostgreSQL compares with no time of its own accord.
                match values.get(index) {
                    Some(Value::Moment(_)) => text.push_str(&format!("CAST({place} AS TIMESTAMP)")),
                    _ => text.push_str(&place),
                }
                text.push_str(piece);
            }
            text
        }
    }
}

/// Runs one statement and gives all its rows, none for a change.
pub(super) async fn rows<'l, DB, L>(
    dialect: Dialect,
    link: L,
    statement: &str,
    values: &[Value<'_>],
) -> Result<Vec<Row>, Error>
where
    DB: Database,
    DB::Arguments: IntoArguments<DB>,
    L: Executor<'l, Database = DB>,
    Row: From<DB::Row>,
    i64: for<'e> Encode<'e, DB> + Type<DB>,
    bool: for<'e> Encode<'e, DB> + Type<DB>,
    String: for<'e> Encode<'e, DB> + Type<DB>,
{
    let mut query: Query<'_, DB, DB::Arguments> = sqlx::query(AssertSqlSafe(spoken(dialect, statement, values)));
    for value in values {
        query = match *value {
            Value::Int(number) => query.bind(number),
            Value::Flag(flag) => query.bind(flag),
            Value::Text(text) => query.bind(text.to_owned()),
            Value::Moment(unix_ms) => query.bind(stamp(unix_ms)),
        };
    }
    Ok(query.fetch_all(link).await?.into_iter().map(Row::from).collect())
}

/// One row of an answer. Columns are asked for by name; NULL counts as zero, no and nothing.
pub(super) enum Row {
    Sqlite(SqliteRow),
    MySql(MySqlRow),
    Postgres(PgRow),
}

impl Row {
    /// An integer column of any width.
    pub(super) fn int(&self, column: &str) -> Result<i64, Error> {
        let number = match self {
            Self::Sqlite(row) => row.try_get::<Option<i64>, _>(column)?,
            Self::MySql(row) => row.try_get::<Option<i64>, _>(column)?,
            // Other programs declare their ids as they like, and this driver does not widen.
            Self::Postgres(row) => match row.try_get::<Option<i64>, _>(column) {
                Ok(number) => number,
                Err(_) => row.try_get::<Option<i32>, _>(column)?.map(i64::from),
            },
        };
        Ok(number.unwrap_or(0))
    }

    /// A number of things: never negative, whatever the column says.
    pub(super) fn count(&self, column: &str) -> Result<u64, Error> {
        Ok(u64::try_from(self.int(column)?).unwrap_or(0))
    }

    /// A boolean, or 0 and 1.
    pub(super) fn flag(&self, column: &str) -> Result<bool, Error> {
        let flag = match self {
            Self::Sqlite(row) => row.try_get::<Option<bool>, _>(column)?,
            Self::MySql(row) => row.try_get::<Option<bool>, _>(column)?,
            Self::Postgres(row) => row.try_get::<Option<bool>, _>(column)?,
        };
        Ok(flag.unwrap_or(false))
    }

    /// A text; an empty one means nothing, here as in the original.
    pub(super) fn maybe(&self, column: &str) -> Result<Option<String>, Error> {
        let text = match self {
            Self::Sqlite(row) => row.try_get::<Option<String>, _>(column)?,
            Self::MySql(row) => row.try_get::<Option<String>, _>(column)?,
            Self::Postgres(row) => row.try_get::<Option<String>, _>(column)?,
        };
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// A text that may be empty.
    pub(super) fn text(&self, column: &str) -> Result<String, Error> {
        Ok(self.maybe(column)?.unwrap_or_default())
    }
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self::Sqlite(row)
    }
}

impl From<MySqlRow> for Row {
    fn from(row: MySqlRow) -> Self {
        Self::MySql(row)
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self::Postgres(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_three_dialects() {
        let statement = r#"UPDATE "groups" SET name = ? WHERE created_at < ? AND id = ?"#;
        let values = [Value::Text("a"), Value::Moment(0), Value::Int(1)];
        for (dialect, expected) in [
            (Dialect::Sqlite, statement),
            (Dialect::MySql, "UPDATE `groups` SET name = ? WHERE created_at < ? AND id = ?"),
            (
                Dialect::Postgres,
                r#"UPDATE "groups" SET name = $1 WHERE created_at < CAST($2 AS TIMESTAMP) AND id = $3"#,
            ),
        ] {
            assert_eq!(spoken(dialect, statement, &values), expected);
        }
    }
}
