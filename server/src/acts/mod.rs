//! Acts: Form 1 filled from confirmed incidents, numbered, sealed and registered in one transaction.
//!
//! # Invariants
//! * A number is taken in the transaction that stores the sealed PDF; where that fails, the number
//!   is free again.
//! * An act rests on a review that ended with a violation and was not taken up again, and on a sealed
//!   recording.
//! * No form is set while the database is held.
//! * Nothing here decides: what the system registers carries no decision (decision 9).

mod facts;
mod stills;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use qorgan_documents::{
    ActData, ActRenderer, ActSettings, DocumentError, Institution, Moment, MomentError, SealError,
    SealMeta, Sealer, StillError,
};
use qorgan_protocol::crypto::Hasher as _;
use qorgan_protocol::ids::{ActId, AttemptId, PersonId};
use qorgan_protocol::time::WallTime;
use qorgan_server_core::act::{ActForm, ActNumber, ActState, SeriesFull};
use qorgan_signing::Ring;
use ring::rand::SystemRandom;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::time::timeout;

use crate::console::Language;
use crate::registry::RegistryError;
use crate::state::AppState;
use qorgan_store::assigned::Scope;
use qorgan_store::{StoreError, WriteTx, audit, id, list};

pub(crate) use stills::streams;

/// Says why an act cannot be made or given.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The review did not end with a violation.
    #[error("the review of this attempt did not end with a violation")]
    NoViolation,
    /// There is an act already.
    #[error("there is an act on this attempt already")]
    Exists,
    /// Another program registered an act meanwhile.
    #[error("the act's number was taken meanwhile; make it again")]
    NumberTaken,
    /// The recording is not sealed yet.
    #[error("the recording is not sealed yet")]
    NotSealed,
    /// The recording cannot be read.
    #[error("the recording cannot be read")]
    Recording(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The form cannot be set.
    #[error("the act cannot be set")]
    Document(#[from] DocumentError),
    /// The seal cannot be made.
    #[error("the act cannot be sealed")]
    Seal(#[from] SealError),
    /// The sealed bytes cannot be stored or opened.
    #[error("the sealed act cannot be kept")]
    AtRest(#[from] qorgan_signing::SealError),
    /// A still is none.
    #[error(transparent)]
    Still(#[from] StillError),
    /// The recording cannot be decoded now.
    #[error("the recording cannot be decoded now")]
    Decoding(#[source] qorgan_decoding::DecodeError),
    /// Other acts are made first, for longer than anybody waits.
    #[error("other acts are being made; try again in {} seconds", BUSY_RETRY.as_secs())]
    Busy,
    /// A moment cannot be written.
    #[error(transparent)]
    Moment(#[from] MomentError),
    /// The year's numbers are used up.
    #[error(transparent)]
    Full(#[from] SeriesFull),
    /// The seal's certificate cannot be read.
    #[error("the seal's certificate cannot be read")]
    Certificate,
    /// There is no randomness.
    #[error("no randomness")]
    Key(#[from] qorgan_signing::KeyError),
    /// The facts cannot be written.
    #[error("the facts cannot be written")]
    Facts(#[from] serde_json::Error),
    /// The attempt cannot be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work was cut off.
    #[error("the work was cut off")]
    CutOff(#[from] tokio::task::JoinError),
}

impl From<qorgan_store::SqlError> for ActError {
    fn from(error: qorgan_store::SqlError) -> Self {
        Self::Store(StoreError::Sql(error))
    }
}

/// An act that was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its identifier.
    pub id: ActId,
    /// Its number.
    pub number: ActNumber,
    /// The unguessable code of its verification page.
    pub code: String,
}

/// Makes, seals and registers Form 1 for an attempt. The form is set before the transaction that
/// registers it, so that nobody waits for it; what it rests on is looked at again in that transaction.
///
/// # Errors
/// `NoViolation`, `Exists`, `NotSealed`, `Busy`, or what failed; no number is used up then.
//= tests/data/sop-2-28.md#17-act
pub async fn make(
    state: &AppState,
    attempt: AttemptId,
    by: PersonId,
    language: Language,
) -> Result<Registered, ActError> {
    // One at a time, so that a number is still free when its form is set.
    let turn = timeout(TURN_WAIT_MAX, MAKING.lock()).await;
    let _making = turn.map_err(|_late| ActError::Busy)?;
    let made = prepare(state, attempt, by, language).await?;
    register_prepared(state, attempt, made).await
}

/// Sets and seals the form; nothing is stored.
pub(crate) async fn prepare(
    state: &AppState,
    attempt: AttemptId,
    by: PersonId,
    language: Language,
) -> Result<Made, ActError> {
    let review = Review::read(state.store.read(), attempt).await?;
    let root = stills::root(state, attempt)
        .await?
        .ok_or(ActError::NotSealed)?;
    let at = state.clock.wall();
    let zone = Zone::of(state);
    let draft = facts::gather(state, attempt, by, language, &zone, root).await?;
    let id = ActId::new(at, qorgan_signing::random()?);
    let code = hex::encode(qorgan_signing::random::<16>()?);
    let number = next_number(state.store.read(), state, zone.year(at)).await?;
    let (data, facts_hash) = draft.finish(&zone, (at, number, &code))?;
    let pdf = render(state, data, zone.moment(at)?).await?;
    Ok(Made {
        review,
        id,
        number,
        language,
        code,
        at,
        by,
        facts_hash,
        root,
        pdf_hash: Ring.sha256(&[&pdf]).0,
        sealed: state.keys.seal(&place(id), &pdf)?,
    })
}

/// Registers a form that was set, where what it rests on still holds.
pub(crate) async fn register_prepared(
    state: &AppState,
    attempt: AttemptId,
    made: Made,
) -> Result<Registered, ActError> {
    let mut tx = state.store.begin().await?;
    if taken(&mut tx, attempt).await? {
        return Err(ActError::Exists);
    }
    if Review::read(&mut *tx, attempt).await? != made.review {
        return Err(ActError::NoViolation);
    }
    let year = Zone::of(state).year(made.at);
    if next_number(&mut *tx, state, year).await? != made.number {
        return Err(ActError::NumberTaken);
    }
    register_made(&mut tx, state, attempt, &made).await?;
    tx.commit().await?;
    Ok(Registered {
        id: made.id,
        number: made.number,
        code: made.code,
    })
}

/// Acts are made one after another; a form is set in a few seconds.
static MAKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
/// How long an act waits for those before it: no longer than a person looks at an empty page.
const TURN_WAIT_MAX: Duration = Duration::from_secs(30);
/// When somebody whose act waited too long is told to try again.
pub(crate) const BUSY_RETRY: Duration = Duration::from_secs(30);

/// The finished review that an act rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Review {
    finished_ms: Option<i64>,
    finished_by: Option<String>,
}

impl Review {
    /// Reads a review that ended with a violation.
    async fn read(
        from: impl Into<qorgan_store::Target<'_>>,
        attempt: AttemptId,
    ) -> Result<Self, ActError> {
        let row = qorgan_store::query(
            "SELECT finished_ms, finished_by FROM reviews \
             WHERE attempt_id = $1 AND verdict = 'violation'",
        )
        .bind(attempt.to_string())
        .fetch_optional(from)
        .await?
        .ok_or(ActError::NoViolation)?;
        Ok(Self {
            finished_ms: row.get("finished_ms")?,
            finished_by: row.get("finished_by")?,
        })
    }
}

/// An act that is set and sealed, and not registered yet.
#[derive(Debug)]
pub(crate) struct Made {
    review: Review,
    id: ActId,
    number: ActNumber,
    language: Language,
    code: String,
    at: WallTime,
    by: PersonId,
    facts_hash: [u8; 32],
    root: [u8; 32],
    pdf_hash: [u8; 32],
    sealed: Vec<u8>,
}

async fn register_made(
    tx: &mut WriteTx,
    state: &AppState,
    attempt: AttemptId,
    made: &Made,
) -> Result<(), ActError> {
    let number = made.number;
    qorgan_store::query(
        "INSERT INTO acts (id, institution_id, attempt_id, form, year, ordinal, state, language, \
         code, registered_ms, registered_by, facts_hash, recording_root, pdf_hash, pdf_sealed) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(made.id.to_string())
    .bind(state.institution().to_string())
    .bind(attempt.to_string())
    .bind(i64::from(number.form.number()))
    .bind(i64::from(number.year))
    .bind(i64::from(number.ordinal))
    .bind(ActState::Registered.word())
    .bind(made.language.code())
    .bind(&made.code)
    .bind(made.at.unix_ms())
    .bind(made.by.to_string())
    .bind(made.facts_hash.as_slice())
    .bind(made.root.as_slice())
    .bind(made.pdf_hash.as_slice())
    .bind(made.sealed.as_slice())
    .execute(&mut **tx)
    .await?;
    let entry = audit::Entry {
        institution: state.institution(),
        at: made.at,
        actor: &made.by.to_string(),
        action: "act_registered",
        subject: &attempt.to_string(),
        detail: &number.to_string(),
    };
    Ok(audit::write(tx, &entry).await?)
}

async fn taken(tx: &mut WriteTx, attempt: AttemptId) -> Result<bool, ActError> {
    let count: i64 = qorgan_store::query_scalar("SELECT COUNT(*) FROM acts WHERE attempt_id = $1")
        .bind(attempt.to_string())
        .fetch_one(&mut **tx)
        .await?;
    Ok(count > 0)
}

async fn next_number(
    from: impl Into<qorgan_store::Target<'_>>,
    state: &AppState,
    year: i16,
) -> Result<ActNumber, ActError> {
    let form = ActForm::RuleBreach;
    let last: Option<i64> = qorgan_store::query_scalar(
        "SELECT MAX(ordinal) FROM acts WHERE institution_id = $1 AND form = $2 AND year = $3",
    )
    .bind(state.institution().to_string())
    .bind(i64::from(form.number()))
    .bind(i64::from(year))
    .fetch_one(from)
    .await?;
    let last = last
        .map(u32::try_from)
        .transpose()
        .map_err(|_large| SeriesFull)?;
    Ok(ActNumber::following(form, year, last)?)
}

async fn render(
    state: &AppState,
    data: ActData,
    signing_time: Moment,
) -> Result<Vec<u8>, ActError> {
    let renderer = renderer(state);
    let sealer = sealer(state)?;
    let meta = SealMeta {
        reason: "SOP-2/28, 17".to_owned(),
        location: state.config.institution.name_kk.clone(),
        name: state.config.institution.name_kk.clone(),
        signing_time,
    };
    tokio::task::spawn_blocking(move || {
        let pdf = renderer.render(&data)?;
        Ok(sealer.seal(&pdf, &meta)?)
    })
    .await?
}

/// The newest renderer; it reads its fonts once.
static RENDERER: Mutex<Option<(Institution, Arc<ActRenderer>)>> = Mutex::new(None);

fn renderer(state: &AppState) -> Arc<ActRenderer> {
    let settings = &state.config.institution;
    let institution = Institution::new(&settings.name_kk, &settings.name_ru);
    let mut kept = RENDERER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, renderer)) = &*kept
        && *known == institution
    {
        return Arc::clone(renderer);
    }
    let renderer = Arc::new(ActRenderer::new(ActSettings::new(institution.clone())));
    *kept = Some((institution, Arc::clone(&renderer)));
    renderer
}

fn sealer(state: &AppState) -> Result<Sealer, ActError> {
    let pems = [state.keys.seal_certificate_pem(), state.keys.ca_pem()];
    let mut chain = Vec::new();
    for pem in pems {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_unreadable| ActError::Certificate)?;
        chain.push(der.to_vec());
    }
    Ok(Sealer::new(
        state.keys.seal_pkcs8(),
        &chain,
        SystemRandom::new(),
    )?)
}

/// An act in the register.
#[derive(Debug, Clone)]
pub(crate) struct RegisterLine {
    pub(crate) id: String,
    pub(crate) number: String,
    pub(crate) registered_ms: i64,
    pub(crate) attempt: String,
    pub(crate) candidate: String,
    pub(crate) exam: String,
    pub(crate) state: String,
    pub(crate) code: String,
}

/// Returns a page of the acts in a scope, newest first.
pub(crate) async fn register(
    state: &AppState,
    scope: Scope,
    (offset, limit): (u32, u32),
) -> Result<Vec<RegisterLine>, ActError> {
    let rows = qorgan_store::query(
        "SELECT c.id, c.form, c.year, c.ordinal, c.registered_ms, c.attempt_id, c.state, c.code, \
         p.display_name, e.title FROM acts c JOIN attempts a ON a.id = c.attempt_id \
         JOIN people p ON p.id = a.person_id JOIN sittings s ON s.id = a.sitting_id \
         JOIN exams e ON e.id = s.exam_id WHERE CAST($3 AS TEXT) IS NULL OR EXISTS (SELECT 1 \
         FROM sitting_proctors g WHERE g.sitting_id = a.sitting_id AND g.person_id = $3) \
         ORDER BY c.registered_ms DESC, c.id LIMIT $1 OFFSET $2",
    )
    .bind(limit)
    .bind(offset)
    .bind(scope.proctor())
    .fetch_all(state.store.read())
    .await?;
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        lines.push(RegisterLine {
            id: row.get("id")?,
            number: number_of(&row)?,
            registered_ms: row.get("registered_ms")?,
            attempt: row.get("attempt_id")?,
            candidate: row.get("display_name")?,
            exam: row.get("title")?,
            state: row.get("state")?,
            code: row.get("code")?,
        });
    }
    Ok(lines)
}

/// Returns an attempt's act: identifier and number.
pub(crate) async fn of_attempt(
    state: &AppState,
    attempt: AttemptId,
) -> Result<Option<(String, String)>, ActError> {
    let row = qorgan_store::query("SELECT id, form, year, ordinal FROM acts WHERE attempt_id = $1")
        .bind(attempt.to_string())
        .fetch_optional(state.store.read())
        .await?;
    row.map(|row| Ok((row.get("id")?, number_of(&row)?)))
        .transpose()
}

/// Returns the acts on several attempts, by the attempt: identifier and number.
pub(crate) async fn of_attempts(
    state: &AppState,
    attempts: &[String],
) -> Result<BTreeMap<String, (String, String)>, ActError> {
    let rows = qorgan_store::query(
        "SELECT attempt_id, id, form, year, ordinal FROM acts \
         WHERE attempt_id IN (SELECT value FROM json_each($1))",
    )
    .bind(list("list of attempts", &attempts)?)
    .fetch_all(state.store.read())
    .await?;
    let mut acts = BTreeMap::new();
    for row in rows {
        let act = (row.get("id")?, number_of(&row)?);
        acts.insert(row.get("attempt_id")?, act);
    }
    Ok(acts)
}

/// A sealed act.
#[derive(Debug, Clone)]
pub struct SealedPdf {
    /// Whose attempt.
    pub attempt: AttemptId,
    /// Its number.
    pub number: String,
    /// The PDF's bytes.
    pub pdf: Vec<u8>,
}

/// Returns a sealed act as it was registered.
///
/// # Errors
/// The database failed, or the bytes do not open.
pub async fn sealed_pdf(state: &AppState, act: ActId) -> Result<Option<SealedPdf>, ActError> {
    let row = qorgan_store::query(
        "SELECT attempt_id, form, year, ordinal, pdf_sealed FROM acts WHERE id = $1",
    )
    .bind(act.to_string())
    .fetch_optional(state.store.read())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let sealed: Vec<u8> = row.get("pdf_sealed")?;
    Ok(Some(SealedPdf {
        attempt: id(&row.get::<String>("attempt_id")?)?,
        number: number_of(&row)?,
        pdf: state.keys.open(&place(act), &sealed)?,
    }))
}

/// Returns every act on an attempt as an export's files: name and bytes, in order.
///
/// # Errors
/// The database failed, or the bytes do not open.
pub(crate) async fn sealed_files(
    state: &AppState,
    attempt: AttemptId,
) -> Result<Vec<(String, Vec<u8>)>, ActError> {
    let rows: Vec<String> = qorgan_store::query_scalar(
        "SELECT id FROM acts WHERE attempt_id = $1 ORDER BY form, year, ordinal",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    let mut files = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(act) = sealed_pdf(state, id(&row)?).await? {
            files.push((file_name(&act.number), act.pdf));
        }
    }
    Ok(files)
}

/// Returns the name of an act's file in an export, such as `act-1-2026-0001.pdf`.
fn file_name(number: &str) -> String {
    format!("act-{}.pdf", number.replace('/', "-"))
}

/// What anybody with the code may know.
#[derive(Debug, Clone)]
pub(crate) struct PublicAct {
    pub(crate) number: String,
    pub(crate) registered_ms: i64,
    pub(crate) state: String,
    pub(crate) pdf_hash: Vec<u8>,
    pub(crate) recording_root: Vec<u8>,
}

/// Returns what the verification page shows; no name.
pub(crate) async fn by_code(state: &AppState, code: &str) -> Result<Option<PublicAct>, ActError> {
    let row = qorgan_store::query(
        "SELECT form, year, ordinal, registered_ms, state, pdf_hash, recording_root \
         FROM acts WHERE code = $1",
    )
    .bind(code)
    .fetch_optional(state.store.read())
    .await?;
    row.map(|row| {
        Ok(PublicAct {
            number: number_of(&row)?,
            registered_ms: row.get("registered_ms")?,
            state: row.get("state")?,
            pdf_hash: row.get("pdf_hash")?,
            recording_root: row.get("recording_root")?,
        })
    })
    .transpose()
}

fn number_of(row: &qorgan_store::Row) -> Result<String, ActError> {
    let corrupt = || StoreError::Corrupt { what: "act number" };
    let form = match row.get::<i64>("form")? {
        1 => ActForm::RuleBreach,
        2 => ActForm::RefusalToSign,
        3 => ActForm::Impersonation,
        _ => return Err(corrupt().into()),
    };
    let number = ActNumber {
        form,
        year: i16::try_from(row.get::<i64>("year")?).map_err(|_large| corrupt())?,
        ordinal: u32::try_from(row.get::<i64>("ordinal")?).map_err(|_large| corrupt())?,
    };
    Ok(number.to_string())
}

fn place(act: ActId) -> String {
    format!("act:{act}")
}

/// The institution's time zone.
#[derive(Debug, Clone)]
struct Zone(TimeZone);

impl Zone {
    fn of(state: &AppState) -> Self {
        let name = state.config.institution.time_zone.as_str();
        Self(TimeZone::get(name).unwrap_or(TimeZone::UTC))
    }

    fn offset_minutes(&self, at: WallTime) -> i16 {
        let seconds = Timestamp::from_millisecond(at.unix_ms())
            .map(|at| self.0.to_offset(at).seconds())
            .unwrap_or_default();
        i16::try_from(seconds / 60).unwrap_or_default()
    }

    fn moment(&self, at: WallTime) -> Result<Moment, MomentError> {
        Moment::new(at, self.offset_minutes(at))
    }

    fn year(&self, at: WallTime) -> i16 {
        Timestamp::from_millisecond(at.unix_ms())
            .map(|at| at.to_zoned(self.0.clone()).year())
            .unwrap_or_default()
    }
}
