//! Personal data of the exam's people, and where a log holds it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::exam::sheet;

/// Returns what no log may hold of the exam's people: login, names and password of each.
///
/// # Errors
/// Fails where the sheet of people cannot be read or has other columns.
pub fn personal_words() -> Result<Vec<String>> {
    let sheet = String::from_utf8(sheet("candidates.csv")?)?;
    let mut lines = sheet.lines();
    let columns: Vec<_> = lines.next().unwrap_or_default().split(',').collect();
    let mut words = Vec::new();
    for name in ["login", "surname", "name", "patronymic", "password"] {
        let column = columns.iter().position(|column| *column == name);
        let column = column.with_context(|| format!("the sheet has no {name}"))?;
        let cells = lines.clone().filter_map(|line| line.split(',').nth(column));
        words.extend(cells.filter(|cell| !cell.is_empty()).map(str::to_owned));
    }
    words.sort_unstable();
    words.dedup();
    Ok(words)
}

/// Returns each line of the logs of a folder that holds one of the words, by the log's name.
///
/// # Errors
/// Fails where the folder holds no log or one cannot be read.
pub fn lines_with(folder: &Path, words: &[String]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut read = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        read += 1;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let log = fs::read(&path)?;
        for line in String::from_utf8_lossy(&log).lines() {
            let lower = line.to_lowercase();
            let named = |word: &&String| lower.contains(&word.to_lowercase());
            if let Some(word) = words.iter().find(named) {
                found.push(format!("{name} holds {word:?}: {line}"));
            }
        }
    }
    ensure!(read > 0, "{} holds no log", folder.display());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidates_name_in_a_log_is_found_and_an_identifier_is_not() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let words = personal_words().expect("the sheet");
        assert!(words.iter().any(|word| word == "aruzhan.bekova"));
        let log = folder.path().join("server.log");
        fs::write(&log, "INFO attempt=019a-77 Sealed a recording\n").expect("written");
        assert_eq!(
            lines_with(folder.path(), &words).expect("read"),
            [""; 0],
            "an identifier names nobody"
        );
        for slip in ["login=Aruzhan.Bekova", "name=Бекова", "demo-aorta-2026"] {
            fs::write(&log, format!("INFO ok\nWARN {slip} refused\n")).expect("written");
            let found = lines_with(folder.path(), &words).expect("read");
            assert_eq!(found.len(), 1, "{slip}: {found:?}");
        }
    }

    #[test]
    fn no_log_at_all_proves_nothing() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        lines_with(folder.path(), &[]).expect_err("nothing was looked at");
    }
}
