//! A new key-encryption key, in steps that a cut at any moment leaves whole.
//!
//! # Invariants
//! * The database's commit is the switch: before it the old key opens everything, after it the new
//!   one does. What the new key opens lies beside the old until then.
//! * [`settle`] finishes at the next start what was cut after the switch; what was cut before it
//!   changes nothing, and the next rotation begins anew.
//! * No key-encryption key is thrown away: an old one stays as `….NAME.old`.

use std::path::{Path, PathBuf};

use qorgan_protocol::crypto::Hasher as _;
use qorgan_protocol::ids::InstitutionId;
use qorgan_signing::{Ring, SealError, SecretKey};

use crate::sql::{Target, WriteTx};
use crate::store::{Store, StoreError};
use qorgan_base::keys::{
    KeysError, ServerKeys, file_error, key_file_of, place_of, read_kek, read_sealed, write_private,
};

/// Says why the key-encryption key cannot be rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The key is kept by the service manager.
    #[error("the key-encryption key is no file here; rotate it where it is kept")]
    NoFile,
    /// A key cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The database belongs to another data folder.
    #[error(
        "the database is sealed under another key-encryption key: it belongs to another data folder, \
         or to an older key of this one"
    )]
    AnotherFolder,
    /// Something sealed does not open.
    #[error("{place} does not open")]
    Sealed {
        /// Where it belongs.
        place: String,
        /// Why.
        #[source]
        source: SealError,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<crate::sql::SqlError> for RotationError {
    fn from(error: crate::sql::SqlError) -> Self {
        Self::Store(StoreError::Sql(error))
    }
}

/// One step of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The new key is written beside the old.
    WriteKey,
    /// A private key is written beside itself, sealed under the new key.
    WriteFile(&'static str),
    /// Everything in the database is wrapped anew: the switch.
    Commit,
    /// A private key takes the place of the one that the old key opens.
    SwitchFile(&'static str),
    /// The old key is kept under another name.
    KeepOld,
    /// The new key takes the old one's place.
    SwitchKey,
}

/// Every step, in order.
pub const STEPS: [Step; 10] = [
    Step::WriteKey,
    Step::WriteFile("sign.pk8"),
    Step::WriteFile("ca.pk8"),
    Step::WriteFile("seal.pk8"),
    Step::Commit,
    Step::SwitchFile("sign.pk8"),
    Step::SwitchFile("ca.pk8"),
    Step::SwitchFile("seal.pk8"),
    Step::KeepOld,
    Step::SwitchKey,
];

/// Makes a new key-encryption key and wraps everything anew; `until` cuts the rotation after that
/// step, as a loss of power would.
///
/// # Errors
/// Names what failed; running it again mends it.
pub async fn rotate(
    (data, key_file): (&Path, &Path),
    (store, keys): (&Store, &ServerKeys),
    until: Option<Step>,
) -> Result<(), RotationError> {
    if !key_file.is_file() {
        return Err(RotationError::NoFile);
    }
    let places = Places { data, key_file };
    let new = SecretKey::generate().map_err(|source| sealed("the new key", source))?;
    for step in STEPS {
        match step {
            Step::WriteKey => write_private(&places.next_key(), key_file_of(&new).as_bytes())?,
            Step::WriteFile(name) => {
                let plain = read_sealed(&data.join(name), keys.kek())?;
                let again = new
                    .seal(&place_of(&data.join(name)), &plain)
                    .map_err(|source| sealed(name, source))?;
                write_private(&places.next_file(name), &again)?;
            }
            Step::Commit => commit(store, keys, &new).await?,
            Step::SwitchFile(name) => places.switch_file(name)?,
            Step::KeepOld => places.keep_old(keys.kek())?,
            Step::SwitchKey => places.switch_key()?,
        }
        if until == Some(step) {
            break;
        }
    }
    Ok(())
}

/// Finishes a rotation that was cut after its switch.
///
/// # Errors
/// Where a file or the database cannot be used.
pub async fn settle(
    (data, key_file): (&Path, &Path),
    store: &Store,
    institution: InstitutionId,
) -> Result<(), RotationError> {
    let places = Places { data, key_file };
    // A file that was cut while it was written is none: the switch comes after it is on disk.
    let Some(new) = read_kek(&places.next_key()).ok() else {
        return Ok(());
    };
    let check = key_check(store.read(), institution).await?;
    let switched = check.is_some_and(|sealed| new.open(CHECK_PLACE, &sealed).is_ok());
    if !switched {
        return Ok(());
    }
    for step in STEPS {
        match step {
            Step::WriteKey | Step::WriteFile(_) | Step::Commit => {}
            Step::SwitchFile(name) => {
                if places.next_file(name).is_file() {
                    places.switch_file(name)?;
                }
            }
            Step::KeepOld => places.keep_old(&read_kek(key_file)?)?,
            Step::SwitchKey => places.switch_key()?,
        }
    }
    tracing::warn!("Finished a rotation of the key-encryption key that was cut");
    Ok(())
}

struct Places<'a> {
    data: &'a Path,
    key_file: &'a Path,
}

impl Places<'_> {
    fn next_key(&self) -> PathBuf {
        with_suffix(self.key_file, "next")
    }

    fn next_file(&self, name: &str) -> PathBuf {
        with_suffix(&self.data.join(name), "next")
    }

    fn switch_file(&self, name: &str) -> Result<(), KeysError> {
        put(&self.next_file(name), &self.data.join(name))
    }

    fn keep_old(&self, old: &SecretKey) -> Result<(), KeysError> {
        let hash = Ring.sha256(&[b"qorgan old key", old.expose()]).to_hex();
        let name = hash.get(..8).unwrap_or_default();
        let kept = with_suffix(self.key_file, &format!("{name}.old"));
        write_private(&kept, key_file_of(old).as_bytes())
    }

    fn switch_key(&self) -> Result<(), KeysError> {
        put(&self.next_key(), self.key_file)
    }
}

