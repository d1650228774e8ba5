//! Moves everything from one database to another, table by table, and proves it by counts and hashes.
//!
//! The tables and their order come from the schema itself: SQLite tells its columns, keys and
//! references, and both databases have the same ones.

use std::collections::{BTreeMap, BTreeSet};

use qorgan_protocol::crypto::{Sha256, StreamHasher as _};
use qorgan_signing::Ring;

use super::database::{Connection, Database, WriteTx};
use super::error::SqlError;
use super::query::{query, query_as, query_scalar, script};
use super::row::Row;
use super::value::{Kind, Value};

/// Says why nothing was moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// A database failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A table cannot be copied.
    #[error("table {table} cannot be copied; nothing was kept")]
    Table {
        /// Which.
        table: String,
        /// Why.
        #[source]
        source: SqlError,
    },
    /// The target holds something.
    #[error("the target is not empty: its table {table} has rows; name a new, empty database")]
    NotEmpty {
        /// Where.
        table: String,
    },
    /// What was written does not read back as what was read.
    #[error("table {table} reads back otherwise than it was written; nothing was kept")]
    Differs {
        /// Which.
        table: String,
    },
    /// The schema refers in a circle.
    #[error("the tables {tables} refer to one another in a circle")]
    Circle {
        /// Which.
        tables: String,
    },
}

/// A table that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its name.
    pub table: String,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 over its rows in the order of their keys.
    pub hash: Sha256,
}

/// Copies every row of `from` to `to`, in one transaction, and reads it back. What is written to `from`
/// meanwhile is not in it: whoever moves holds both ([`Database::hold`]).
///
/// # Errors
/// `to` has rows, a database failed, or what was written reads back otherwise; nothing is kept.
pub async fn copy(from: &Database, to: &Database) -> Result<Vec<Moved>, TransferError> {
    let tables = tables(&Database::open_memory().await?).await?;
    let mut source = from.snapshot().await?;
    let mut target = to.begin().await?;
    for table in &tables {
        if count(&mut target, table).await? > 0 {
            let table = table.name.clone();
            return Err(TransferError::NotEmpty { table });
        }
    }
    let triggers = target.set_triggers_aside(&tables).await?;
    let mut moved = Vec::new();
    for table in &tables {
        let copied = copy_table(&mut source, &mut target, table).await;
        let written = copied.map_err(|source| TransferError::Table {
            table: table.name.clone(),
            source,
        })?;
        if fold(&mut target, table).await? != written {
            let table = table.name.clone();
            return Err(TransferError::Differs { table });
        }
        moved.push(written);
    }
    target.put_triggers_back(&tables, triggers).await?;
    target.commit().await?;
    Ok(moved)
}

/// One table of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    columns: Vec<String>,
    /// What the columns hold, where a row has nothing in one.
    kinds: Vec<Kind>,
    /// The primary key's columns, in its order.
    key: Vec<String>,
}

impl Table {
    /// Returns the statement that reads a page of rows behind a key, or from the start.
    fn page(&self, behind: bool) -> String {
        let key = self.key.join(", ");
        let places: Vec<_> = (1..=self.key.len()).map(|at| format!("${at}")).collect();
        let behind = if behind {
            format!("WHERE ({key}) > ({}) ", places.join(", "))
        } else {
            String::new()
        };
        let columns = self.columns.join(", ");
        format!(
            "SELECT {columns} FROM {} {behind}ORDER BY {key} LIMIT {PAGE_ROWS}",
            self.name
        )
    }

    /// Returns the statement that puts `rows` rows.
    fn put(&self, rows: usize) -> String {
        let width = self.columns.len();
        let one = |row: usize| {
            let places: Vec<_> = (1..=width)
                .map(|at| format!("${}", row * width + at))
                .collect();
            format!("({})", places.join(", "))
        };
        let all: Vec<_> = (0..rows).map(one).collect();
        format!(
            "INSERT INTO {} ({}) VALUES {}",
            self.name,
            self.columns.join(", "),
            all.join(", ")
        )
    }

    fn values(&self, row: &Row) -> Result<Vec<Value>, SqlError> {
        let columns = self.kinds.iter().enumerate();
        columns
            .map(|(at, kind)| {
                let value: Option<Value> = row.get(at)?;
                Ok(value.unwrap_or(Value::Null(*kind)))
            })
            .collect()
    }

