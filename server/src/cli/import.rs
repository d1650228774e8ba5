//! `import`: people, tests, admission sheets; the same checks as the console.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use qorgan_protocol::ids::{ExamId, SittingId};
use qorgan_server_core::archive::entry_name;
use qorgan_server_core::fault::{Fault, Note};
use qorgan_server_core::qti::{
    FILES_MAX, Identifiers, PACKAGE_BYTES_MAX, Package, Stated, read_package,
};

use super::say;
use crate::console::{
    CheckedTest, Language, Step, Unpacked, apply_admission, apply_people, apply_photos, apply_test,
    exam_facts, package_of, read_admission_sheet, read_people_list, read_photos,
};
use crate::state::AppState;

#[derive(Debug, Subcommand)]
pub(super) enum Import {
    /// Import people from a CSV list. Prints login and one-time code of everybody who got one.
    People {
        /// The CSV file.
        file: PathBuf,
    },
    /// Import the photos of people. Each picture is named as its person's login, such as `aset.k.jpg`.
    Photos {
        /// The folder or ZIP with the pictures.
        package: PathBuf,
    },
    /// Import an exam's test from a QTI 3 package.
    Test {
        /// The folder or ZIP of the package.
        package: PathBuf,
        /// The language of the test.
        #[arg(long, value_parser = super::LANGUAGES)]
        language: String,
        /// The exam's identifier; if it is left out, the newest exam.
        #[arg(long)]
        exam: Option<ExamId>,
        /// How many items there must be; another number is refused.
        #[arg(long)]
        items: Option<usize>,
    },
    /// Import the sheet that says who is admitted to a sitting.
    Admission {
        /// The CSV file.
        file: PathBuf,
        /// The sitting's identifier.
        #[arg(long)]
        sitting: SittingId,
    },
}

impl Import {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        match self {
            Self::People { file } => people(state, &file).await?,
            Self::Photos { package } => photos(state, &package).await?,
            Self::Test {
                package,
                language,
                exam,
                items,
            } => test(state, &package, language, exam, items).await?,
            Self::Admission { file, sitting } => admission(state, &file, sitting).await?,
        }
        state.store.close().await;
        Ok(())
    }
}

async fn people(state: &AppState, file: &Path) -> anyhow::Result<()> {
    let read = read_people_list(state, &name(file), &read(file)?).await?;
    let sheet = good(read)?;
    tell(&sheet.notes);
    let report = apply_people(state, &sheet.rows, ACTOR, &progress()).await?;
    say(&format!("{} people imported", report.imported));
    for (_name, login, code) in report.codes {
        say(&format!("{login}\t{code}"));
    }
    Ok(())
}

async fn photos(state: &AppState, path: &Path) -> anyhow::Result<()> {
    let package = package(path)?;
    checking(&package);
    let read = good(read_photos(state, &name(path), package).await?)?;
    tell(&read.notes);
    let count = apply_photos(state, &read.photos, ACTOR, &progress()).await?;
    say(&format!("{count} photos imported"));
    Ok(())
}

async fn test(
    state: &AppState,
    path: &Path,
    language: String,
    exam: Option<ExamId>,
    items: Option<usize>,
) -> anyhow::Result<()> {
    let exam = match exam {
        Some(exam) => exam,
        None => newest_exam(state).await?,
    };
    let facts = exam_facts(&state.store, exam)
        .await?
        .context("there is no such exam")?;
    let unpacked = package(path)?;
    tell(&unpacked.notes(&name(path)));
    checking(&unpacked);
    let stated = Stated {
        language,
        discipline: Some(facts.code).filter(|code| !code.is_empty()),
        items,
        ..Stated::default()
    };
    let mut random = || qorgan_signing::random().unwrap_or_default();
    let mut identifiers = Identifiers {
        at: state.clock.wall(),
        random: &mut random,
    };
    let test = good(read_package(&unpacked.package, &stated, &mut identifiers))?;
    let checked = CheckedTest::new(state, exam, test).await?;
    let report = apply_test(state, checked, ACTOR).await?;
    say(&format!(
        "{} items and {} pictures imported",
        report.items, report.pictures
    ));
    Ok(())
}

async fn admission(state: &AppState, file: &Path, sitting: SittingId) -> anyhow::Result<()> {
    let read = read_admission_sheet(state, sitting, &name(file), &read(file)?).await?;
    let sheet = good(read)?;
    tell(&sheet.notes);
    let report = apply_admission(state, sitting, &sheet.rows, ACTOR, &progress()).await?;
    say(&format!(
        "{} admitted, {} not admitted",
        report.admitted, report.refused
    ));
    Ok(())
}

