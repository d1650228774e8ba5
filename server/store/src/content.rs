//! Tests, items and pictures, sealed under their exam's key.
//!
//! # Invariants
//! * A test is sealed before the transaction that stores it, so that no writer waits for it; what
//!   it was checked against is looked at again in that transaction.
//! * An item's or picture's seal names its exam, test and place, so that none can be exchanged.
//! * Only the registry reads content for candidates, and only under a lease.

use std::collections::{BTreeMap, BTreeSet};

use crate::sql::Target;
use qorgan_protocol::assessment::{AssessmentItem, AssessmentTest};
use qorgan_protocol::ids::{ExamId, InstitutionId, ItemId, PictureId, TestId};
use qorgan_protocol::time::WallTime;
use qorgan_signing::SecretKey;

use crate::sql::WriteTx;
use crate::store::{Store, StoreError, id};
use qorgan_base::keys::ServerKeys;

/// A test that is sealed under its exam's key and not stored yet.
pub struct SealedTest {
    exam: ExamId,
    id: TestId,
    institution: InstitutionId,
    language: String,
    title: String,
    items: Vec<(ItemId, Vec<u8>)>,
    pictures: Vec<(PictureId, String, Vec<u8>)>,
}

impl core::fmt::Debug for SealedTest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SealedTest")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Says why a sealed test cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum PutTestError {
    /// Another test than the one it was checked against is in force.
    #[error("another test in this language was imported since; check the file again")]
    Outdated,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<crate::sql::SqlError> for PutTestError {
    fn from(error: crate::sql::SqlError) -> Self {
        Self::Store(StoreError::Sql(error))
    }
}

/// Seals a test under its exam's key, on a thread that may take its time.
///
/// # Errors
/// The database failed, the exam is unknown, or its key does not open.
pub async fn seal_test(
    store: &Store,
    keys: &ServerKeys,
    exam: ExamId,
    test: AssessmentTest,
) -> Result<SealedTest, StoreError> {
    let key = exam_key(store.read(), keys, exam).await?;
    let institution = keys.institution();
    tokio::task::spawn_blocking(move || seal_under(&key, institution, exam, test))
        .await
        .map_err(|_ended| StoreError::CutOff { what: "test" })?
}

fn seal_under(
    key: &SecretKey,
    institution: InstitutionId,
    exam: ExamId,
    test: AssessmentTest,
) -> Result<SealedTest, StoreError> {
    let mut items = Vec::with_capacity(test.items.len());
    for (position, item) in (1_i64..).zip(&test.items) {
        let plain = serde_json::to_vec(item).map_err(|source| StoreError::Json {
            what: "item",
            source,
        })?;
        let sealed = key
            .seal(item_place(exam, test.id, position).as_bytes(), &plain)
            .map_err(|source| sealed_error("item", source))?;
        items.push((item.id, sealed));
    }
    let mut pictures = Vec::with_capacity(test.pictures.len());
    for picture in test.pictures {
        let place = picture_place(exam, test.id, picture.id);
        let sealed = key
            .seal(place.as_bytes(), &picture.bytes)
            .map_err(|source| sealed_error("picture", source))?;
        pictures.push((picture.id, picture.media_type, sealed));
    }
    Ok(SealedTest {
        exam,
        id: test.id,
        institution,
        language: test.language,
        title: test.title,
        items,
        pictures,
    })
}

/// Returns the test of an exam and language that new attempts get, where there is one.
///
/// # Errors
/// The database failed.
pub async fn test_in_force(
    from: impl Into<Target<'_>>,
    exam: ExamId,
    language: &str,
) -> Result<Option<TestId>, StoreError> {
    let found: Option<String> = crate::sql::query_scalar(
        "SELECT id FROM tests WHERE exam_id = $1 AND language = $2 AND replaced_ms IS NULL",
    )
    .bind(exam.to_string())
    .bind(language)
    .fetch_optional(from)
    .await?;
    found.map(|text| id(&text)).transpose()
}

