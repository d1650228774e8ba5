//! Lists as CSV: people and admission sheets.
//!
//! Read are UTF-8, UTF-16 and the Cyrillic encodings of one byte a letter, with `;`, `,`, tabs or `|`
//! between fields, and headings in Kazakh, Russian or English below whatever title.
//!
//! # Invariants
//! * What a sheet does not say is `None`: an absent column and an empty cell change nothing, a dash
//!   empties.
//! * What is guessed or skipped is told in a note.

mod admission;
mod cell;
mod heading;
mod login;
mod names;
mod people;
mod records;
mod role;
mod table;
mod text;
mod words;

pub use admission::{
    AdmissionRow, POSITIVE_RATING_DEFAULT, Rating, foreign_disciplines, read_admission,
};
pub use people::{PersonRow, read_people};
pub use role::Role;

pub use crate::login::fold_login;

use crate::fault::Note;

/// A sheet without faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet<T> {
    /// Its rows, in order.
    pub rows: Vec<T>,
    /// What somebody should look at before it is applied.
    pub notes: Vec<Note>,
}

/// The largest sheet, in bytes.
pub const SHEET_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most lines of a sheet.
pub const SHEET_LINES_MAX: usize = 50_000;

/// Reads one line that somebody typed as a cell is read; returns with it the first character that
/// nobody sees.
pub(crate) fn typed_line(text: &str) -> (String, Option<char>) {
    let cell = cell::Cell::read(text);
    (cell.text, cell.hidden)
}
