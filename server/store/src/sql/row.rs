//! Rows as both databases give them.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type, TypeInfo as _, ValueRef as _};

use super::error::SqlError;
use super::value::{FromValue, Kind, Mismatch, Value};

/// One row of an answer.
#[derive(Debug)]
pub struct Row(Inner);

#[derive(Debug)]
enum Inner {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What names a column of an answer: its name, or its place from 0.
pub trait Column: sqlx::ColumnIndex<SqliteRow> + sqlx::ColumnIndex<PgRow> + ToString {}

impl Column for &str {}
impl Column for usize {}

/// What a row can be read as.
pub trait FromRow: Sized {
    /// Reads a row.
    ///
    /// # Errors
    /// A column is missing or does not read back.
    fn from_row(row: &Row) -> Result<Self, SqlError>;
}

impl Row {
    pub(crate) const fn of_sqlite(row: SqliteRow) -> Self {
        Self(Inner::Sqlite(row))
    }

    pub(crate) const fn of_postgres(row: PgRow) -> Self {
        Self(Inner::Postgres(row))
    }

    /// Reads a column.
    ///
    /// # Errors
    /// There is no such column, or it holds something else.
    pub fn get<T: FromValue>(&self, column: impl Column) -> Result<T, SqlError> {
        let name = column.to_string();
        let value = match &self.0 {
            Inner::Sqlite(row) => of_sqlite(row, column)?,
            Inner::Postgres(row) => of_postgres(row, column)?,
        };
        T::from_value(value).map_err(|source| SqlError::Column {
            column: name,
            source,
        })
    }
}

fn of_sqlite(row: &SqliteRow, column: impl Column) -> Result<Value, SqlError> {
    let raw = row.try_get_raw(column)?;
    if raw.is_null() {
        return Ok(Value::Null(Kind::Text));
    }
    let word = raw.type_info().name().to_owned();
    Ok(match word.as_str() {
        "INTEGER" => Value::Integer(decoded::<Sqlite, _>(raw)?),
        "REAL" => Value::Real(decoded::<Sqlite, _>(raw)?),
        "TEXT" => Value::Text(decoded::<Sqlite, _>(raw)?),
        "BLOB" => Value::Blob(decoded::<Sqlite, _>(raw)?),
        _other => return Err(unknown(word)),
    })
}

fn of_postgres(row: &PgRow, column: impl Column) -> Result<Value, SqlError> {
    let raw = row.try_get_raw(column)?;
    if raw.is_null() {
        return Ok(Value::Null(Kind::Text));
    }
    let word = raw.type_info().name().to_owned();
    Ok(match word.as_str() {
        "INT8" => Value::Integer(decoded::<Postgres, _>(raw)?),
        "INT4" => Value::Integer(i64::from(decoded::<Postgres, i32>(raw)?)),
        "BOOL" => Value::Integer(i64::from(decoded::<Postgres, bool>(raw)?)),
        "FLOAT8" => Value::Real(decoded::<Postgres, _>(raw)?),
        "TEXT" | "VARCHAR" => Value::Text(decoded::<Postgres, _>(raw)?),
        "BYTEA" => Value::Blob(decoded::<Postgres, _>(raw)?),
        _other => return Err(unknown(word)),
    })
}

fn decoded<'r, D: sqlx::Database, T: Decode<'r, D> + Type<D>>(
    raw: D::ValueRef<'r>,
) -> Result<T, SqlError> {
    T::decode(raw).map_err(|source| SqlError::Failed(sqlx::Error::Decode(source)))
}

fn unknown(word: String) -> SqlError {
    SqlError::Column {
        column: word,
        source: Mismatch {
            found: "a type of the database's own",
            wanted: "a whole number, a number, a text or bytes",
        },
    }
}

macro_rules! tuples {
    ($(($($part:ident $place:expr),+))*) => {$(
        impl<$($part: FromValue),+> FromRow for ($($part,)+) {
            fn from_row(row: &Row) -> Result<Self, SqlError> {
                Ok(($(row.get::<$part>($place)?,)+))
            }
        }
    )*};
}

tuples! {
    (A 0_usize)
    (A 0_usize, B 1_usize)
    (A 0_usize, B 1_usize, C 2_usize)
    (A 0_usize, B 1_usize, C 2_usize, D 3_usize)
    (A 0_usize, B 1_usize, C 2_usize, D 3_usize, E 4_usize)
    (A 0_usize, B 1_usize, C 2_usize, D 3_usize, E 4_usize, F 5_usize)
    (A 0_usize, B 1_usize, C 2_usize, D 3_usize, E 4_usize, F 5_usize, G 6_usize)
    (A 0_usize, B 1_usize, C 2_usize, D 3_usize, E 4_usize, F 5_usize, G 6_usize, H 7_usize)
    (A 0_usize, B 1_usize, C 2_usize, D 3_usize, E 4_usize, F 5_usize, G 6_usize, H 7_usize, I 8_usize)
}

/// Implements [`FromRow`] for a struct whose fields are columns of the same names.
#[macro_export]
macro_rules! from_row {
    ($row:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::FromRow for $row {
            fn from_row(row: &$crate::Row) -> Result<Self, $crate::SqlError> {
                Ok(Self {
                    $($field: row.get(stringify!($field))?,)+
                })
            }
        }
    };
}
