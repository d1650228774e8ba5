//! A sheet as rows of named fields: where its headings stand, what parts its fields, what is
//! skipped.
//!
//! # Invariants
//! * A column that is not there is told apart from an empty cell.
//! * What is skipped is told; a cell in no column is a fault.

use std::collections::{BTreeMap, BTreeSet};

use super::cell::Cell;
use super::heading::{Column, Headings};
use super::records::{Record, Stop, records};
use super::text::{Encoding, decode};
use super::{SHEET_BYTES_MAX, SHEET_LINES_MAX, Sheet};
use crate::fault::{Fault, FaultKind, Note, NoteKind, Place};

/// A sheet that was read.
#[derive(Debug)]
pub(super) struct Table {
    /// The file's name.
    pub(super) file: String,
    /// Its rows, in order.
    pub(super) rows: Vec<Row>,
    /// What somebody should look at.
    pub(super) notes: Vec<Note>,
    /// The heading of each column, as written.
    headings: BTreeMap<&'static str, String>,
}

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    /// Its line in the file, from 1.
    pub(super) line: u32,
    fields: BTreeMap<&'static str, Cell>,
}

impl Row {
    /// Returns a field; empty where the column is not there or nothing stands in it.
    pub(super) fn field(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", |cell| cell.text.as_str())
    }

    /// Returns what a cell says: nothing where the column is not there or the cell is empty, an
    /// empty text where a dash stands.
    pub(super) fn said(&self, key: &str) -> Option<&str> {
        match self.field(key) {
            "" => None,
            "-" | "–" | "—" => Some(""),
            text => Some(text),
        }
    }
}

impl Table {
    /// Tells whether a column is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.headings.contains_key(key)
    }

    /// Returns a column's heading as written, its key where it is not there.
    pub(super) fn heading<'a>(&'a self, key: &'a str) -> &'a str {
        self.headings.get(key).map_or(key, String::as_str)
    }

    /// Returns the place of a field, by its heading as written.
    pub(super) fn place(&self, row: &Row, key: &str) -> Place {
        Place::line(&self.file, row.line).in_column(self.heading(key))
    }
}

/// What is made of a row, and where faults and notes go.
pub(super) struct Making<'a> {
    /// The sheet.
    pub(super) table: &'a Table,
    /// The row.
    pub(super) row: &'a Row,
    /// What is wrong.
    pub(super) faults: &'a mut Vec<Fault>,
    /// What somebody should look at.
    pub(super) notes: &'a mut Vec<Note>,
}

impl Making<'_> {
    /// Says that a field is wrong.
    pub(super) fn fault(&mut self, key: &str, kind: FaultKind) {
        self.faults
            .push(Fault::new(self.table.place(self.row, key), kind));
    }

    /// Says that somebody should look at a field.
    pub(super) fn note(&mut self, key: &str, kind: NoteKind) {
        self.notes
            .push(Note::new(self.table.place(self.row, key), kind));
    }
}

/// Reads a sheet and makes something of each row; a sheet without rows is a fault. `columns` may
/// name columns by another key once the headings are known.
pub(super) fn read_rows<T>(
    file: &str,
    bytes: &[u8],
    columns: &[Column],
    settle: impl FnOnce(&mut Found, &mut Vec<Fault>),
    mut make: impl FnMut(&mut Making<'_>) -> T,
) -> Result<Sheet<T>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut table = read(file, bytes, columns, settle, &mut faults)?;
    let mut notes = core::mem::take(&mut table.notes);
    let mut made = Vec::new();
    for row in &table.rows {
        hidden(&table, row, &mut faults);
        made.push(make(&mut Making {
            table: &table,
            row,
            faults: &mut faults,
            notes: &mut notes,
        }));
    }
    if made.is_empty() && faults.is_empty() {
        faults.push(Fault::new(Place::file(file), FaultKind::Empty));
    }
    faults.sort();
    if faults.is_empty() {
        Ok(Sheet { rows: made, notes })
    } else {
        Err(faults)
    }
}

fn hidden(table: &Table, row: &Row, faults: &mut Vec<Fault>) {
    for (key, cell) in &row.fields {
        if let Some(character) = cell.hidden {
            let code = format!("U+{:04X}", u32::from(character));
            let place = table.place(row, key);
            faults.push(Fault::new(place, FaultKind::HiddenCharacter { code }));
        }
    }
}

/// The headings that were found: for each column of the sheet its key, if it has one.
#[derive(Debug)]
pub(super) struct Found {
    /// The key of each column.
    pub(super) keys: Vec<Option<&'static str>>,
    file: String,
    line: u32,
}

