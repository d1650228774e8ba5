//! Lists as CSV: people and admission sheets.
//!
//! Read are UTF-8 with or without a byte-order mark, with `;`, `,` or tabs between fields, and
//! headings in Kazakh, Russian or English.

mod admission;
mod login;
mod people;
mod table;

pub use admission::{
    AdmissionRow, POSITIVE_RATING_DEFAULT, Rating, foreign_disciplines, read_admission,
};
pub use people::{PersonRow, Role, read_people};

/// The largest sheet, in bytes.
pub const SHEET_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most lines of a sheet.
pub const SHEET_LINES_MAX: usize = 50_000;
