//! Photos on file (decision 7): a ZIP of pictures, each called as its person's login, checked and
//! then stored sealed.
//!
//! # Invariants
//! * A file is somebody's by its name, or it is told; no file takes another's place silently.

use std::collections::BTreeMap;

use axum::extract::State;
use qorgan_protocol::ids::PersonId;
use qorgan_server_core::fault::{Fault, FaultKind, Note, Place};
use qorgan_server_core::login::fold_login;
use qorgan_server_core::qti::Package;

use super::error::Answer;
use super::imports::{
    ImportError, PreviewTable, PreviewWords, Progress, Step, log, show_checked, show_faults,
};
use super::package::{Unpacked, package_of};
use super::page::{Page, Visitor};
use super::people_list::likely_account;
use super::picture::small_jpeg;
use super::posted::Uploaded;
use super::preview::Checked;
use crate::auth::TestCentre;
use crate::state::AppState;
use qorgan_store::{StoreError, id, people};

/// A photo that was checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Photo {
    person: PersonId,
    login: String,
    file: String,
    jpeg: Vec<u8>,
}

impl Photo {
    /// Returns how many bytes of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let names = self.login.len().saturating_add(self.file.len());
        self.jpeg.len().saturating_add(names)
    }

    /// Makes a photo of so many bytes.
    #[cfg(test)]
    pub(super) fn of_bytes(person: PersonId, bytes: usize) -> Self {
        Self {
            person,
            login: String::new(),
            file: String::new(),
            jpeg: vec![0; bytes],
        }
    }
}

/// Photos without faults.
#[derive(Debug)]
pub struct Photos {
    /// The photos.
    pub photos: Vec<Photo>,
    /// What was skipped.
    pub notes: Vec<Note>,
}

/// A photo is personal: it is never printed.
impl core::fmt::Debug for Photo {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("‹private›")
    }
}

/// Checks a package of photos: each file is a JPEG or PNG called as a person's login; what a system
/// adds to folders is skipped.
///
/// # Errors
/// Every fault with its file, or the database failed.
pub async fn read_photos(
    state: &AppState,
    file: &str,
    unpacked: Unpacked,
) -> Result<Result<Photos, Vec<Fault>>, StoreError> {
    let rows: Vec<(String, String)> = qorgan_store::query_as("SELECT login, id FROM people")
        .fetch_all(state.store.read())
        .await?;
    let mut people = BTreeMap::new();
    for (login, person) in rows {
        people.insert(login, id(&person)?);
    }
    let file = file.to_owned();
    let checked = tokio::task::spawn_blocking(move || {
        let mut read = check(&people, &unpacked.package)?;
        read.notes = unpacked.notes(&file);
        Ok(read)
    })
    .await;
    Ok(checked
        .unwrap_or_else(|_panicked| Err(vec![Fault::new(Place::default(), FaultKind::Empty)])))
}

fn check(people: &BTreeMap<String, PersonId>, package: &Package) -> Result<Photos, Vec<Fault>> {
    let mut read = Photos {
        photos: Vec::new(),
        notes: Vec::new(),
    };
    let mut faults = Vec::new();
    let mut files: BTreeMap<String, &str> = BTreeMap::new();
    for (file, bytes) in package {
        let mut fault = |kind| faults.push(Fault::new(Place::file(file), kind));
        let found = login_of(file, people);
        let login = match found {
            Ok(login) => login,
            Err(kind) => {
                fault(kind);
                continue;
            }
        };
        if let Some(other) = files.insert(login.clone(), file) {
            let other = other.to_owned();
            fault(FaultKind::RepeatedPhoto { login, other });
            continue;
        }
        match (people.get(&login), small_jpeg(file, bytes)) {
            (Some(person), Ok(jpeg)) => read.photos.push(Photo {
                person: *person,
                login,
                file: file.clone(),
                jpeg,
            }),
            (None, _) => fault(FaultKind::UnknownLogin { login }),
            (Some(_), Err(kind)) => fault(kind),
        }
    }
    if read.photos.is_empty() && faults.is_empty() {
        faults.push(Fault::new(Place::default(), FaultKind::Empty));
    }
    if faults.is_empty() {
        Ok(read)
    } else {
        Err(faults)
    }
}

