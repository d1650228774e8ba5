//! Exams, sittings, admissions; an admission makes the attempt.

use qorgan_protocol::attempt::AttemptPhase;
use qorgan_protocol::ids::{AttemptId, ExamId, PersonId, SittingId};
use qorgan_protocol::incident::Allowance;
use qorgan_protocol::time::{WallTime, millis};
use qorgan_protocol::wire::Accommodation;
use qorgan_server_core::login::fold_login;
use qorgan_server_core::sitting::SittingSettings;
use qorgan_signing::SecretKey;

use crate::sql::WriteTx;
use crate::store::{StoreError, id};
use qorgan_base::keys::ServerKeys;

/// A new exam.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewExam {
    /// Its title.
    pub title: String,
    /// The discipline.
    pub discipline: String,
    /// The discipline's code.
    pub discipline_code: String,
}

/// A new sitting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSitting {
    /// Of which exam.
    pub exam: ExamId,
    /// When its start window opens.
    pub opens: WallTime,
    /// When its start window closes.
    pub closes: WallTime,
    /// What it is set to.
    pub settings: SittingSettings,
}

/// Whether a candidate may sit (SOP 7), and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// In which sitting.
    pub sitting: SittingId,
    /// Who.
    pub person: PersonId,
    /// Whether admitted.
    pub admitted: bool,
    /// Why not, for the candidate.
    pub reason: String,
    /// Adjustments.
    pub accommodation: Accommodation,
}

