//! A ZIP as a package of files, bounded. Files that operating systems add for themselves are left out.

use std::io::{Cursor, Read as _};

use qorgan_server_core::archive::entry_name;
use qorgan_server_core::fault::{Fault, FaultKind, Note, NoteKind, Place};
use qorgan_server_core::qti::{FILES_MAX, PACKAGE_BYTES_MAX, Package, format_of};

/// The files of an archive or folder.
#[derive(Debug, Default)]
pub struct Unpacked {
    /// What people put there.
    pub package: Package,
    /// How many files systems put there for themselves; they are left out and told.
    pub skipped: usize,
}

impl Unpacked {
    /// Returns what is told about the files that were left out.
    #[must_use]
    pub fn notes(&self, file: &str) -> Vec<Note> {
        let count = self.skipped;
        let kind = NoteKind::SkippedFiles { count };
        let told = (count > 0).then(|| Note::new(Place::file(file), kind));
        told.into_iter().collect()
    }
}

/// Unpacks a ZIP into a package.
///
/// # Errors
/// One fault: unreadable, too large, too many files.
pub fn package_of(file: &str, zip: &[u8]) -> Result<Unpacked, Vec<Fault>> {
    let fault = |kind| vec![Fault::new(Place::file(file), kind)];
    let bad = |error: zip::result::ZipError| {
        let cause = error.to_string();
        fault(FaultKind::BadArchive { cause })
    };
    let mut archive =
        zip::ZipArchive::new(Cursor::new(zip)).map_err(|error| match format_of(zip) {
            Some(format) => fault(FaultKind::ForeignFormat {
                format: format.to_owned(),
            }),
            None => bad(error),
        })?;
    if archive.has_duplicate_names() {
        let name = file.to_owned();
        return Err(fault(FaultKind::RepeatedFile { name }));
    }
    if archive.len() > FILES_MAX {
        return Err(fault(FaultKind::TooManyFiles { max: FILES_MAX }));
    }
    let (mut package, mut skipped) = (Package::new(), 0);
    let mut left = u64::try_from(PACKAGE_BYTES_MAX).unwrap_or(u64::MAX);
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(bad)?;
        if entry.is_dir() {
            continue;
        }
        let Some(name) = entry_name(entry.name_raw()) else {
            skipped += 1;
            continue;
        };
        let mut bytes = Vec::new();
        // The stated size may lie: one byte more than what is left tells that it is too much.
        entry
            .take(left.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| bad(zip::result::ZipError::Io(error)))?;
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        left = left.checked_sub(len).ok_or_else(|| {
            let max_mib = PACKAGE_BYTES_MAX >> 20;
            fault(FaultKind::FileTooLarge { max_mib })
        })?;
        if package.insert(name.clone(), bytes).is_some() {
            return Err(fault(FaultKind::RepeatedFile { name }));
        }
    }
    Ok(Unpacked { package, skipped })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_format_is_called_by_its_name() {
        let faults = package_of("a.txt", b"2+2?\nA. 4\nB. 5\nANSWER: A\n").expect_err("Aiken");

        assert!(
            matches!(&faults[0].kind, FaultKind::ForeignFormat { format } if format == "Aiken")
        );
    }

    #[test]
    fn what_macos_and_windows_add_or_write_otherwise_is_no_fault() {
        let zip = zipped(&["t\\imsmanifest.xml", "__MACOSX/._t", "t/.DS_Store"]);

        let read = package_of("a.zip", &zip).expect("a package");

        assert_eq!(read.skipped, 2, "they are counted");
        assert_eq!(
            read.package.into_keys().collect::<Vec<_>>(),
            ["t/imsmanifest.xml"]
        );
    }

    #[test]
    fn two_entries_of_one_name_are_refused() {
        let zip = zipped(&["t/q1.xml", "t\\q1.xml"]);

        let faults = package_of("a.zip", &zip).expect_err("one name twice");

        assert!(matches!(&faults[0].kind, FaultKind::RepeatedFile { name } if name == "t/q1.xml"));
    }

    fn zipped(names: &[&str]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in names {
            let options = zip::write::SimpleFileOptions::default();
            writer.start_file(*name, options).expect("a file");
        }
        writer.finish().expect("an archive").into_inner()
    }

    #[test]
    fn what_is_no_archive_is_a_fault() {
        let faults = package_of("a.zip", b"PK no").expect_err("no archive");

        assert_eq!(faults[0].kind.word(), "bad-archive");
    }
}