/// Stores a sealed test in the place of `replaces`, for attempts that have not begun.
///
/// # Errors
/// `Outdated` where another test is in force by now; the database failed, or the exam is unknown.
pub async fn put_test(
    tx: &mut WriteTx,
    test: &SealedTest,
    replaces: Option<TestId>,
    at: WallTime,
) -> Result<(), PutTestError> {
    if test_in_force(&mut **tx, test.exam, &test.language).await? != replaces {
        return Err(PutTestError::Outdated);
    }
    let (institution, exam) = (test.institution.to_string(), test.exam);
    if let Some(replaced) = replaces {
        crate::sql::query("UPDATE tests SET replaced_ms = $2 WHERE id = $1")
            .bind(replaced.to_string())
            .bind(at.unix_ms())
            .execute(&mut **tx)
            .await?;
    }
    crate::sql::query(
        "INSERT INTO tests (id, institution_id, exam_id, language, title, items, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(test.id.to_string())
    .bind(&institution)
    .bind(exam.to_string())
    .bind(&test.language)
    .bind(&test.title)
    .bind(i64::try_from(test.items.len()).unwrap_or(i64::MAX))
    .bind(at.unix_ms())
    .execute(&mut **tx)
    .await?;
    put_contents(tx, test, &institution).await
}

async fn put_contents(
    tx: &mut WriteTx,
    test: &SealedTest,
    institution: &str,
) -> Result<(), PutTestError> {
    for (position, (item, sealed)) in (1_i64..).zip(&test.items) {
        crate::sql::query(
            "INSERT INTO items (id, institution_id, test_id, position, sealed) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(item.to_string())
        .bind(institution)
        .bind(test.id.to_string())
        .bind(position)
        .bind(sealed)
        .execute(&mut **tx)
        .await?;
    }
    for (picture, media_type, sealed) in &test.pictures {
        crate::sql::query(
            "INSERT INTO pictures (id, institution_id, test_id, media_type, sealed) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(picture.to_string())
        .bind(institution)
        .bind(test.id.to_string())
        .bind(media_type)
        .bind(sealed)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Returns every item's place and identifier, in order.
///
/// # Errors
/// The database failed.
pub async fn slots(store: &Store, test: TestId) -> Result<Vec<(u16, ItemId)>, StoreError> {
    let rows =
        crate::sql::query("SELECT position, id FROM items WHERE test_id = $1 ORDER BY position")
            .bind(test.to_string())
            .fetch_all(store.read())
            .await?;
    let mut slots = Vec::with_capacity(rows.len());
    for row in rows {
        slots.push((row.get::<u16>("position")?, id(&row.get::<String>("id")?)?));
    }
    Ok(slots)
}

/// Returns the item at `position`, from 1, with its key.
///
/// # Errors
/// The database failed, or the item does not open.
pub async fn item(
    store: &Store,
    keys: &ServerKeys,
    exam: ExamId,
    test: TestId,
    position: u16,
) -> Result<Option<AssessmentItem>, StoreError> {
    let sealed: Option<Vec<u8>> =
        crate::sql::query_scalar("SELECT sealed FROM items WHERE test_id = $1 AND position = $2")
            .bind(test.to_string())
            .bind(i64::from(position))
            .fetch_optional(store.read())
            .await?;
    let Some(sealed) = sealed else {
        return Ok(None);
    };
    let key = exam_key(store.read(), keys, exam).await?;
    open_item(&key, (exam, test), i64::from(position), &sealed).map(Some)
}

/// Returns those items of a test that are named, with their keys, in one query.
///
/// # Errors
/// The database failed, or an item does not open.
pub async fn items_by_id(
    store: &Store,
    keys: &ServerKeys,
    (exam, test): (ExamId, TestId),
    wanted: &BTreeSet<ItemId>,
) -> Result<BTreeMap<ItemId, AssessmentItem>, StoreError> {
    let rows: Vec<(i64, Vec<u8>)> = crate::sql::query_as(
        "SELECT position, sealed FROM items WHERE test_id = $1 \
         AND id IN (SELECT value FROM json_each($2))",
    )
    .bind(test.to_string())
    .bind(crate::store::list("items", wanted)?)
    .fetch_all(store.read())
    .await?;
    if rows.is_empty() {
        return Ok(BTreeMap::new());
    }
    let key = exam_key(store.read(), keys, exam).await?;
    let mut items = BTreeMap::new();
    for (position, sealed) in rows {
        let item = open_item(&key, (exam, test), position, &sealed)?;
        items.insert(item.id, item);
    }
    Ok(items)
}

fn open_item(
    key: &SecretKey,
    (exam, test): (ExamId, TestId),
    position: i64,
    sealed: &[u8],
) -> Result<AssessmentItem, StoreError> {
    let place = item_place(exam, test, position);
    let plain = key
        .open(place.as_bytes(), sealed)
        .map_err(|source| sealed_error("item", source))?;
    serde_json::from_slice(&plain).map_err(|source| StoreError::Json {
        what: "item",
        source,
    })
}

/// Returns a picture's media type and bytes.
///
/// # Errors
/// The database failed, or the picture does not open.
pub async fn picture(
    store: &Store,
    keys: &ServerKeys,
    exam: ExamId,
    test: TestId,
    picture: PictureId,
) -> Result<Option<(String, Vec<u8>)>, StoreError> {
    let row =
        crate::sql::query("SELECT media_type, sealed FROM pictures WHERE test_id = $1 AND id = $2")
            .bind(test.to_string())
            .bind(picture.to_string())
            .fetch_optional(store.read())
            .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let key = exam_key(store.read(), keys, exam).await?;
    let place = picture_place(exam, test, picture);
    let plain = key
        .open(place.as_bytes(), &row.get::<Vec<u8>>("sealed")?)
        .map_err(|source| sealed_error("picture", source))?;
    Ok(Some((row.get("media_type")?, plain)))
}

async fn exam_key(
    executor: impl Into<Target<'_>>,
    keys: &ServerKeys,
    exam: ExamId,
) -> Result<SecretKey, StoreError> {
    let wrapped: Vec<u8> = crate::sql::query_scalar("SELECT key_wrapped FROM exams WHERE id = $1")
        .bind(exam.to_string())
        .fetch_one(executor)
        .await?;
    keys.unwrap(&format!("exam:{exam}"), &wrapped)
        .map_err(|source| sealed_error("exam key", source))
}

fn item_place(exam: ExamId, test: TestId, position: i64) -> String {
    format!("item:{exam}:{test}:{position}")
}

fn picture_place(exam: ExamId, test: TestId, picture: PictureId) -> String {
    format!("picture:{exam}:{test}:{picture}")
}

fn sealed_error(what: &'static str, source: qorgan_signing::SealError) -> StoreError {
    StoreError::Sealed { what, source }
}
