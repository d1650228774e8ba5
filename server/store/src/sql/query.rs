//! Statements, bound and run on either database.

use std::borrow::Cow;
use std::marker::PhantomData;

use sqlx::query::Query as Bound;
use sqlx::{AssertSqlSafe, Encode, IntoArguments, PgConnection, PgPool};
use sqlx::{SqliteConnection, SqlitePool, Type};

use super::error::SqlError;
use super::row::{FromRow, Row};
use super::value::{FromValue, Kind, ToValue, Value};

/// Where a statement runs: on the readers, or in the write transaction.
#[derive(Debug)]
pub struct Target<'a>(pub(crate) Place<'a>);

#[derive(Debug)]
pub(crate) enum Place<'a> {
    SqlitePool(&'a SqlitePool),
    Sqlite(&'a mut SqliteConnection),
    PostgresPool(&'a PgPool),
    Postgres(&'a mut PgConnection),
}

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed(u64);

impl Changed {
    /// Returns how many rows were put, changed or deleted.
    #[must_use]
    pub const fn rows_affected(self) -> u64 {
        self.0
    }
}

/// A statement with its values, not yet run.
#[derive(Debug, Clone)]
#[must_use = "a statement that is not run does nothing"]
pub struct Query {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

/// A statement whose rows are read as `T`.
#[derive(Debug, Clone)]
#[must_use = "a statement that is not run does nothing"]
pub struct QueryAs<T>(Query, PhantomData<fn() -> T>);

/// A statement whose rows have one column, read as `T`.
#[derive(Debug, Clone)]
#[must_use = "a statement that is not run does nothing"]
pub struct QueryScalar<T>(Query, PhantomData<fn() -> T>);

/// Several statements without values.
#[derive(Debug, Clone)]
#[must_use = "a statement that is not run does nothing"]
pub struct Script(Cow<'static, str>);

/// Makes a statement of its text. Whatever came from outside is bound, never written into it.
pub fn query(text: impl Into<Cow<'static, str>>) -> Query {
    Query {
        text: text.into(),
        values: Vec::new(),
    }
}

/// Makes a statement whose rows are read as `T`.
pub fn query_as<T: FromRow>(text: impl Into<Cow<'static, str>>) -> QueryAs<T> {
    QueryAs(query(text), PhantomData)
}

/// Makes a statement whose rows have one column, read as `T`.
pub fn query_scalar<T: FromValue>(text: impl Into<Cow<'static, str>>) -> QueryScalar<T> {
    QueryScalar(query(text), PhantomData)
}

/// Makes a script of several statements.
pub fn script(text: impl Into<Cow<'static, str>>) -> Script {
    Script(text.into())
}

macro_rules! on {
    ($target:expr, $query:expr, $method:ident, $sqlite:expr, $postgres:expr) => {{
        let Query { text, values } = $query;
        if values.iter().any(Value::holds_nul) {
            return Err(SqlError::Nul);
        }
        let text = AssertSqlSafe(text);
        match $target.into().0 {
            Place::SqlitePool(pool) => bound(text, values).$method(pool).await.map($sqlite),
            Place::Sqlite(one) => bound(text, values).$method(one).await.map($sqlite),
            Place::PostgresPool(pool) => bound(text, values).$method(pool).await.map($postgres),
            Place::Postgres(one) => bound(text, values).$method(one).await.map($postgres),
        }
        .map_err(SqlError::from)
    }};
}

impl Query {
    /// Binds the next value: `$1`, then `$2`, …
    pub fn bind(mut self, value: impl ToValue) -> Self {
        self.values.push(value.to_value());
        self
    }

    /// Runs it and returns what it changed.
    ///
    /// # Errors
    /// The database refused.
    pub async fn execute(self, target: impl Into<Target<'_>>) -> Result<Changed, SqlError> {
        on!(
            target,
            self,
            execute,
            |done: sqlx::sqlite::SqliteQueryResult| Changed(done.rows_affected()),
            |done: sqlx::postgres::PgQueryResult| Changed(done.rows_affected())
        )
    }

    /// Runs it and returns all rows.
    ///
    /// # Errors
    /// The database refused.
    pub async fn fetch_all(self, target: impl Into<Target<'_>>) -> Result<Vec<Row>, SqlError> {
        on!(
            target,
            self,
            fetch_all,
            |rows: Vec<_>| rows.into_iter().map(Row::of_sqlite).collect(),
            |rows: Vec<_>| rows.into_iter().map(Row::of_postgres).collect()
        )
    }

    /// Runs it and returns the first row, if there is one.
    ///
    /// # Errors
    /// The database refused.
    pub async fn fetch_optional(
        self,
        target: impl Into<Target<'_>>,
    ) -> Result<Option<Row>, SqlError> {
        on!(
            target,
            self,
            fetch_optional,
            |row: Option<_>| row.map(Row::of_sqlite),
            |row: Option<_>| row.map(Row::of_postgres)
        )
    }

    /// Runs it and returns the first row.
    ///
    /// # Errors
    /// The database refused, or there is no row.
    pub async fn fetch_one(self, target: impl Into<Target<'_>>) -> Result<Row, SqlError> {
        self.fetch_optional(target)
            .await?
            .ok_or(SqlError::Failed(sqlx::Error::RowNotFound))
    }
}

macro_rules! typed {
    ($query:ident, $bound:ident, $read:expr) => {
        impl<T: $bound> $query<T> {
            /// Binds the next value: `$1`, then `$2`, …
            pub fn bind(self, value: impl ToValue) -> Self {
                Self(self.0.bind(value), PhantomData)
            }

            /// Runs it and returns all rows.
            ///
            /// # Errors
            /// The database refused, or a row does not read back.
            pub async fn fetch_all(
                self,
                target: impl Into<Target<'_>>,
            ) -> Result<Vec<T>, SqlError> {
                self.0.fetch_all(target).await?.iter().map($read).collect()
            }

            /// Runs it and returns the first row, if there is one.
            ///
            /// # Errors
            /// The database refused, or the row does not read back.
            pub async fn fetch_optional(
                self,
                target: impl Into<Target<'_>>,
            ) -> Result<Option<T>, SqlError> {
                let row = self.0.fetch_optional(target).await?;
                row.as_ref().map($read).transpose()
            }

            /// Runs it and returns the first row.
            ///
            /// # Errors
            /// The database refused, there is no row, or it does not read back.
            pub async fn fetch_one(self, target: impl Into<Target<'_>>) -> Result<T, SqlError> {
                let row = self.0.fetch_one(target).await?;
                ($read)(&row)
            }
        }
    };
}

typed!(QueryAs, FromRow, |row: &Row| T::from_row(row));
typed!(QueryScalar, FromValue, |row: &Row| row.get::<T>(0));

impl Script {
    /// Runs its statements one after the other.
    ///
    /// # Errors
    /// The database refused one; those before it are done, unless a transaction takes them back.
    pub async fn execute(self, target: impl Into<Target<'_>>) -> Result<(), SqlError> {
        let script = sqlx::raw_sql(AssertSqlSafe(self.0));
        match target.into().0 {
            Place::SqlitePool(pool) => script.execute(pool).await.map(drop),
            Place::Sqlite(one) => script.execute(one).await.map(drop),
            Place::PostgresPool(pool) => script.execute(pool).await.map(drop),
            Place::Postgres(one) => script.execute(one).await.map(drop),
        }
        .map_err(SqlError::from)
    }
}

/// Binds values by their kinds.
fn bound<D>(
    text: AssertSqlSafe<Cow<'static, str>>,
    values: Vec<Value>,
) -> Bound<'static, D, D::Arguments>
where
    D: sqlx::Database,
    D::Arguments: IntoArguments<D>,
    i64: Encode<'static, D> + Type<D>,
    f64: Encode<'static, D> + Type<D>,
    String: Encode<'static, D> + Type<D>,
    Vec<u8>: Encode<'static, D> + Type<D>,
    Option<i64>: Encode<'static, D> + Type<D>,
    Option<f64>: Encode<'static, D> + Type<D>,
    Option<String>: Encode<'static, D> + Type<D>,
    Option<Vec<u8>>: Encode<'static, D> + Type<D>,
{
    let mut query = sqlx::query(text);
    for value in values {
        query = match value {
            Value::Null(Kind::Integer) => query.bind(None::<i64>),
            Value::Null(Kind::Real) => query.bind(None::<f64>),
            Value::Null(Kind::Text) => query.bind(None::<String>),
            Value::Null(Kind::Blob) => query.bind(None::<Vec<u8>>),
            Value::Integer(number) => query.bind(number),
            Value::Real(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
            Value::Blob(bytes) => query.bind(bytes),
        };
    }
    query
}
