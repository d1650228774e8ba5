//! People and their roles.

use crate::sql::Target;
use qorgan_protocol::ids::PersonId;
use qorgan_protocol::time::WallTime;
use qorgan_server_core::login::{compose, fold_login, fold_search};

use crate::sql::WriteTx;
use crate::store::{Store, StoreError, id};
use qorgan_base::keys::ServerKeys;

/// A person to be added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewPerson {
    /// The login, unique within the institution; stored folded.
    pub login: String,
    /// How the person is addressed.
    pub display_name: String,
    /// `kk`, `ru` or `en`.
    pub language: String,
    /// The person's number in other systems.
    pub external_id: String,
    /// Faculty, course, group or department.
    pub unit: String,
    /// E-mail address.
    pub email: String,
}

/// Adds a person, or brings the person with that login up to date.
///
/// # Errors
/// The database failed, or there is no randomness.
pub async fn put_person(
    tx: &mut WriteTx,
    keys: &ServerKeys,
    at: WallTime,
    person: &NewPerson,
) -> Result<PersonId, StoreError> {
    let new = PersonId::new(at, crate::exams::random()?);
    let known: String = crate::sql::query_scalar(
        "INSERT INTO people (id, institution_id, login, display_name, language, external_id, unit, \
         email, created_ms, folded) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (institution_id, login) DO UPDATE SET display_name = excluded.display_name, \
         language = excluded.language, external_id = excluded.external_id, unit = excluded.unit, \
         email = excluded.email, folded = excluded.folded RETURNING id",
    )
    .bind(new.to_string())
    .bind(keys.institution().to_string())
    .bind(fold_login(&person.login))
    .bind(compose(&person.display_name))
    .bind(&person.language)
    .bind(&person.external_id)
    .bind(&person.unit)
    .bind(&person.email)
    .bind(at.unix_ms())
    .bind(folded(&person.display_name, &person.login))
    .fetch_one(&mut **tx)
    .await?;
    id(&known)
}

/// Returns by what people are searched and sorted.
fn folded(name: &str, login: &str) -> String {
    fold_search(&format!("{name} {login}"))
}

/// Folds names and logins from before they were kept folded as now. A login whose folded form
/// somebody else has stays as it is.
pub(crate) async fn fold_old(store: &Store) -> Result<(), StoreError> {
    loop {
        let sql = "SELECT id, display_name, login FROM people WHERE folded IS NULL LIMIT 1000";
        let rows: Vec<(String, String, String)> =
            crate::sql::query_as(sql).fetch_all(store.read()).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let mut tx = store.begin().await?;
        for (person, name, login) in rows {
            crate::sql::query("UPDATE people SET folded = $2 WHERE id = $1")
                .bind(&person)
                .bind(folded(&name, &login))
                .execute(&mut *tx)
                .await?;
            let login = fold_login(&login);
            crate::sql::query(
                "UPDATE people SET login = $2 WHERE id = $1 AND login <> $2 \
                 AND NOT EXISTS (SELECT 1 FROM people o \
                 WHERE o.institution_id = people.institution_id AND o.login = $2)",
            )
            .bind(&person)
            .bind(login)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
    }
}

/// Returns the person with a login, however it is typed.
///
/// # Errors
/// The database failed.
pub async fn by_login(
    from: impl Into<Target<'_>>,
    login: &str,
) -> Result<Option<PersonId>, StoreError> {
    let known: Option<String> = crate::sql::query_scalar("SELECT id FROM people WHERE login = $1")
        .bind(fold_login(login))
        .fetch_optional(from)
        .await?;
    known.as_deref().map(id).transpose()
}

/// Gives a member of staff a role, as the word in SQL.
///
/// # Errors
/// The database failed, or there is no such role.
pub async fn add_role(
    tx: &mut WriteTx,
    keys: &ServerKeys,
    at: WallTime,
    person: PersonId,
    role: &str,
) -> Result<(), StoreError> {
    let added = crate::sql::query(
        "INSERT INTO staff_roles (person_id, institution_id, role) VALUES ($1, $2, $3) \
         ON CONFLICT DO NOTHING",
    )
    .bind(person.to_string())
    .bind(keys.institution().to_string())
    .bind(role)
    .execute(&mut **tx)
    .await?;
    if added.rows_affected() > 0 {
        // Other rights, other sessions: what was signed in before knows nothing of them.
        crate::sql::query(
            "UPDATE tokens SET ended_ms = $2 \
             WHERE person_id = $1 AND ended_ms IS NULL AND kind IN ('client', 'staff')",
        )
        .bind(person.to_string())
        .bind(at.unix_ms())
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Seals a candidate's photo.
///
/// # Errors
/// There is no randomness.
pub fn seal_photo(keys: &ServerKeys, person: PersonId, jpeg: &[u8]) -> Result<Vec<u8>, StoreError> {
    keys.seal(&format!("photo:{person}"), jpeg)
        .map_err(|source| StoreError::Sealed {
            what: "photo",
            source,
        })
}

/// Stores a sealed photo in the place of the one before.
///
/// # Errors
/// The database failed.
pub async fn put_photo(
    tx: &mut WriteTx,
    person: PersonId,
    sealed: &[u8],
) -> Result<(), StoreError> {
    crate::sql::query("UPDATE people SET photo_sealed = $2 WHERE id = $1")
        .bind(person.to_string())
        .bind(sealed)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Returns the photo on file, a JPEG.
///
/// # Errors
/// The database failed, or the photo does not open.
pub async fn photo(
    store: &Store,
    keys: &ServerKeys,
    person: PersonId,
) -> Result<Option<Vec<u8>>, StoreError> {
    let sealed: Option<Option<Vec<u8>>> =
        crate::sql::query_scalar("SELECT photo_sealed FROM people WHERE id = $1")
            .bind(person.to_string())
            .fetch_optional(store.read())
            .await?;
    let open = |sealed: Vec<u8>| keys.open(&format!("photo:{person}"), &sealed);
    sealed
        .flatten()
        .map(open)
        .transpose()
        .map_err(|source| StoreError::Sealed {
            what: "photo",
            source,
        })
}
