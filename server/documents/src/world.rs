//! What the typesetter may see: our form, the embedded fonts and the data of one act.

use std::fmt;
use std::path::PathBuf;

use typst::diag::{FileError, FileResult};
use typst::foundations::{Bytes, Datetime, Duration};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt as _, World};

/// Holds what is the same for every act: form, fonts and the typesetter's own library.
pub(crate) struct Foundry {
    library: LazyHash<Library>,
    book: LazyHash<FontBook>,
    fonts: Vec<Font>,
    form: Source,
}

/// Is the world of one act.
pub(crate) struct ActWorld<'a> {
    foundry: &'a Foundry,
    /// At most one a still and the data; an id has no order.
    files: Vec<(FileId, Bytes)>,
}

impl Foundry {
    /// Reads the embedded fonts and the form once.
    pub(crate) fn new() -> Self {
        let fonts: Vec<Font> = FONTS
            .iter()
            .flat_map(|data| Font::iter(Bytes::new(*data)))
            .collect();
        Self {
            library: LazyHash::new(Library::builder().build()),
            book: LazyHash::new(FontBook::from_fonts(&fonts)),
            fonts,
            form: Source::new(file_id(FORM_PATH), FORM.to_owned()),
        }
    }

    /// Says whether the text fonts can draw `character`.
    pub(crate) fn draws(&self, character: char) -> bool {
        self.fonts
            .first()
            .is_some_and(|font| font.info().coverage.contains(u32::from(character)))
    }
}

impl<'a> ActWorld<'a> {
    /// Starts a world without data.
    pub(crate) fn new(foundry: &'a Foundry) -> Self {
        Self {
            foundry,
            files: Vec::new(),
        }
    }

    /// Adds a file that the form can read under `path`.
    pub(crate) fn put(&mut self, path: &str, bytes: Bytes) {
        self.files.push((file_id(path), bytes));
    }
}

impl World for ActWorld<'_> {
    fn library(&self) -> &LazyHash<Library> {
        &self.foundry.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &self.foundry.book
    }

    fn main(&self) -> FileId {
        self.foundry.form.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.foundry.form.id() {
            Ok(self.foundry.form.clone())
        } else {
            Err(missing(id))
        }
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        let held = self.files.iter().rev().find(|(known, _)| *known == id);
        held.map(|(_, bytes)| bytes.clone())
            .ok_or_else(|| missing(id))
    }

    fn font(&self, index: usize) -> Option<Font> {
        self.foundry.fonts.get(index).cloned()
    }

    fn today(&self, _offset: Option<Duration>) -> Option<Datetime> {
        None // a form reads no clock: its dates are data
    }
}

impl fmt::Debug for Foundry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Foundry")
            .field("fonts", &self.fonts.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ActWorld<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActWorld")
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

fn file_id(path: &str) -> FileId {
    let path = VirtualPath::new(path).expect("paths are constants of this crate below the root");
    RootedPath::new(VirtualRoot::Project, path).intern()
}

fn missing(id: FileId) -> FileError {
    FileError::NotFound(PathBuf::from(id.vpath().get_without_slash()))
}

const FORM_PATH: &str = "/form1.typ";
const FORM: &str = include_str!("form1.typ");

/// The text font in its weights first, then the font that brings the tick boxes.
const FONTS: [&[u8]; 3] = [
    include_bytes!(concat!(env!("OUT_DIR"), "/NotoSans-Regular.ttf")),
    include_bytes!(concat!(env!("OUT_DIR"), "/NotoSans-Bold.ttf")),
    include_bytes!(concat!(env!("OUT_DIR"), "/NotoSansSymbols2-Regular.ttf")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_font_draws_the_letters_of_kazakh() {
        let foundry = Foundry::new();

        for font in foundry.fonts.iter().take(2) {
            for letter in "ӘҒҚҢӨҰҮҺІәғқңөұүһіЁё№«»".chars() {
                assert!(
                    font.info().coverage.contains(u32::from(letter)),
                    "{letter} is missing in {:?}",
                    font.info().family
                );
            }
        }
    }

    #[test]
    fn the_last_font_draws_both_states_of_a_tick_box() {
        let foundry = Foundry::new();

        let boxes = foundry.fonts.last().expect("three fonts are embedded");

        assert!(
            "☐☒"
                .chars()
                .all(|c| boxes.info().coverage.contains(u32::from(c)))
        );
    }
}
