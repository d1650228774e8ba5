//! Photos on file (decision 7): a ZIP of pictures, each called as its person's login, checked and
//! then stored sealed.
//!
//! # Invariants
//! * A picture is decoded within bounds, made small and written anew: what else a file carried, such
//!   as where it was taken, is not kept.

use std::collections::BTreeMap;
use std::io::Cursor;

use axum::extract::State;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageReader, Limits};
use qorgan_protocol::ids::PersonId;
use qorgan_server_core::fault::{Fault, FaultKind, Place};
use qorgan_server_core::qti::Package;

use super::error::Answer;
use super::imports::{ImportError, PreviewTable, PreviewWords, log, show_checked, show_faults};
use super::package::package_of;
use super::page::{Page, Visitor};
use super::posted::Uploaded;
use super::preview::Checked;
use crate::auth::TestCentre;
use crate::state::AppState;
use crate::store::{StoreError, id, people};

/// A photo that was checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Photo {
    person: PersonId,
    login: String,
    jpeg: Vec<u8>,
}

impl Photo {
    /// Returns how many bytes of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.jpeg.len().saturating_add(self.login.len())
    }

    /// Makes a photo of so many bytes.
    #[cfg(test)]
    pub(super) fn of_bytes(person: PersonId, bytes: usize) -> Self {
        Self {
            person,
            login: String::new(),
            jpeg: vec![0; bytes],
        }
    }
}

/// A photo is personal: it is never printed.
impl core::fmt::Debug for Photo {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("‹private›")
    }
}

/// Checks a package of photos: each file is a JPEG or PNG called as a person's login.
///
/// # Errors
/// Every fault with its file, or the database failed.
pub async fn read_photos(
    state: &AppState,
    package: Package,
) -> Result<Result<Vec<Photo>, Vec<Fault>>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as("SELECT login, id FROM people")
        .fetch_all(state.store.read())
        .await?;
    let mut people = BTreeMap::new();
    for (login, person) in rows {
        people.insert(login, id(&person)?);
    }
    let checked = tokio::task::spawn_blocking(move || check(&people, &package)).await;
    Ok(checked
        .unwrap_or_else(|_panicked| Err(vec![Fault::new(Place::default(), FaultKind::Empty)])))
}

fn check(people: &BTreeMap<String, PersonId>, package: &Package) -> Result<Vec<Photo>, Vec<Fault>> {
    let (mut photos, mut faults) = (Vec::new(), Vec::new());
    for (file, bytes) in package {
        let fault = |kind| Fault::new(Place::file(file), kind);
        let name = file.rsplit('/').next().unwrap_or(file);
        // What an archiver of macOS adds is nobody's photo.
        if name.starts_with('.') || file.starts_with("__MACOSX/") {
            continue;
        }
        let login = name.rsplit_once('.').map_or(name, |(login, _)| login);
        match (people.get(login), small_jpeg(bytes)) {
            (Some(person), Some(jpeg)) => photos.push(Photo {
                person: *person,
                login: login.to_owned(),
                jpeg,
            }),
            (None, _) => faults.push(fault(FaultKind::UnknownLogin {
                login: login.to_owned(),
            })),
            (Some(_), None) => faults.push(fault(FaultKind::BadPicture { href: file.clone() })),
        }
    }
    if photos.is_empty() && faults.is_empty() {
        faults.push(Fault::new(Place::default(), FaultKind::Empty));
    }
    if faults.is_empty() {
        Ok(photos)
    } else {
        Err(faults)
    }
}

/// Returns a picture as a small JPEG, `None` where it cannot be read.
fn small_jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_PX_MAX);
    limits.max_image_height = Some(SIDE_PX_MAX);
    reader.limits(limits);
    let picture = reader.decode().ok()?;
    let small = if picture.width().max(picture.height()) > PHOTO_PX {
        picture.thumbnail(PHOTO_PX, PHOTO_PX)
    } else {
        picture
    };
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, PHOTO_QUALITY);
    small.into_rgb8().write_with_encoder(encoder).ok()?;
    Some(jpeg)
}

/// Stores photos that were checked, each in the place of the one before.
///
/// # Errors
/// The database failed or there is no randomness; nothing is changed then.
pub async fn apply_photos(
    state: &AppState,
    photos: &[Photo],
    actor: &str,
) -> Result<usize, ImportError> {
    let mut tx = state.store.begin().await?;
    for photo in photos {
        people::put_photo(&mut tx, &state.keys, photo.person, &photo.jpeg).await?;
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
    match read_photos(&state, package).await? {
        Err(faults) => show_faults(page, words, &faults),
        Ok(photos) => {
            let table = PreviewTable {
                summary: vec![page.t1("preview-photos", "n", photos.len())],
                headings: vec![page.t("login")],
                rows: photos.iter().map(|one| vec![one.login.clone()]).collect(),
            };
            let checked = (Checked::Photos(photos), table);
            show_checked(&state, &visitor, &upload.staff, words, checked)
        }
    }
}

/// A photo is shown at a few hundred pixels, and compared at 150.
const PHOTO_PX: u32 = 640;
const PHOTO_QUALITY: u8 = 88;
/// A larger side is refused before it is decoded.
const SIDE_PX_MAX: u32 = 8192;

#[cfg(test)]
mod tests {
    use image::{ImageFormat, RgbImage};
    use qorgan_protocol::time::WallTime;

    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let picture = RgbImage::from_pixel(width, height, image::Rgb([200, 150, 120]));
        picture
            .write_to(&mut bytes, ImageFormat::Png)
            .expect("writes");
        bytes.into_inner()
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
            ("__MACOSX/._b.png".to_owned(), b"no picture".to_vec()),
        ]);
        let photos = check(&people(), &package).expect("good");
        let sizes: Vec<_> = photos
            .iter()
            .map(|photo| {
                let picture = image::load_from_memory(&photo.jpeg).expect("a JPEG");
                (photo.login.as_str(), picture.width(), picture.height())
            })
            .collect();
        assert_eq!(sizes, [("b", 90, 120), ("a.bek", 480, 640)]);
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
}