/// Puts a file in the place of another, on disk before anything else is done.
fn put(from: &Path, to: &Path) -> Result<(), KeysError> {
    qorgan_files::put(from, to).map_err(|source| file_error(to, source))
}

async fn commit(store: &Store, keys: &ServerKeys, new: &SecretKey) -> Result<(), RotationError> {
    let mut tx = store.begin().await?;
    for wrapped in WRAPPED {
        rewrap(&mut tx, keys, new, wrapped).await?;
    }
    let check = new
        .seal(CHECK_PLACE, b"")
        .map_err(|source| sealed("the check", source))?;
    crate::sql::query(
        "INSERT INTO key_checks (institution_id, sealed) VALUES ($1, $2) \
         ON CONFLICT (institution_id) DO UPDATE SET sealed = excluded.sealed",
    )
    .bind(keys.institution().to_string())
    .bind(check)
    .execute(&mut *tx)
    .await?;
    // On disk before any file is switched: the store is synchronous.
    Ok(tx.commit().await?)
}

/// Tells whether a database is of this data folder: what the first start wrote into it opens with this
/// key-encryption key alone.
///
/// # Errors
/// It is another folder's, or the database failed.
pub async fn confirm(store: &Store, keys: &ServerKeys) -> Result<(), RotationError> {
    let kept = match key_check(store.read(), keys.institution()).await? {
        Some(kept) => kept,
        None => put_key_check(store, keys).await?,
    };
    match keys.kek().open(CHECK_PLACE, &kept) {
        Ok(_empty) => Ok(()),
        Err(_another) => Err(RotationError::AnotherFolder),
    }
}

/// Returns what opens with the database's key-encryption key alone, where a start wrote it.
async fn key_check(
    from: impl Into<Target<'_>>,
    institution: InstitutionId,
) -> Result<Option<Vec<u8>>, RotationError> {
    let sql = "SELECT sealed FROM key_checks WHERE institution_id = $1";
    let check = crate::sql::query_scalar(sql).bind(institution);
    Ok(check.fetch_optional(from).await?)
}