impl Found {
    /// Tells whether a column is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains(&Some(key))
    }

    /// Names a column otherwise.
    pub(super) fn rename(&mut self, from: &str, to: &'static str) {
        for key in self.keys.iter_mut().filter(|key| **key == Some(from)) {
            *key = Some(to);
        }
    }

    /// Returns the fault of a column that is not there.
    pub(super) fn missing(&self, column: &Column) -> Fault {
        let names: Vec<&str> = column.names.iter().take(NAMES_TOLD).copied().collect();
        let kind = FaultKind::MissingColumn {
            column: names.first().copied().unwrap_or(column.key).to_owned(),
            names: names.join(", "),
        };
        Fault::new(Place::line(&self.file, self.line), kind)
    }
}

/// Reads a sheet; faults of single lines are told besides what can be read.
///
/// # Errors
/// What is wrong with the whole file or its headings, so that each row would only repeat it.
fn read(
    file: &str,
    bytes: &[u8],
    columns: &[Column],
    settle: impl FnOnce(&mut Found, &mut Vec<Fault>),
    faults: &mut Vec<Fault>,
) -> Result<Table, Vec<Fault>> {
    let (text, encoding) = whole_file(file, bytes)?;
    let known = Headings::new(columns);
    let layout = layout(&text, &known);
    let mut table = Table {
        file: file.to_owned(),
        rows: Vec::new(),
        notes: Vec::new(),
        headings: BTreeMap::new(),
    };
    if encoding != Encoding::Utf8 {
        let encoding = encoding.name().to_owned();
        let note = Note::new(Place::file(file), NoteKind::Encoding { encoding });
        table.notes.push(note);
    }
    let (mut read, stop) = records(layout.text, layout.delimiter, layout.first, RECORDS_MAX);
    let rest = read.split_off(layout.heading.min(read.len()));
    if let (Some(first), Some(last)) = (read.first(), read.last()) {
        let (first, last) = (first.line, last.line);
        let place = Place::line(file, first);
        table
            .notes
            .push(Note::new(place, NoteKind::SkippedLines { first, last }));
    }
    let mut rest = rest.into_iter();
    let Some(heading) = rest.next() else {
        return Err(vec![match stop {
            Some(Stop::Unclosed(line)) => {
                Fault::new(Place::line(file, line), FaultKind::UnclosedQuote)
            }
            Some(Stop::Full) | None => Fault::new(Place::file(file), FaultKind::Empty),
        }]);
    };
    let mut found = named(&mut table, &heading, &known)?;
    let mut bad = Vec::new();
    settle(&mut found, &mut bad);
    let required = columns.iter().filter(|column| column.required);
    bad.extend(
        required
            .filter(|one| !found.has(one.key))
            .map(|one| found.missing(one)),
    );
    if !bad.is_empty() {
        bad.sort();
        return Err(bad);
    }
    for (key, written) in found.keys.iter().zip(&heading.fields) {
        if let Some(key) = key {
            table.headings.insert(key, Cell::read(written).text);
        }
    }
    rows(&mut table, &heading, &found, &known, rest, faults);
    match stop {
        Some(Stop::Unclosed(line)) => {
            faults.push(Fault::new(
                Place::line(file, line),
                FaultKind::UnclosedQuote,
            ));
        }
        Some(Stop::Full) => {
            let max = SHEET_LINES_MAX;
            faults.push(Fault::new(
                Place::file(file),
                FaultKind::TooManyLines { max },
            ));
        }
        None => {}
    }
    Ok(table)
}

fn whole_file(file: &str, bytes: &[u8]) -> Result<(String, Encoding), Vec<Fault>> {
    let fault = |kind| vec![Fault::new(Place::file(file), kind)];
    if bytes.len() > SHEET_BYTES_MAX {
        let max_mib = SHEET_BYTES_MAX >> 20;
        return Err(fault(FaultKind::FileTooLarge { max_mib }));
    }
    let (text, encoding) = decode(bytes).map_err(|(kind, line)| match line {
        Some(line) => vec![Fault::new(Place::line(file, line), kind)],
        None => fault(kind),
    })?;
    if text.trim().is_empty() {
        return Err(fault(FaultKind::Empty));
    }
    Ok((text, encoding))
}

/// How a text is parted, and which of its records has the headings.
#[derive(Debug)]
struct Layout<'a> {
    text: &'a str,
    first: u32,
    delimiter: char,
    heading: usize,
}

/// Finds the sign between fields and the headings: together they make the most known headings.
fn layout<'a>(text: &'a str, known: &Headings) -> Layout<'a> {
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    let stated = stated_delimiter(line);
    let (text, first) = if stated.is_some() {
        (after, 2)
    } else {
        (text, 1)
    };
    let tried: &[char] = stated.as_ref().map_or(&DELIMITERS, core::slice::from_ref);
    let mut best = (0, 0);
    let mut layout = Layout {
        text,
        first,
        delimiter: tried.first().copied().unwrap_or(';'),
        heading: 0,
    };
    for delimiter in tried {
        let (head, _stop) = records(text, *delimiter, first, HEADING_WITHIN);
        for (at, record) in head.iter().enumerate() {
            // Without any known heading, the sign that parts the first line most is the one.
            let parted = if at == 0 { record.fields.len() } else { 0 };
            let score = (known_in(record, known), parted);
            if score > best {
                best = score;
                layout.delimiter = *delimiter;
                layout.heading = if score.0 > 0 { at } else { 0 };
            }
        }
    }
    layout
}