    /// Returns the key's column where it is one whole number.
    fn number(&self) -> Option<&str> {
        let [key] = self.key.as_slice() else {
            return None;
        };
        let place = self.columns.iter().position(|column| column == key)?;
        (self.kinds.get(place) == Some(&Kind::Integer)).then_some(key.as_str())
    }

    fn key_of(&self, values: &[Value]) -> Vec<Value> {
        let place = |name: &String| self.columns.iter().position(|column| column == name);
        let places = self.key.iter().filter_map(place);
        places.filter_map(|at| values.get(at).cloned()).collect()
    }
}

/// Walks over a table's rows in the order of its key.
#[derive(Debug)]
struct Walk<'a> {
    table: &'a Table,
    behind: Option<Vec<Value>>,
}

impl Walk<'_> {
    async fn next(&mut self, from: &mut Connection) -> Result<Vec<Vec<Value>>, SqlError> {
        let mut page = query(self.table.page(self.behind.is_some()));
        for value in self.behind.iter().flatten() {
            page = page.bind(value);
        }
        let rows = page.fetch_all(from).await?;
        let rows: Vec<_> = rows
            .iter()
            .map(|row| self.table.values(row))
            .collect::<Result<_, _>>()?;
        if let Some(last) = rows.last() {
            self.behind = Some(self.table.key_of(last));
        }
        Ok(rows)
    }
}

async fn copy_table(
    from: &mut Connection,
    to: &mut WriteTx,
    table: &Table,
) -> Result<Moved, SqlError> {
    let mut walk = Walk {
        table,
        behind: None,
    };
    let mut folded = Fold::of(table);
    let at_once = (PARAMETERS_MAX / table.columns.len().max(1)).max(1);
    loop {
        let rows = walk.next(from).await?;
        if rows.is_empty() {
            return Ok(folded.end());
        }
        for part in rows.chunks(at_once) {
            let put = part
                .iter()
                .flatten()
                .fold(query(table.put(part.len())), |put, value| put.bind(value));
            put.execute(&mut **to).await?;
            part.iter().for_each(|row| folded.add(row));
        }
    }
}

async fn fold(from: &mut WriteTx, table: &Table) -> Result<Moved, SqlError> {
    let mut walk = Walk {
        table,
        behind: None,
    };
    let mut folded = Fold::of(table);
    loop {
        let rows = walk.next(&mut *from).await?;
        if rows.is_empty() {
            return Ok(folded.end());
        }
        rows.iter().for_each(|row| folded.add(row));
    }
}

/// A hash over rows: each value with its kind and length before it.
struct Fold {
    table: String,
    rows: u64,
    running: <Ring as qorgan_protocol::crypto::StreamHasher>::Running,
}

impl Fold {
    fn of(table: &Table) -> Self {
        Self {
            table: table.name.clone(),
            rows: 0,
            running: Ring.begin(),
        }
    }

    fn add(&mut self, row: &[Value]) {
        self.rows += 1;
        for value in row {
            match value {
                Value::Null(_) => self.part(b'n', &[]),
                Value::Integer(number) => self.part(b'i', &number.to_be_bytes()),
                Value::Real(number) => self.part(b'r', &number.to_bits().to_be_bytes()),
                Value::Text(text) => self.part(b't', text.as_bytes()),
                Value::Blob(bytes) => self.part(b'b', bytes),
            }
        }
    }

    fn part(&mut self, kind: u8, bytes: &[u8]) {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ring.feed(&mut self.running, &[kind]);
        Ring.feed(&mut self.running, &len.to_be_bytes());
        Ring.feed(&mut self.running, bytes);
    }

    fn end(self) -> Moved {
        Moved {
            table: self.table,
            rows: self.rows,
            hash: Ring.end(self.running),
        }
    }
}

async fn count(tx: &mut WriteTx, table: &Table) -> Result<i64, SqlError> {
    query_scalar(format!("SELECT COUNT(*) FROM {}", table.name))
        .fetch_one(&mut **tx)
        .await
}

