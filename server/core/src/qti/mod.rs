//! Tests as packages of QTI 3: the subset that Qorgan shows, read strictly.
//!
//! A package is a map of file names to bytes (a folder or an unpacked archive). Read are
//! `imsmanifest.xml`, one `qti-assessment-test` with its parts, sections and item references, and
//! `qti-assessment-item`s with one `qti-choice-interaction` each. What is not understood is a fault,
//! never skipped: an item that would be shown otherwise than its author meant is worse than none.

mod format;
mod inline;
mod item;
mod manifest;
mod package;
mod test;
mod xml;

pub use format::format_of;
pub use package::{Identifiers, Stated, read_package};

use std::collections::BTreeMap;

/// The files of a package by name, with `/` between folders.
pub type Package = BTreeMap<String, Vec<u8>>;

/// The most files in a package.
pub const FILES_MAX: usize = 2_000;
/// The largest XML file, in bytes.
pub const XML_BYTES_MAX: usize = 1024 * 1024;
/// The largest picture, in bytes.
pub const PICTURE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The largest package, in bytes, unpacked.
pub const PACKAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most items in a test.
pub const ITEMS_MAX: usize = 1_000;
/// The most choices in an item.
pub const CHOICES_MAX: usize = 26;
