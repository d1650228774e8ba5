//! A sheet as rows of named fields.

use std::collections::BTreeMap;

use super::{SHEET_BYTES_MAX, SHEET_LINES_MAX};
use crate::fault::{Fault, FaultKind, Place};

/// A column: its key, what it may be called, whether it must be there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Its key in code.
    pub(super) key: &'static str,
    /// Headings it is known by, in lower case.
    pub(super) names: &'static [&'static str],
    /// Whether a sheet without it is refused.
    pub(super) required: bool,
}

/// A sheet that was read.
#[derive(Debug)]
pub(super) struct Table {
    /// The file's name.
    pub(super) file: String,
    /// Its rows, in order.
    pub(super) rows: Vec<Row>,
    /// The heading of each column, as written.
    headings: BTreeMap<&'static str, String>,
}

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    /// Its line in the file, from 1.
    pub(super) line: u32,
    fields: BTreeMap<&'static str, String>,
}

impl Row {
    /// Returns a field, trimmed; empty where the column is not there.
    pub(super) fn field(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", String::as_str)
    }
}

impl Table {
    /// Returns the place of a field, by its heading as written.
    pub(super) fn place(&self, row: &Row, key: &str) -> Place {
        let heading = self.headings.get(key).map_or(key, String::as_str);
        Place::line(&self.file, row.line).in_column(heading)
    }
}

/// Reads a sheet and makes something of each row; a sheet without rows is a fault.
pub(super) fn read_rows<T>(
    file: &str,
    bytes: &[u8],
    columns: &[Column],
    mut make: impl FnMut(&Table, &Row, &mut Vec<Fault>) -> T,
) -> Result<Vec<T>, Vec<Fault>> {
    let mut faults = Vec::new();
    let table = read(file, bytes, columns, &mut faults);
    let mut made = Vec::new();
    // Where the headings are bad, each row would only repeat it.
    if faults.iter().all(|fault| fault.place.line != Some(1)) {
        for row in &table.rows {
            made.push(make(&table, row, &mut faults));
        }
        if made.is_empty() && faults.is_empty() {
            faults.push(Fault::new(Place::file(file), FaultKind::Empty));
        }
    }
    faults.sort();
    if faults.is_empty() {
        Ok(made)
    } else {
        Err(faults)
    }
}

/// Reads a sheet; what can be read is returned besides the faults.
fn read(file: &str, bytes: &[u8], columns: &[Column], faults: &mut Vec<Fault>) -> Table {
    let mut table = Table {
        file: file.to_owned(),
        rows: Vec::new(),
        headings: BTreeMap::new(),
    };
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if let Some(fault) = whole_file(file, bytes) {
        faults.push(fault);
        return table;
    }
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(bytes))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let Ok(headings) = reader.headers().cloned() else {
        faults.push(Fault::new(Place::line(file, 1), FaultKind::NotUtf8));
        return table;
    };
    let keys = keys(&mut table, &headings, columns, faults);
    for record in reader.records() {
        if table.rows.len() >= SHEET_LINES_MAX {
            let max = SHEET_LINES_MAX;
            faults.push(Fault::new(
                Place::file(file),
                FaultKind::TooManyLines { max },
            ));
            break;
        }
        match record {
            Ok(record) => row(&mut table, &record, &keys, faults),
            Err(error) => {
                faults.push(unreadable(file, &error));
                // After bytes that are not UTF-8 the reader goes on; after an error of the source
                // it would not end.
                if error.is_io_error() {
                    break;
                }
            }
        }
    }
    table
}

fn whole_file(file: &str, bytes: &[u8]) -> Option<Fault> {
    let kind = if bytes.len() > SHEET_BYTES_MAX {
        FaultKind::FileTooLarge {
            max_mib: SHEET_BYTES_MAX >> 20,
        }
    } else if bytes.iter().all(u8::is_ascii_whitespace) {
        FaultKind::Empty
    } else {
        return None;
    };
    Some(Fault::new(Place::file(file), kind))
}

fn delimiter(bytes: &[u8]) -> u8 {
    let first = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    [b';', b'\t', b',']
        .into_iter()
        .max_by_key(|mark| first.iter().filter(|byte| *byte == mark).count())
        .unwrap_or(b';')
}

fn keys(
    table: &mut Table,
    headings: &csv::StringRecord,
    columns: &[Column],
    faults: &mut Vec<Fault>,
) -> Vec<Option<&'static str>> {
    let place = || Place::line(&table.file, 1);
    let mut keys = Vec::new();
    for heading in headings {
        let wanted = heading.to_lowercase().replace(['_', '-'], " ");
        let found = columns
            .iter()
            .find(|column| column.names.contains(&wanted.as_str()));
        let Some(column) = found else {
            let column = heading.to_owned();
            faults.push(Fault::new(place(), FaultKind::UnknownColumn { column }));
            keys.push(None);
            continue;
        };
        if keys.contains(&Some(column.key)) {
            let column = heading.to_owned();
            faults.push(Fault::new(place(), FaultKind::RepeatedColumn { column }));
            keys.push(None);
            continue;
        }
        table.headings.insert(column.key, heading.to_owned());
        keys.push(Some(column.key));
    }
    for column in columns.iter().filter(|column| column.required) {
        if !keys.contains(&Some(column.key)) {
            let names = column.names.join(", ");
            let column = column
                .names
                .first()
                .copied()
                .unwrap_or(column.key)
                .to_owned();
            let kind = FaultKind::MissingColumn { column, names };
            faults.push(Fault::new(Place::line(&table.file, 1), kind));
        }
    }
    keys
}

fn row(
    table: &mut Table,
    record: &csv::StringRecord,
    keys: &[Option<&'static str>],
    faults: &mut Vec<Fault>,
) {
    if record.iter().all(str::is_empty) {
        return;
    }
    let line = record.position().map_or(0, csv::Position::line);
    let line = u32::try_from(line).unwrap_or(u32::MAX);
    if record.len() != keys.len() {
        let (found, expected) = (record.len(), keys.len());
        let place = Place::line(&table.file, line);
        faults.push(Fault::new(
            place,
            FaultKind::WrongFields { found, expected },
        ));
        return;
    }
    let fields = keys
        .iter()
        .zip(record)
        .filter_map(|(key, value)| key.map(|key| (key, value.to_owned())))
        .collect();
    table.rows.push(Row { line, fields });
}

fn unreadable(file: &str, error: &csv::Error) -> Fault {
    let line = error.position().map_or(1, csv::Position::line);
    let place = Place::line(file, u32::try_from(line).unwrap_or(u32::MAX));
    let kind = if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) {
        FaultKind::NotUtf8
    } else {
        FaultKind::BadLine {
            cause: error.to_string(),
        }
    };
    Fault::new(place, kind)
}