/// Writes the check at the first start; returns the one that is kept, of two starts at once the first.
async fn put_key_check(store: &Store, keys: &ServerKeys) -> Result<Vec<u8>, RotationError> {
    let check = keys
        .kek()
        .seal(CHECK_PLACE, b"")
        .map_err(|source| sealed("the check", source))?;
    let mut tx = store.begin().await?;
    crate::sql::query(
        "INSERT INTO key_checks (institution_id, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(keys.institution())
    .bind(&check)
    .execute(&mut *tx)
    .await?;
    let kept = key_check(&mut *tx, keys.institution()).await?;
    tx.commit().await?;
    Ok(kept.unwrap_or(check))
}

async fn rewrap(
    tx: &mut WriteTx,
    keys: &ServerKeys,
    new: &SecretKey,
    wrapped: Wrapped,
) -> Result<(), RotationError> {
    let mut last = String::new();
    loop {
        let rows: Vec<(String, Vec<u8>)> = crate::sql::query_as(wrapped.select)
            .bind(&last)
            .fetch_all(&mut **tx)
            .await?;
        let Some((newest, _)) = rows.last() else {
            return Ok(());
        };
        last.clone_from(newest);
        for (name, bytes) in rows {
            let place = format!("{}:{name}", wrapped.place);
            let plain = keys
                .open(&place, &bytes)
                .map_err(|source| sealed(&place, source))?;
            let again = new
                .seal(place.as_bytes(), &plain)
                .map_err(|source| sealed(&place, source))?;
            crate::sql::query(wrapped.update)
                .bind(name)
                .bind(again)
                .execute(&mut **tx)
                .await?;
        }
    }
}

fn sealed(place: &str, source: SealError) -> RotationError {
    RotationError::Sealed {
        place: place.to_owned(),
        source,
    }
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_os_string();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

const CHECK_PLACE: &[u8] = b"key check";

/// One column that the key-encryption key seals: how to read it on from a row's name, how to write
/// it, its place. An epoch's name begins with its attempt, which has 36 letters.
#[derive(Debug, Clone, Copy)]
struct Wrapped {
    select: &'static str,
    update: &'static str,
    place: &'static str,
}

/// Everything that the key-encryption key seals; a key that was destroyed is empty.
const WRAPPED: [Wrapped; 8] = [
    Wrapped {
        select: "SELECT id, key_wrapped FROM exams \
                 WHERE id > $1 ORDER BY id LIMIT 64",
        update: "UPDATE exams SET key_wrapped = $2 WHERE id = $1",
        place: "exam",
    },
    Wrapped {
        select: "SELECT id, key_wrapped FROM attempts \
                 WHERE length(key_wrapped) > 0 AND id > $1 ORDER BY id LIMIT 64",
        update: "UPDATE attempts SET key_wrapped = $2 WHERE id = $1",
        place: "attempt",
    },
    Wrapped {
        select: "SELECT attempt_id || ':e' || epoch AS name, journal_key_wrapped FROM epochs \
                 WHERE length(journal_key_wrapped) > 0 AND attempt_id >= substr($1, 1, 36) \
                 AND attempt_id || ':e' || epoch > $1 ORDER BY attempt_id, name LIMIT 64",
        update: "UPDATE epochs SET journal_key_wrapped = $2 \
                 WHERE attempt_id = substr($1, 1, 36) AND attempt_id || ':e' || epoch = $1",
        place: "journal",
    },
    Wrapped {
        select: "SELECT attempt_id || ':e' || epoch AS name, freshness_key_wrapped FROM epochs \
                 WHERE length(freshness_key_wrapped) > 0 AND attempt_id >= substr($1, 1, 36) \
                 AND attempt_id || ':e' || epoch > $1 ORDER BY attempt_id, name LIMIT 64",
        update: "UPDATE epochs SET freshness_key_wrapped = $2 \
                 WHERE attempt_id = substr($1, 1, 36) AND attempt_id || ':e' || epoch = $1",
        place: "freshness",
    },
    Wrapped {
        select: "SELECT attempt_id || ':e' || epoch AS name, spool_key_wrapped FROM epochs \
                 WHERE length(spool_key_wrapped) > 0 AND attempt_id >= substr($1, 1, 36) \
                 AND attempt_id || ':e' || epoch > $1 ORDER BY attempt_id, name LIMIT 64",
        update: "UPDATE epochs SET spool_key_wrapped = $2 \
                 WHERE attempt_id = substr($1, 1, 36) AND attempt_id || ':e' || epoch = $1",
        place: "spool",
    },
    Wrapped {
        select: "SELECT person_id, totp_sealed FROM credentials \
                 WHERE totp_sealed IS NOT NULL AND person_id > $1 ORDER BY person_id LIMIT 64",
        update: "UPDATE credentials SET totp_sealed = $2 WHERE person_id = $1",
        place: "totp",
    },
    Wrapped {
        select: "SELECT id, photo_sealed FROM people \
                 WHERE photo_sealed IS NOT NULL AND id > $1 ORDER BY id LIMIT 64",
        update: "UPDATE people SET photo_sealed = $2 WHERE id = $1",
        place: "photo",
    },
    Wrapped {
        select: "SELECT id, pdf_sealed FROM acts \
                 WHERE id > $1 ORDER BY id LIMIT 64",
        update: "UPDATE acts SET pdf_sealed = $2 WHERE id = $1",
        place: "act",
    },
];

#[cfg(test)]
mod tests {
    use std::fs;

    use qorgan_base::config::{Config, DatabaseUrl};
    use qorgan_base::tls::open_keys;
    use qorgan_protocol::time::WallTime;

    use super::*;
    use crate::exams::{self, NewExam};

    /// A data folder in use, and its database.
    struct Opened {
        data: PathBuf,
        config: Config,
        store: Store,
        keys: ServerKeys,
    }

    #[tokio::test]
    async fn a_rotation_that_is_cut_after_any_step_is_mended_by_running_it_again() {
        let urls = STEPS.map(|step| (step, None)).into_iter();
        let on_postgres = STEPS.map(|step| (step, Some(postgres(step))));
        for (cut, url) in urls.chain(on_postgres) {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let data = folder.path().join("data");
            let state = open(&data, url.as_ref()).await;
            let exam = exam(&state).await;
            let public = state.keys.public_key();
            let first = fs::read_to_string(folder.path().join("data.kek")).expect("a key");
            turn(&state, Some(cut)).await;
            state.store.close().await;

            let state = open(&data, url.as_ref()).await;
            assert_opens(&state, &exam).await;
            assert_eq!(state.keys.public_key(), public, "{cut:?}");
            turn(&state, None).await;
            state.store.close().await;

            let state = open(&data, url.as_ref()).await;
            assert_opens(&state, &exam).await;
            assert_eq!(state.keys.public_key(), public, "{cut:?}");
            let kek = fs::read_to_string(folder.path().join("data.kek")).expect("a key");
            assert_ne!(kek, first, "{cut:?}");
            assert!(old_keys(folder.path()).contains(&first), "{cut:?}");
            assert!(left_over(&data).is_empty(), "{cut:?}");
        }
    }

    #[tokio::test]
    async fn a_new_key_that_was_cut_while_it_was_written_is_none() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let state = open(&data, None).await;
        let exam = exam(&state).await;
        state.store.close().await;
        fs::write(folder.path().join("data.kek.next"), "12ab").expect("written");

        let state = open(&data, None).await;
        assert_opens(&state, &exam).await;
        turn(&state, None).await;
        state.store.close().await;
        assert_opens(&open(&data, None).await, &exam).await;
    }

    #[tokio::test]
    async fn every_column_that_the_key_seals_is_wrapped_anew() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let schema = crate::sql::Database::open_file(&folder.path().join("schema.db"))
            .await
            .expect("a new file");
        let columns: Vec<(String, String)> = crate::sql::query_as(
            "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND (c.name LIKE '%\\_wrapped' ESCAPE '\\' \
             OR c.name LIKE '%\\_sealed' ESCAPE '\\')",
        )
        .fetch_all(schema.read())
        .await
        .expect("the schema reads");
        assert_eq!(columns.len(), WRAPPED.len(), "{columns:?}");
        for (table, column) in columns {
            let start = format!("UPDATE {table} SET {column} ");
            assert!(
                WRAPPED.iter().any(|one| one.update.starts_with(&start)),
                "{start}"
            );
        }
    }

    fn postgres(step: Step) -> DatabaseUrl {
        let place = STEPS.iter().position(|one| *one == step).expect("a step");
        let url = qorgan_tests::postgres::database(&format!("rotation_{place}"));
        url.expect("a PostgreSQL").parse().expect("a URL")
    }

    async fn open(data: &Path, url: Option<&DatabaseUrl>) -> Opened {
        let config = Config {
            database: url.cloned().unwrap_or_default(),
            ..Config::default()
        };
        qorgan_base::platform::private_folders(data).expect("a folder");
        let store = crate::open(&config.database(data)).await.expect("it opens");
        let institution = InstitutionId::new(WallTime::from_unix_ms(1), [1; 10]);
        let mut tx = store.begin().await.expect("a writer");
        let put = "INSERT INTO institutions (id, created_ms) VALUES ($1, $2) \
                   ON CONFLICT DO NOTHING";
        let put = crate::sql::query(put).bind(institution).bind(1_i64);
        put.execute(&mut *tx).await.expect("stored");
        tx.commit().await.expect("stored");
        let settled = settle((data, &config.key_file(data)), &store, institution).await;
        settled.expect("finished");
        Opened {
            data: data.to_path_buf(),
            keys: open_keys(data, &config, institution).expect("the keys open"),
            config,
            store,
        }
    }

    async fn turn(state: &Opened, until: Option<Step>) {
        let key_file = state.config.key_file(&state.data);
        rotate((&state.data, &key_file), (&state.store, &state.keys), until)
            .await
            .expect("wrapped anew");
    }

    async fn exam(state: &Opened) -> String {
        let exam = NewExam {
            title: "t".to_owned(),
            discipline: "d".to_owned(),
            discipline_code: String::new(),
        };
        let mut tx = state.store.begin().await.expect("a writer");
        let at = WallTime::from_unix_ms(2);
        let id = exams::create_exam(&mut tx, &state.keys, at, &exam).await;
        tx.commit().await.expect("stored");
        id.expect("stored").to_string()
    }

    async fn assert_opens(state: &Opened, exam: &str) {
        let wrapped: Vec<u8> =
            crate::sql::query_scalar("SELECT key_wrapped FROM exams WHERE id = $1")
                .bind(exam)
                .fetch_one(state.store.read())
                .await
                .expect("stored");
        state
            .keys
            .unwrap(&format!("exam:{exam}"), &wrapped)
            .expect("wrapped by the key in use");
    }

    fn old_keys(folder: &Path) -> Vec<String> {
        let files = fs::read_dir(folder).expect("a folder").flatten();
        files
            .filter(|file| file.file_name().to_string_lossy().ends_with(".old"))
            .map(|file| fs::read_to_string(file.path()).expect("a key"))
            .collect()
    }

    fn left_over(data: &Path) -> Vec<PathBuf> {
        let both = [data, data.parent().expect("a folder around it")];
        let files = both.map(|folder| fs::read_dir(folder).expect("a folder").flatten());
        files
            .into_iter()
            .flatten()
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|end| end == "next"))
            .collect()
    }
}