/// Makes an exam with a key of its own.
///
/// # Errors
/// The database failed, or there is no randomness.
pub async fn create_exam(
    tx: &mut WriteTx,
    keys: &ServerKeys,
    at: WallTime,
    exam: &NewExam,
) -> Result<ExamId, StoreError> {
    let id = ExamId::new(at, random()?);
    let wrapped = wrapped_key(keys, &format!("exam:{id}"))?;
    crate::sql::query(
        "INSERT INTO exams (id, institution_id, title, discipline, discipline_code, key_wrapped, \
         created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id.to_string())
    .bind(keys.institution().to_string())
    .bind(&exam.title)
    .bind(&exam.discipline)
    .bind(&exam.discipline_code)
    .bind(wrapped)
    .bind(at.unix_ms())
    .execute(&mut **tx)
    .await?;
    Ok(id)
}

/// Makes a sitting.
///
/// # Errors
/// The database failed.
//= tests/data/sop-2-28.md#8-sitting-times
pub async fn create_sitting(
    tx: &mut WriteTx,
    keys: &ServerKeys,
    at: WallTime,
    sitting: &NewSitting,
) -> Result<SittingId, StoreError> {
    let id = SittingId::new(at, random()?);
    let settings = &sitting.settings;
    let policy = to_json("gate policy", &settings.policy)?;
    crate::sql::query(
        "INSERT INTO sittings (id, institution_id, exam_id, opens_ms, closes_ms, duration_ms, \
         policy, bandwidth, deny_processes, allow_processes, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(id.to_string())
    .bind(keys.institution().to_string())
    .bind(sitting.exam.to_string())
    .bind(sitting.opens.unix_ms())
    .bind(sitting.closes.unix_ms())
    .bind(millis(settings.duration))
    .bind(policy)
    .bind(&settings.bandwidth)
    .bind(to_json("process list", &settings.deny_processes)?)
    .bind(to_json("process list", &settings.allow_processes)?)
    .bind(at.unix_ms())
    .execute(&mut **tx)
    .await?;
    Ok(id)
}

/// Puts a candidate on a sitting's list, or changes the entry, and makes the attempt.
///
/// # Errors
/// The database failed, or there is no randomness.
//= tests/data/sop-2-28.md#7-admission
pub async fn admit(
    tx: &mut WriteTx,
    keys: &ServerKeys,
    at: WallTime,
    admission: &Admission,
) -> Result<AttemptId, StoreError> {
    let allowances = to_json("allowances", &admission.accommodation.allowances)?;
    let institution = keys.institution().to_string();
    let (sitting, person) = (admission.sitting.to_string(), admission.person.to_string());
    crate::sql::query(
        "INSERT INTO admissions (sitting_id, person_id, institution_id, admitted, reason, \
         extra_minutes, accessibility, changed_ms, allowances) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (sitting_id, person_id) DO UPDATE SET admitted = excluded.admitted, \
         reason = excluded.reason, extra_minutes = excluded.extra_minutes, \
         accessibility = excluded.accessibility, changed_ms = excluded.changed_ms, \
         allowances = excluded.allowances",
    )
    .bind(&sitting)
    .bind(&person)
    .bind(&institution)
    .bind(admission.admitted)
    .bind(&admission.reason)
    .bind(i64::from(admission.accommodation.extra_minutes))
    .bind(admission.accommodation.accessibility)
    .bind(at.unix_ms())
    .bind(allowances)
    .execute(&mut **tx)
    .await?;
    let known: Option<String> = crate::sql::query_scalar(
        "SELECT id FROM attempts WHERE sitting_id = $1 AND person_id = $2 \
         ORDER BY number DESC LIMIT 1",
    )
    .bind(&sitting)
    .bind(&person)
    .fetch_optional(&mut **tx)
    .await?;
    match known {
        Some(text) => id(&text),
        None => create_attempt(tx, keys, at, admission, 1).await,
    }
}

/// Returns what a candidate is granted in a sitting; `None` where they are not on its list.
///
/// # Errors
/// The database failed.
pub async fn allowances(
    tx: &mut WriteTx,
    sitting: SittingId,
    person: PersonId,
) -> Result<Option<Vec<Allowance>>, StoreError> {
    let text: Option<String> = crate::sql::query_scalar(
        "SELECT allowances FROM admissions WHERE sitting_id = $1 AND person_id = $2",
    )
    .bind(sitting.to_string())
    .bind(person.to_string())
    .fetch_optional(&mut **tx)
    .await?;
    text.map(|text| crate::store::json("allowances", &text))
        .transpose()
}

/// Says why a candidate is granted nothing.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// Nobody with this login is on the sitting's list.
    #[error("nobody with this login is on the sitting's list")]
    NotListed,
    /// The candidate has checked in, and was told what is watched for.
    #[error("the candidate has checked in: what was told before consent stays")]
    CheckedIn,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<crate::sql::SqlError> for GrantError {
    fn from(error: crate::sql::SqlError) -> Self {
        Self::Store(StoreError::Sql(error))
    }
}

/// Grants a candidate of a sitting's list exactly these allowances, until they check in.
///
/// # Errors
/// `GrantError` says why not; nothing is changed then.
pub async fn grant(
    tx: &mut WriteTx,
    at: WallTime,
    (sitting, login): (SittingId, &str),
    allowances: &[Allowance],
) -> Result<PersonId, GrantError> {
    let found: Option<(String, i64)> = crate::sql::query_as(
        "SELECT p.id, (SELECT COUNT(*) FROM attempts a WHERE a.sitting_id = d.sitting_id \
         AND a.person_id = d.person_id AND a.watch IS NOT NULL AND a.phase_word <> 'void') \
         FROM admissions d JOIN people p ON p.id = d.person_id \
         WHERE d.sitting_id = $1 AND p.login = $2",
    )
    .bind(sitting.to_string())
    .bind(fold_login(login))
    .fetch_optional(&mut **tx)
    .await?;
    let (person, checked_in) = found.ok_or(GrantError::NotListed)?;
    if checked_in > 0 {
        return Err(GrantError::CheckedIn);
    }
    crate::sql::query(
        "UPDATE admissions SET allowances = $3, changed_ms = $4 \
         WHERE sitting_id = $1 AND person_id = $2",
    )
    .bind(sitting.to_string())
    .bind(&person)
    .bind(to_json("allowances", &allowances)?)
    .bind(at.unix_ms())
    .execute(&mut **tx)
    .await?;
    Ok(id(&person)?)
}

/// Gives a candidate another attempt after one that was declared void.
///
/// # Errors
/// The database failed, or there is no randomness.
pub async fn create_attempt(
    tx: &mut WriteTx,
    keys: &ServerKeys,
    at: WallTime,
    admission: &Admission,
    number: u32,
) -> Result<AttemptId, StoreError> {
    let id = AttemptId::new(at, random()?);
    let phase = AttemptPhase::Scheduled;
    crate::sql::query(
        "INSERT INTO attempts (id, institution_id, sitting_id, person_id, number, phase, \
         phase_word, phase_since_ms, key_wrapped, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(id.to_string())
    .bind(keys.institution().to_string())
    .bind(admission.sitting.to_string())
    .bind(admission.person.to_string())
    .bind(i64::from(number))
    .bind(to_json("phase", &phase)?)
    .bind(phase.word())
    .bind(at.unix_ms())
    .bind(wrapped_key(keys, &format!("attempt:{id}"))?)
    .bind(at.unix_ms())
    .execute(&mut **tx)
    .await?;
    Ok(id)
}

/// Returns an attempt's key: recordings, responses and stills are sealed under it.
///
/// # Errors
/// The database failed, or the key does not open.
pub async fn attempt_key(
    store: &crate::store::Store,
    keys: &ServerKeys,
    attempt: AttemptId,
) -> Result<SecretKey, StoreError> {
    let wrapped: Vec<u8> =
        crate::sql::query_scalar("SELECT key_wrapped FROM attempts WHERE id = $1")
            .bind(attempt.to_string())
            .fetch_one(store.read())
            .await?;
    keys.unwrap(&format!("attempt:{attempt}"), &wrapped)
        .map_err(|source| StoreError::Sealed {
            what: "attempt key",
            source,
        })
}

fn wrapped_key(keys: &ServerKeys, place: &str) -> Result<Vec<u8>, StoreError> {
    let sealed = |source| StoreError::Sealed {
        what: "key",
        source,
    };
    let key = SecretKey::generate().map_err(sealed)?;
    keys.wrap(place, &key).map_err(sealed)
}

fn to_json<T: serde::Serialize>(what: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError::Json { what, source })
}

/// Returns random bytes.
///
/// # Errors
/// Where the system gives none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    qorgan_signing::random().map_err(|_none| StoreError::Sealed {
        what: "identifier",
        source: qorgan_signing::SealError::NoRandomness,
    })
}
