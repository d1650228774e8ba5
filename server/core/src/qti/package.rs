//! A package: manifest, test, items and pictures put together.

use std::collections::BTreeMap;

use qorgan_protocol::assessment::{AssessmentItem, AssessmentTest, Block, Picture};
use qorgan_protocol::ids::{ItemId, PictureId, TestId};
use qorgan_protocol::time::WallTime;

use percent_encoding::percent_decode_str;

use super::format::format_of_files;
use super::item::{BodyBlock, ItemFile};
use super::{FILES_MAX, ITEMS_MAX, PACKAGE_BYTES_MAX, PICTURE_BYTES_MAX, Package};
use super::{item, manifest, test, xml};
use crate::archive::{composed, rooted_at};
use crate::fault::{Fault, FaultKind, Place};
use crate::picture;

/// Makes identifiers: the time, and a source of random bytes.
pub struct Identifiers<'a> {
    /// When the import happens.
    pub at: WallTime,
    /// Gives ten random bytes at a time.
    pub random: &'a mut dyn FnMut() -> [u8; 10],
}

impl core::fmt::Debug for Identifiers<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Identifiers")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// What the testing centre states about the test and the machine checks (SOP 6); `None` where
/// nothing was stated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stated {
    /// The language: `kk`, `ru` or `en`.
    pub language: String,
    /// The discipline's code.
    pub discipline: Option<String>,
    /// The test's name.
    pub title: Option<String>,
    /// The number of items.
    pub items: Option<usize>,
    /// The control form; a test has `test`.
    pub control_form: Option<String>,
}

/// Reads a package.
///
/// # Errors
/// Every fault that was found, sorted by file and line.
pub fn read_package(
    package: &Package,
    stated: &Stated,
    identifiers: &mut Identifiers<'_>,
) -> Result<AssessmentTest, Vec<Fault>> {
    let mut faults = bounds(package);
    if !faults.is_empty() {
        return Err(faults);
    }
    let rooted = rooted_at(package, MANIFEST);
    let test = Reading {
        package: rooted.as_ref().unwrap_or(package),
        faults: &mut faults,
        identifiers,
        pictures: BTreeMap::new(),
        kept: Vec::new(),
    }
    .run(stated);
    faults.sort();
    faults.dedup();
    test.filter(|_| faults.is_empty()).ok_or(faults)
}

fn bounds(package: &Package) -> Vec<Fault> {
    let whole = |kind| vec![Fault::new(Place::default(), kind)];
    if package.is_empty() {
        return whole(FaultKind::Empty);
    }
    if package.len() > FILES_MAX {
        return whole(FaultKind::TooManyFiles { max: FILES_MAX });
    }
    let bytes: usize = package.values().map(Vec::len).sum();
    if bytes > PACKAGE_BYTES_MAX {
        let max_mib = PACKAGE_BYTES_MAX >> 20;
        return whole(FaultKind::FileTooLarge { max_mib });
    }
    package
        .keys()
        .filter(|name| resolve("", name).as_deref() != Some(name.as_str()))
        .map(|name| Fault::new(Place::file(name), FaultKind::BadFileName))
        .collect()
}

struct Reading<'a, 'i> {
    package: &'a Package,
    faults: &'a mut Vec<Fault>,
    identifiers: &'a mut Identifiers<'i>,
    pictures: BTreeMap<String, PictureId>,
    kept: Vec<Picture>,
}

impl Reading<'_, '_> {
    fn run(mut self, stated: &Stated) -> Option<AssessmentTest> {
        let manifest_name = MANIFEST;
        if !self.package.contains_key(manifest_name) {
            let kind = match format_of_files(self.package) {
                Some(format) => FaultKind::ForeignFormat {
                    format: format.to_owned(),
                },
                None => FaultKind::NoManifest,
            };
            self.fault(Place::file(manifest_name), kind);
            return None;
        }
        let root = self.xml(manifest_name)?;
        let manifest = manifest::read(manifest_name, &root, self.faults);
        let (test_href, line) = manifest.test?;
        let test_name = self.find(manifest_name, &test_href, line)?;
        let root = self.xml(&test_name)?;
        let file = test::read(&test_name, &root, self.faults);
        if file.items.len() > ITEMS_MAX {
            let max = ITEMS_MAX;
            self.fault(Place::file(&test_name), FaultKind::TooManyItems { max });
            return None;
        }
        for (href, line) in &manifest.items {
            // A stray reference in the manifest is a fault even where the test does not use it.
            self.find(manifest_name, href, *line);
        }
        self.check(&test_name, &file, manifest.discipline.as_deref(), stated);
        let items = self.items(&test_name, &file, stated);
        Some(AssessmentTest {
            id: TestId::new(self.identifiers.at, (self.identifiers.random)()),
            title: file.title,
            language: stated.language.clone(),
            items,
            pictures: self.kept,
        })
    }