async fn newest_exam(state: &AppState) -> anyhow::Result<ExamId> {
    let id: Option<String> = qorgan_store::query_scalar(
        "SELECT id FROM exams ORDER BY created_ms DESC, id DESC LIMIT 1",
    )
    .fetch_optional(state.store.read())
    .await?;
    Ok(id
        .context("there is no exam; `exam create` makes one")?
        .parse()?)
}

/// Says what somebody should look at, beside the output.
fn tell(notes: &[Note]) {
    let language = language();
    for note in notes {
        beside(&language.note_line(note));
    }
}

/// Writes a line beside the answer, so that a program that reads the answer is not disturbed.
fn beside(line: &str) {
    // Where nobody listens, nobody misses it.
    let _closed = writeln!(std::io::stderr(), "{line}");
}

/// Says how many files of a package are checked now, which takes its time where they are large.
fn checking(unpacked: &Unpacked) {
    let blanks = [("n", unpacked.package.len().to_string())];
    beside(&language().fill("cli-checking", &blanks));
}

/// Says every two seconds how far an import is, beside the output.
fn progress() -> impl Fn(Step, usize) + Sync {
    let last = Mutex::new(Instant::now());
    move |step, done: usize| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= TOLD_EVERY {
            *last = Instant::now();
            let key = match step {
                Step::Hashed => "cli-hashed",
                Step::Written => "cli-written",
            };
            beside(&language().fill(key, &[("n", done.to_string())]));
        }
    }
}

/// Turns faults into one error that lists all of them.
fn good<T>(read: Result<T, Vec<Fault>>) -> anyhow::Result<T> {
    read.map_err(|faults| {
        let language = language();
        let mut text = language.text("cli-faults");
        for fault in &faults {
            text.push_str("\n  ");
            text.push_str(&language.fault_line(fault));
        }
        anyhow::anyhow!(text)
    })
}

/// The terminal's language; English where it is none of ours.
fn language() -> Language {
    std::env::var("LANG")
        .ok()
        .and_then(|code| Language::from_code(&code))
        .unwrap_or(Language::English)
}

/// Reads a file whole, or what a pipe gives until it ends; more than a package may hold is refused.
fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", file.display());
    let most = u64::try_from(PACKAGE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let opened = fs::File::open(file).with_context(cannot)?;
    opened
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .with_context(cannot)?;
    if bytes.len() > PACKAGE_BYTES_MAX {
        let mib = PACKAGE_BYTES_MAX >> 20;
        bail!("{} is larger than {mib} MiB", file.display());
    }
    Ok(bytes)
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Reads a folder or a ZIP.
fn package(path: &Path) -> anyhow::Result<Unpacked> {
    if path.is_dir() {
        folder(path)
    } else {
        good(package_of(&name(path), &read(path)?))
    }
}

fn folder(root: &Path) -> anyhow::Result<Unpacked> {
    let (mut package, mut skipped) = (Package::new(), 0);
    let mut open = vec![root.to_path_buf()];
    let mut bytes = 0;
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder);
        for entry in entries.with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            let path = entry.path();
            let kind = entry
                .file_type()
                .with_context(|| format!("cannot read {}", path.display()))?;
            if kind.is_dir() {
                open.push(path);
                continue;
            }
            // A link may lead out of the folder or round in it; a pipe or device may never end.
            if !kind.is_file() {
                bail!(
                    "{} is neither a file nor a folder (a link, pipe or device): take it out of the \
                     folder",
                    path.display()
                );
            }
            let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
            let Some(name) = entry_name(name.as_bytes()) else {
                skipped += 1;
                continue;
            };
            let content = read(&path)?;
            bytes += content.len();
            if bytes > PACKAGE_BYTES_MAX || package.len() >= FILES_MAX {
                bail!("{} is larger than a package may be", root.display());
            }
            package.insert(name, content);
        }
    }
    Ok(Unpacked { package, skipped })
}

const TOLD_EVERY: Duration = Duration::from_secs(2);
/// Who stands in the audit log.
const ACTOR: &str = "command line";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_anything_but_files_and_folders_is_refused_and_does_not_hang() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        fs::create_dir(folder.path().join("ЖМ-1")).expect("made");
        fs::write(folder.path().join("ЖМ-1/a.jpg"), b"x").expect("written");
        fs::write(folder.path().join("ЖМ-1/Thumbs.db"), b"x").expect("written");
        let read = package(folder.path()).expect("a good folder");
        assert_eq!((read.package.len(), read.skipped), (1, 1));

        let pipe = folder.path().join("ЖМ-1/b.jpg");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|made| made.success()) {
            let told = package(folder.path()).expect_err("no file").to_string();
            assert!(told.contains("b.jpg"), "{told}");
        }
    }
}