/// Returns whose photo a file is: its name without folders and endings, as sign-in folds it, is a
/// login; or the login stands before other words, such as the person's name or the number of a copy.
fn login_of(file: &str, people: &BTreeMap<String, PersonId>) -> Result<String, FaultKind> {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = without_endings(name);
    let whole = fold_login(stem);
    if people.contains_key(&whole) {
        return Ok(whole);
    }
    let mut words = stem.split([' ', '\u{a0}', '(', ',', ';']).map(fold_login);
    let first = words.find(|word| !word.is_empty()).unwrap_or_default();
    if people.contains_key(&first) {
        return Ok(first);
    }
    let likely = likely_account(&whole, people).or_else(|| likely_account(&first, people));
    Err(match likely {
        Some(likely) => FaultKind::LostZero {
            login: whole,
            likely,
        },
        None => FaultKind::UnknownLogin { login: whole },
    })
}

/// Takes the endings of pictures off a file's name, in any case and however often.
fn without_endings(name: &str) -> &str {
    let mut stem = name.trim();
    while let Some((rest, ending)) = stem.rsplit_once('.') {
        let ending = ending.trim().to_lowercase();
        if !ENDINGS.contains(&ending.as_str()) || rest.is_empty() {
            break;
        }
        stem = rest.trim();
    }
    stem
}

const ENDINGS: [&str; 14] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "bmp", "gif", "heic", "heif", "webp", "tif", "tiff",
    "avif", "jp2",
];

/// Stores photos that were checked, each in the place of the one before. `told` hears how far it is.
///
/// # Errors
/// The database failed or there is no randomness; nothing is changed then.
pub async fn apply_photos(
    state: &AppState,
    photos: &[Photo],
    actor: &str,
    told: Progress<'_>,
) -> Result<usize, ImportError> {
    // Sealed before the transaction, so that no writer waits for it.
    let mut sealed = Vec::with_capacity(photos.len());
    for photo in photos {
        sealed.push(people::seal_photo(&state.keys, photo.person, &photo.jpeg)?);
        tokio::task::yield_now().await;
    }
    let mut tx = state.store.begin().await?;
    for (done, (photo, sealed)) in (1..).zip(photos.iter().zip(&sealed)) {
        people::put_photo(&mut tx, photo.person, sealed).await?;
        told(Step::Written, done);
    }
    let count = photos.len().to_string();
    log(&mut tx, state, actor, ("photos_imported", "people", &count)).await?;
    tx.commit().await?;
    Ok(photos.len())
}

/// `POST /console/people/photos`.
pub(super) async fn import(
    visitor: Visitor,
    State(state): State<AppState>,
    upload: Uploaded<TestCentre>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&upload.staff.session));
    let words = PreviewWords {
        title: "import-photos",
        file: upload.name.clone(),
        back: "/console/people".to_owned(),
        clause: "clause-3",
    };
    let package = match package_of(&upload.name, &upload.bytes) {
        Ok(package) => package,
        Err(faults) => return show_faults(page, words, &faults),
    };
    match read_photos(&state, &upload.name, package).await? {
        Err(faults) => show_faults(page, words, &faults),
        Ok(Photos { photos, notes }) => {
            let summary = vec![page.t1("preview-photos", "n", photos.len())];
            let table = PreviewTable {
                summary,
                headings: vec![page.t("login"), page.t("file")],
                rows: photos
                    .iter()
                    .map(|one| vec![one.login.clone(), one.file.clone()])
                    .collect(),
                notes,
            };
            let checked = (Checked::Photos(photos), table);
            show_checked(&state, &visitor, &upload.staff, words, checked)
        }
    }
}