    /// The machine's part of the technical check: discipline code, name, number, control form,
    /// language.
    fn check(
        &mut self,
        name: &str,
        file: &test::TestFile,
        discipline: Option<&str>,
        stated: &Stated,
    ) {
        let place = || Place::file(name);
        if let Some(found) = &file.language {
            self.language(place(), found, &stated.language);
        }
        if let Some(expected) = stated.items.filter(|count| *count != file.items.len()) {
            let found = file.items.len();
            self.fault(place(), FaultKind::WrongCount { found, expected });
        }
        if let Some(expected) = &stated.title
            && *expected != file.title
        {
            let (found, expected) = (file.title.clone(), expected.clone());
            self.fault(place(), FaultKind::WrongTitle { found, expected });
        }
        if let (Some(found), Some(expected)) = (discipline, &stated.discipline)
            && found != expected
        {
            let (found, expected) = (found.to_owned(), expected.clone());
            self.fault(
                Place::file("imsmanifest.xml"),
                FaultKind::WrongDiscipline { found, expected },
            );
        }
        if let Some(found) = stated.control_form.clone().filter(|form| form != "test") {
            self.fault(place(), FaultKind::WrongControlForm { found });
        }
    }

    fn language(&mut self, place: Place, found: &str, expected: &str) {
        if primary_language(found) != expected {
            let (found, expected) = (found.to_owned(), expected.to_owned());
            self.fault(place, FaultKind::WrongLanguage { found, expected });
        }
    }

    fn items(
        &mut self,
        test_name: &str,
        file: &test::TestFile,
        stated: &Stated,
    ) -> Vec<AssessmentItem> {
        let mut seen = BTreeMap::new();
        let mut items = Vec::new();
        for (href, line) in &file.items {
            let Some(name) = self.find(test_name, href, *line) else {
                continue;
            };
            let Some(root) = self.xml(&name) else {
                continue;
            };
            let item = item::read(&name, &root, self.faults);
            let place = Place::line(&name, root.line).of_item(&item.code);
            if seen.insert(item.code.clone(), ()).is_some() {
                let identifier = item.code.clone();
                self.fault(place.clone(), FaultKind::RepeatedIdentifier { identifier });
            }
            if let Some(found) = &item.language {
                self.language(place, found, &stated.language);
            }
            items.extend(self.finish(&name, item));
        }
        items
    }

    fn finish(&mut self, name: &str, item: ItemFile) -> Option<AssessmentItem> {
        let mut body = Vec::new();
        for block in item.body {
            match block {
                BodyBlock::Text(text) => body.push(Block::Text { text }),
                BodyBlock::Picture { href, alt, line } => {
                    let picture = self.picture(name, &item.code, &href, line);
                    body.extend(picture.map(|picture| Block::Picture { picture, alt }));
                }
            }
        }
        Some(AssessmentItem {
            id: ItemId::new(self.identifiers.at, (self.identifiers.random)()),
            code: item.code,
            title: item.title,
            body,
            prompt: item.prompt,
            interaction: item.interaction?,
            correct: item.correct,
            points: item.points,
        })
    }

    fn picture(&mut self, from: &str, code: &str, href: &str, line: u32) -> Option<PictureId> {
        let name = self.find(from, href, line)?;
        if let Some(known) = self.pictures.get(&name) {
            return Some(*known);
        }
        let place = Place::line(from, line).of_item(code);
        let bytes = self.package.get(&name)?;
        if bytes.len() > PICTURE_BYTES_MAX {
            let max_mib = PICTURE_BYTES_MAX >> 20;
            self.fault(place, FaultKind::FileTooLarge { max_mib });
            return None;
        }
        let Some(media_type) = picture::media_type(bytes) else {
            let href = href.to_owned();
            self.fault(place, FaultKind::BadPicture { href });
            return None;
        };
        let id = PictureId::new(self.identifiers.at, (self.identifiers.random)());
        self.pictures.insert(name, id);
        self.kept.push(Picture {
            id,
            media_type: media_type.to_owned(),
            bytes: bytes.clone(),
        });
        Some(id)
    }

    fn find(&mut self, from: &str, href: &str, line: u32) -> Option<String> {
        let place = Place::line(from, line);
        let Some(name) = resolve(folder(from), href) else {
            let href = href.to_owned();
            self.fault(place, FaultKind::ForeignAddress { href });
            return None;
        };
        let unescaped = percent_decode_str(href).decode_utf8_lossy();
        let unescaped = resolve(folder(from), &composed(&unescaped));
        let names = [Some(name), unescaped].into_iter().flatten();
        let found = names
            .into_iter()
            .find(|name| self.package.contains_key(name));
        if found.is_none() {
            let href = href.to_owned();
            self.fault(place, FaultKind::MissingFile { href });
        }
        found
    }

    fn xml(&mut self, name: &str) -> Option<xml::Element> {
        let bytes = self.package.get(name)?;
        match xml::parse(name, bytes) {
            Ok(root) => Some(root),
            Err(fault) => {
                self.faults.push(*fault);
                None
            }
        }
    }

    fn fault(&mut self, place: Place, kind: FaultKind) {
        self.faults.push(Fault::new(place, kind));
    }
}

/// Returns the language of a tag such as `kk-KZ`, `kk_KZ` or `kaz`, by its two letters.
fn primary_language(tag: &str) -> String {
    let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
    let primary = primary.to_ascii_lowercase();
    match primary.as_str() {
        "kaz" => "kk".to_owned(),
        "rus" => "ru".to_owned(),
        "eng" => "en".to_owned(),
        _ => primary,
    }
}

const MANIFEST: &str = "imsmanifest.xml";

fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Returns the name that `href` has within the package; `None` where it leads out of it.
fn resolve(folder: &str, href: &str) -> Option<String> {
    let slashed = href.replace('\\', "/");
    if slashed.starts_with('/') || slashed.contains(':') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in slashed.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/")).filter(|name| !name.is_empty())
}