/// Returns the tables, those that are referred to before those that refer to them.
pub(crate) async fn tables(schema: &Database) -> Result<Vec<Table>, TransferError> {
    let names: Vec<String> = query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' \
         AND name NOT LIKE '_sqlx%' ORDER BY name",
    )
    .fetch_all(schema.read())
    .await?;
    let mut waiting = BTreeMap::new();
    for name in names {
        let columns: Vec<(String, i64, String)> =
            query_as("SELECT name, pk, type FROM pragma_table_info($1) ORDER BY cid")
                .bind(&name)
                .fetch_all(schema.read())
                .await?;
        let refers: Vec<String> =
            query_scalar("SELECT DISTINCT \"table\" FROM pragma_foreign_key_list($1)")
                .bind(&name)
                .fetch_all(schema.read())
                .await?;
        let mut key: Vec<_> = columns.iter().filter(|(_, place, _)| *place > 0).collect();
        key.sort_by_key(|(_, place, _)| *place);
        let table = Table {
            key: key.into_iter().map(|(column, ..)| column.clone()).collect(),
            kinds: columns.iter().map(|(_, _, word)| kind(word)).collect(),
            columns: columns.iter().map(|(column, ..)| column.clone()).collect(),
            name: name.clone(),
        };
        waiting.insert(name, (table, refers));
    }
    in_order(waiting)
}

/// Returns what a column of SQLite's strictly named types holds.
fn kind(word: &str) -> Kind {
    match word {
        "INTEGER" => Kind::Integer,
        "REAL" => Kind::Real,
        "BLOB" => Kind::Blob,
        _text => Kind::Text,
    }
}

fn in_order(
    mut waiting: BTreeMap<String, (Table, Vec<String>)>,
) -> Result<Vec<Table>, TransferError> {
    let mut tables = Vec::new();
    let mut done = BTreeSet::new();
    while !waiting.is_empty() {
        let free = waiting.iter().find_map(|(name, (_, refers))| {
            let ready = |other: &String| other == name || done.contains(other);
            refers.iter().all(ready).then(|| name.clone())
        });
        let Some((name, (table, _))) = free.and_then(|name| waiting.remove_entry(&name)) else {
            let tables = waiting.into_keys().collect::<Vec<_>>().join(", ");
            return Err(TransferError::Circle { tables });
        };
        done.insert(name);
        tables.push(table);
    }
    Ok(tables)
}

impl WriteTx {
    /// Keeps triggers from acting on copied rows; returns SQLite's texts, to make them again.
    async fn set_triggers_aside(&mut self, tables: &[Table]) -> Result<Vec<String>, SqlError> {
        if self.is_postgres() {
            for table in tables {
                let text = format!("ALTER TABLE {} DISABLE TRIGGER USER", table.name);
                script(text).execute(&mut **self).await?;
            }
            return Ok(Vec::new());
        }
        let triggers: Vec<(String, String)> =
            query_as("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name")
                .fetch_all(&mut **self)
                .await?;
        for (name, _) in &triggers {
            script(format!("DROP TRIGGER {name}"))
                .execute(&mut **self)
                .await?;
        }
        Ok(triggers.into_iter().map(|(_, text)| text).collect())
    }

    /// Lets triggers act again, and PostgreSQL's numbers go on behind those that were copied.
    async fn put_triggers_back(
        &mut self,
        tables: &[Table],
        triggers: Vec<String>,
    ) -> Result<(), SqlError> {
        for text in triggers {
            script(text).execute(&mut **self).await?;
        }
        if !self.is_postgres() {
            return Ok(());
        }
        for table in tables {
            let text = format!("ALTER TABLE {} ENABLE TRIGGER USER", table.name);
            script(text).execute(&mut **self).await?;
            let Some(key) = table.number() else {
                continue;
            };
            let text = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', '{key}'), MAX({key})) \
                 FROM {table} WHERE pg_get_serial_sequence('{table}', '{key}') IS NOT NULL \
                 HAVING COUNT(*) > 0",
                table = table.name
            );
            script(text).execute(&mut **self).await?;
        }
        Ok(())
    }
}

const PAGE_ROWS: usize = 500;
/// PostgreSQL takes 65,535 parameters and SQLite 32,766; more than this gains nothing.
const PARAMETERS_MAX: usize = 600;