#[cfg(test)]
mod tests {
    use image::ImageFormat;
    use qorgan_protocol::time::WallTime;

    use super::super::picture::tests::written;
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        written(ImageFormat::Png, width, height)
    }

    fn people() -> BTreeMap<String, PersonId> {
        let person = |n| PersonId::new(WallTime::from_unix_ms(1), [n; 10]);
        BTreeMap::from([("a.bek".to_owned(), person(1)), ("b".to_owned(), person(2))])
    }

    #[test]
    fn a_photo_is_made_small_and_finds_its_person_by_the_files_name() {
        let package = Package::from([
            ("photos/a.bek.png".to_owned(), png(1_200, 1_600)),
            ("b.png".to_owned(), png(90, 120)),
        ]);
        let read = check(&people(), &package).expect("good");
        let sizes: Vec<_> = read
            .photos
            .iter()
            .map(|photo| {
                let picture = image::load_from_memory(&photo.jpeg).expect("a JPEG");
                (photo.login.as_str(), picture.width(), picture.height())
            })
            .collect();
        assert_eq!(sizes, [("b", 90, 120), ("a.bek", 480, 640)]);
    }

    #[test]
    fn a_photo_that_is_damaged_in_the_middle_is_refused_by_its_name() {
        let mut jpeg = written(ImageFormat::Jpeg, 640, 640);
        let middle = jpeg.len() / 2;
        jpeg[middle..middle + 256].fill(0);
        let package = Package::from([
            ("a.bek.jpg".to_owned(), jpeg),
            ("b.png".to_owned(), png(90, 120)),
        ]);
        let faults = check(&people(), &package).expect_err("a damaged one");
        let href = "a.bek.jpg".to_owned();
        let wanted = Fault::new(Place::file(&href), FaultKind::CutPicture { href });
        assert_eq!(faults, [wanted]);
    }

    #[test]
    fn every_file_that_is_nobodys_or_no_picture_is_named() {
        let package = Package::from([
            ("a.bek.jpg".to_owned(), b"no picture".to_vec()),
            ("stranger.png".to_owned(), png(9, 9)),
        ]);
        let faults = check(&people(), &package).expect_err("two faults");
        let told: Vec<_> = faults
            .iter()
            .map(|fault| (fault.place.file.as_str(), fault.kind.word()))
            .collect();
        assert_eq!(
            told,
            [
                ("a.bek.jpg", "bad-picture"),
                ("stranger.png", "unknown-login")
            ]
        );
        check(&people(), &Package::new()).expect_err("empty");
    }

    #[test]
    fn a_files_name_finds_its_person_however_it_is_written() {
        for name in [
            "A.BEK.JPG",
            "a.bek.jpg.jpg",
            "a.bek .png",
            "ЖМ-1/a.bek.jpeg",
            "ЖМ-1\\a.bek.jpg",
            "a.bek (1).jpg",
            "a.bek Әлі Дос.png",
            "a.bek",
        ] {
            assert_eq!(login_of(name, &people()), Ok("a.bek".to_owned()), "{name}");
        }
        let mut people = people();
        let person = people.values().next().copied().expect("somebody");
        people.insert("0401".to_owned(), person);
        let lost = login_of("401.jpg", &people).expect_err("nobody");
        assert_eq!(lost.word(), "unknown-login", "too short to be sure");
        people.insert("040101500001".to_owned(), person);
        let lost = login_of("40101500001.jpg", &people).expect_err("nobody");
        assert_eq!(lost.word(), "lost-zero");
    }

    #[test]
    fn two_photos_of_one_person_are_told() {
        let package = Package::from([
            ("B.jpg".to_owned(), png(9, 9)),
            ("b.png".to_owned(), png(9, 9)),
        ]);
        let faults = check(&people(), &package).expect_err("two of one");
        let told: Vec<_> = faults.iter().map(|fault| fault.kind.word()).collect();
        assert_eq!(told, ["repeated-photo"]);
    }
}
