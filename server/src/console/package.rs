//! A ZIP as a package of files, bounded.

use std::io::{Cursor, Read as _};

use qorgan_server_core::fault::{Fault, FaultKind, Place};
use qorgan_server_core::qti::{FILES_MAX, PACKAGE_BYTES_MAX, Package};

/// Unpacks a ZIP into a package.
///
/// # Errors
/// One fault: unreadable, too large, too many files.
pub fn package_of(file: &str, zip: &[u8]) -> Result<Package, Vec<Fault>> {
    let fault = |kind| vec![Fault::new(Place::file(file), kind)];
    let bad = |error: zip::result::ZipError| {
        let cause = error.to_string();
        fault(FaultKind::BadArchive { cause })
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).map_err(bad)?;
    if archive.len() > FILES_MAX {
        return Err(fault(FaultKind::TooManyFiles { max: FILES_MAX }));
    }
    let mut package = Package::new();
    let mut left = u64::try_from(PACKAGE_BYTES_MAX).unwrap_or(u64::MAX);
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(bad)?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().map_err(bad)?.into_owned();
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
        package.insert(name, bytes);
    }
    Ok(without_common_folder(package))
}

/// A folder that was packed whole: its name goes, so that the manifest stands at the root.
fn without_common_folder(package: Package) -> Package {
    if package.contains_key("imsmanifest.xml") {
        return package;
    }
    let folder = package
        .keys()
        .find_map(|name| name.strip_suffix("/imsmanifest.xml"))
        .filter(|folder| !folder.contains('/'))
        .map(|folder| format!("{folder}/"));
    match folder {
        Some(folder) if package.keys().all(|name| name.starts_with(&folder)) => package
            .into_iter()
            .map(|(name, bytes)| (name.trim_start_matches(&folder).to_owned(), bytes))
            .collect(),
        Some(_) | None => package,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_archive_is_a_fault() {
        let faults = package_of("a.zip", b"PK no").expect_err("no archive");

        assert_eq!(faults[0].kind.word(), "bad-archive");
    }
}