/// Returns the sign that a first line such as `sep=;` states.
fn stated_delimiter(line: &str) -> Option<char> {
    let line = line.trim_matches(|one: char| one == '"' || one == ' ');
    let start = line.get(..4)?;
    let mut rest = line.get(4..)?.chars();
    let sign = rest.next()?;
    (start.eq_ignore_ascii_case("sep=") && rest.next().is_none()).then_some(sign)
}

fn known_in(record: &Record, known: &Headings) -> usize {
    let keys = record.fields.iter().filter_map(|field| known.key(field));
    keys.collect::<BTreeSet<_>>().len()
}

/// Names the columns of a sheet; what has no name is told and skipped.
fn named(table: &mut Table, heading: &Record, known: &Headings) -> Result<Found, Vec<Fault>> {
    let place = Place::line(&table.file, heading.line);
    let mut keys: Vec<Option<&'static str>> = Vec::new();
    let mut faults = Vec::new();
    for written in &heading.fields {
        let column = Cell::read(written).text;
        let key = known.key(written);
        match key {
            Some(key) if keys.contains(&Some(key)) => {
                faults.push(Fault::new(
                    place.clone(),
                    FaultKind::RepeatedColumn { column },
                ));
            }
            None if !column.is_empty() => {
                let kind = NoteKind::SkippedColumn { column };
                table.notes.push(Note::new(place.clone(), kind));
            }
            Some(_) | None => {}
        }
        keys.push(key);
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Found {
        keys,
        file: table.file.clone(),
        line: heading.line,
    })
}

fn rows(
    table: &mut Table,
    heading: &Record,
    found: &Found,
    known: &Headings,
    records: impl Iterator<Item = Record>,
    faults: &mut Vec<Fault>,
) {
    let headed = |field: &String| !Cell::read(field).text.is_empty();
    let width = heading
        .fields
        .iter()
        .rposition(headed)
        .map_or(0, |last| last + 1);
    let headings = known_in(heading, known);
    let mut unnamed = BTreeSet::new();
    for record in records {
        let line = record.line;
        if record.is_blank() {
            continue;
        }
        let repeats = headings > 1 && known_in(&record, known) == headings;
        if repeats || numbers_columns(&record) {
            let kind = NoteKind::SkippedLines {
                first: line,
                last: line,
            };
            table
                .notes
                .push(Note::new(Place::line(&table.file, line), kind));
            continue;
        }
        let surplus = record.fields.iter().skip(heading.fields.len());
        let odd = surplus.clone().any(|field| !field.trim().is_empty());
        if odd || record.fields.len() < width {
            let (found, expected) = (record.fields.len(), width);
            let kind = FaultKind::WrongFields { found, expected };
            faults.push(Fault::new(Place::line(&table.file, line), kind));
            continue;
        }
        let mut fields = BTreeMap::new();
        for (at, raw) in record.fields.iter().enumerate() {
            match found.keys.get(at).copied().flatten() {
                Some(key) => {
                    fields.insert(key, Cell::read(raw));
                }
                None if !raw.trim().is_empty() && !heading.fields.get(at).is_some_and(headed) => {
                    unnamed.insert(at + 1);
                }
                None => {}
            }
        }
        table.rows.push(Row { line, fields });
    }
    for number in unnamed {
        let place = Place::line(&table.file, heading.line);
        table
            .notes
            .push(Note::new(place, NoteKind::UnnamedColumn { number }));
    }
}

/// Tells whether a record only numbers the columns, as printed forms do under their headings.
fn numbers_columns(record: &Record) -> bool {
    let filled: Vec<&str> = record.fields.iter().map(|field| field.trim()).collect();
    let filled = filled
        .iter()
        .rposition(|field| !field.is_empty())
        .map(|last| &filled[..=last]);
    filled.is_some_and(|filled| {
        let numbered = |(at, field): (usize, &&str)| field.parse() == Ok(at + 1);
        filled.len() > 2 && filled.iter().enumerate().all(numbered)
    })
}

/// The signs that part fields, the likelier first.
const DELIMITERS: [char; 4] = [';', '\t', ',', '|'];
/// The headings are looked for in so many records.
const HEADING_WITHIN: usize = 30;
/// What stands before the headings counts besides the lines.
const RECORDS_MAX: usize = SHEET_LINES_MAX + HEADING_WITHIN;
/// So many names of a missing column are told.
const NAMES_TOLD: usize = 6;
