//! What pages read from the database, and the changes that have no other home.

use qorgan_protocol::attempt::{GateMode, GatePolicy};
use qorgan_protocol::ids::{
    AttemptId, Epoch, ExamId, IncidentId, InstitutionId, PersonId, SittingId,
};
use qorgan_protocol::time::WallTime;
use qorgan_server_core::review::{IncidentVerdict, Judgement, Review, ReviewEvent};
use qorgan_store::Row;

use qorgan_store::assigned::Scope;
use qorgan_store::{Store, StoreError, WriteTx, id};

/// An exam as lists and checks need it.
#[derive(Debug, Clone)]
pub struct ExamFacts {
    /// Its identifier.
    pub id: ExamId,
    /// Its title.
    pub title: String,
    /// The discipline.
    pub discipline: String,
    /// The discipline's code; may be empty.
    pub code: String,
    /// Its current tests: language, title, number of items.
    pub tests: Vec<(String, String, i64)>,
    /// How many sittings it has.
    pub sittings: i64,
}

macro_rules! exams_sql {
    ($rest:literal) => {
        concat!(
            "SELECT e.id, e.title, e.discipline, e.discipline_code, \
             (SELECT COUNT(*) FROM sittings s WHERE s.exam_id = e.id) AS sittings FROM exams e ",
            $rest
        )
    };
}

/// Returns a page of exams, newest first.
pub(super) async fn exams(
    store: &Store,
    (offset, limit): (u32, u32),
) -> Result<Vec<ExamFacts>, StoreError> {
    let sql = exams_sql!("ORDER BY e.created_ms DESC, e.id DESC LIMIT $1 OFFSET $2");
    let rows = qorgan_store::query(sql)
        .bind(limit)
        .bind(offset)
        .fetch_all(store.read())
        .await?;
    let mut exams = rows.iter().map(exam_of).collect::<Result<Vec<_>, _>>()?;
    read_tests(store, &mut exams).await?;
    Ok(exams)
}

/// Returns one exam.
///
/// # Errors
/// The database failed.
pub async fn exam_facts(store: &Store, exam: ExamId) -> Result<Option<ExamFacts>, StoreError> {
    let row = qorgan_store::query(exams_sql!("WHERE e.id = $1"))
        .bind(exam.to_string())
        .fetch_optional(store.read())
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let mut exams = [exam_of(&row)?];
    read_tests(store, &mut exams).await?;
    let [exam] = exams;
    Ok(Some(exam))
}

/// Reads the current tests of exams.
async fn read_tests(store: &Store, exams: &mut [ExamFacts]) -> Result<(), StoreError> {
    let ids: Vec<ExamId> = exams.iter().map(|exam| exam.id).collect();
    let rows: Vec<(String, String, String, i64)> = qorgan_store::query_as(
        "SELECT exam_id, language, title, items FROM tests WHERE replaced_ms IS NULL \
         AND exam_id IN (SELECT value FROM json_each($1)) ORDER BY language",
    )
    .bind(qorgan_store::list("list of exams", &ids)?)
    .fetch_all(store.read())
    .await?;
    for (exam, language, title, items) in rows {
        let of: ExamId = id(&exam)?;
        if let Some(exam) = exams.iter_mut().find(|exam| exam.id == of) {
            exam.tests.push((language, title, items));
        }
    }
    Ok(())
}

fn exam_of(row: &Row) -> Result<ExamFacts, StoreError> {
    Ok(ExamFacts {
        id: id(&row.get::<String>("id")?)?,
        title: row.get("title")?,
        discipline: row.get("discipline")?,
        code: row.get("discipline_code")?,
        tests: Vec::new(),
        sittings: row.get("sittings")?,
    })
}

/// A sitting as lists need it.
#[derive(Debug, Clone)]
pub(super) struct SittingFacts {
    pub(super) id: SittingId,
    pub(super) exam: ExamId,
    pub(super) title: String,
    pub(super) discipline: String,
    pub(super) opens_ms: i64,
    pub(super) closes_ms: i64,
    pub(super) duration_ms: i64,
    pub(super) mode: GateMode,
    pub(super) admitted: i64,
    pub(super) running: i64,
}

macro_rules! sittings_sql {
    ($rest:literal) => {
        concat!(
            "SELECT s.id, s.exam_id, e.title, e.discipline, s.opens_ms, s.closes_ms, \
             s.duration_ms, s.policy, (SELECT COUNT(*) FROM admissions d \
                WHERE d.sitting_id = s.id AND d.admitted = 1) AS admitted, \
             (SELECT COUNT(*) FROM attempts a WHERE a.sitting_id = s.id \
                AND a.phase_word IN ('running', 'paused')) AS running \
             FROM sittings s JOIN exams e ON e.id = s.exam_id ",
            $rest
        )
    };
}

/// Which sittings are listed.
#[derive(Debug, Clone, Copy)]
pub(super) enum SittingsOf {
    /// Those of an exam, newest first.
    Exam(ExamId),
    /// Those whose exams may still be sat after a moment, UTC in milliseconds, the next first.
    After(i64, Scope),
}

/// Returns a page of sittings.
pub(super) async fn sittings(
    store: &Store,
    of: SittingsOf,
    (offset, limit): (u32, u32),
) -> Result<Vec<SittingFacts>, StoreError> {
    let query = match of {
        SittingsOf::Exam(exam) => qorgan_store::query(sittings_sql!(
            "WHERE s.exam_id = $3 ORDER BY s.opens_ms DESC, s.id LIMIT $1 OFFSET $2"
        ))
        .bind(limit)
        .bind(offset)
        .bind(exam.to_string()),
        SittingsOf::After(ms, scope) => qorgan_store::query(sittings_sql!(
            "WHERE s.closes_ms + s.duration_ms > $3 \
             AND (CAST($4 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM sitting_proctors g \
             WHERE g.sitting_id = s.id AND g.person_id = $4)) \
             ORDER BY s.opens_ms, s.id LIMIT $1 OFFSET $2"
        ))
        .bind(limit)
        .bind(offset)
        .bind(ms)
        .bind(scope.proctor()),
    };
    let rows = query.fetch_all(store.read()).await?;
    rows.iter().map(sitting_of).collect()
}

/// Returns one sitting.
pub(super) async fn sitting(
    store: &Store,
    sitting: SittingId,
) -> Result<Option<SittingFacts>, StoreError> {
    let row = qorgan_store::query(sittings_sql!("WHERE s.id = $1"))
        .bind(sitting.to_string())
        .fetch_optional(store.read())
        .await?;
    row.as_ref().map(sitting_of).transpose()
}

fn sitting_of(row: &Row) -> Result<SittingFacts, StoreError> {
    let policy: GatePolicy = qorgan_store::json("gate policy", &row.get::<String>("policy")?)?;
    Ok(SittingFacts {
        id: id(&row.get::<String>("id")?)?,
        exam: id(&row.get::<String>("exam_id")?)?,
        title: row.get("title")?,
        discipline: row.get("discipline")?,
        opens_ms: row.get("opens_ms")?,
        closes_ms: row.get("closes_ms")?,
        duration_ms: row.get("duration_ms")?,
        mode: policy.mode,
        admitted: row.get("admitted")?,
        running: row.get("running")?,
    })
}

/// Returns the exam that a sitting belongs to.
///
/// # Errors
/// The database failed.
pub async fn sitting_exam(store: &Store, sitting: SittingId) -> Result<Option<ExamId>, StoreError> {
    let exam: Option<String> =
        qorgan_store::query_scalar("SELECT exam_id FROM sittings WHERE id = $1")
            .bind(sitting.to_string())
            .fetch_optional(store.read())
            .await?;
    exam.as_deref().map(id).transpose()
}

/// The details of a candidate that pages and acts print.
#[derive(Debug, Clone, Default)]
pub(crate) struct PersonFacts {
    pub(crate) name: String,
    pub(crate) faculty: String,
    pub(crate) year: String,
    pub(crate) group: String,
}

/// Returns a person's details.
pub(crate) async fn person(store: &Store, person: PersonId) -> Result<PersonFacts, StoreError> {
    let row = qorgan_store::query(
        "SELECT p.display_name, COALESCE(d.faculty, p.unit) AS faculty, \
         COALESCE(d.year, '') AS year, COALESCE(d.group_name, '') AS group_name \
         FROM people p LEFT JOIN person_details d ON d.person_id = p.id WHERE p.id = $1",
    )
    .bind(person.to_string())
    .fetch_one(store.read())
    .await?;
    Ok(PersonFacts {
        name: row.get("display_name")?,
        faculty: row.get("faculty")?,
        year: row.get("year")?,
        group: row.get("group_name")?,
    })
}

/// An incident as pages and acts show it.
#[derive(Debug, Clone)]
pub(crate) struct IncidentRow {
    pub(crate) id: IncidentId,
    pub(crate) kind: String,
    pub(crate) severity: f64,
    pub(crate) began_ms: i64,
    /// Nothing while it goes on; [`Self::began_ms`] for a moment.
    pub(crate) ended_ms: Option<i64>,
    /// On the timeline of its epoch's recording.
    pub(crate) began_us: u64,
    pub(crate) epoch: Epoch,
    pub(crate) stream: Option<String>,
    pub(crate) observations: i64,
    pub(crate) detector: String,
    /// Model files with their hashes; may be empty.
    pub(crate) models: String,
    pub(crate) score: Option<f64>,
    pub(crate) threshold: Option<f64>,
    pub(crate) detail: String,
    pub(crate) judgement: Option<Judgement>,
}

/// Returns an attempt's incidents, oldest first.
pub(crate) async fn incidents(
    store: &Store,
    attempt: AttemptId,
) -> Result<Vec<IncidentRow>, StoreError> {
    incidents_in(store.read(), attempt).await
}

/// Returns an attempt's incidents as a reader or a transaction sees them, oldest first.
pub(super) async fn incidents_in(
    from: impl Into<qorgan_store::Target<'_>>,
    attempt: AttemptId,
) -> Result<Vec<IncidentRow>, StoreError> {
    seen(from, attempt, true).await
}

/// Returns an attempt's newest incidents, newest first.
pub(super) async fn newest_incidents(
    store: &Store,
    attempt: AttemptId,
    limit: u32,
) -> Result<Vec<IncidentRow>, StoreError> {
    let sql = "SELECT * FROM incidents WHERE attempt_id = $1 AND counts = 1 \
               ORDER BY began_ms DESC, id DESC LIMIT $2";
    let rows = qorgan_store::query(sql)
        .bind(attempt.to_string())
        .bind(limit)
        .fetch_all(store.read())
        .await?;
    rows.iter().map(incident_of).collect()
}

/// Returns what was seen in an attempt and does not count in it, oldest first.
pub(crate) async fn not_counted(
    store: &Store,
    attempt: AttemptId,
) -> Result<Vec<IncidentRow>, StoreError> {
    seen(store.read(), attempt, false).await
}

async fn seen(
    from: impl Into<qorgan_store::Target<'_>>,
    attempt: AttemptId,
    counts: bool,
) -> Result<Vec<IncidentRow>, StoreError> {
    let sql = "SELECT * FROM incidents WHERE attempt_id = $1 AND counts = $2 ORDER BY began_ms, id";
    let rows = qorgan_store::query(sql)
        .bind(attempt.to_string())
        .bind(counts)
        .fetch_all(from)
        .await?;
    rows.iter().map(incident_of).collect()
}

fn incident_of(row: &Row) -> Result<IncidentRow, StoreError> {
    let began_us: i64 = row.get("began_us")?;
    let epoch: i64 = row.get("epoch")?;
    Ok(IncidentRow {
        id: id(&row.get::<String>("id")?)?,
        kind: row.get("kind")?,
        severity: row.get("severity")?,
        began_ms: row.get("began_ms")?,
        ended_ms: row.get("ended_ms")?,
        began_us: u64::try_from(began_us).unwrap_or_default(),
        epoch: u32::try_from(epoch).map_or(Epoch::FIRST, Epoch),
        stream: row.get("stream")?,
        observations: row.get("observations")?,
        detector: row.get("detector")?,
        models: row.get("models")?,
        score: row.get("score")?,
        threshold: row.get("threshold")?,
        detail: row.get("detail")?,
        judgement: judgement(row)?,
    })
}

fn judgement(row: &Row) -> Result<Option<Judgement>, StoreError> {
    let verdict: Option<String> = row.get("verdict")?;
    let by: Option<String> = row.get("verdict_by")?;
    let at: Option<i64> = row.get("verdict_at_ms")?;
    let (Some(verdict), Some(by), Some(at)) = (verdict, by, at) else {
        return Ok(None);
    };
    let verdict = IncidentVerdict::from_word(&verdict).ok_or(StoreError::Corrupt {
        what: "incident verdict",
    })?;
    Ok(Some(Judgement {
        verdict,
        by: id(&by)?,
        at: WallTime::from_unix_ms(at),
        note: row.get("note")?,
    }))
}

/// Returns the review's machine as the incidents stand.
pub(crate) fn review_of(incidents: &[IncidentRow]) -> Review {
    let mut review = Review::of(incidents.iter().map(|one| one.id));
    for one in incidents {
        let Some(judgement) = one.judgement.clone() else {
            continue;
        };
        if let Err(refused) = review.handle(ReviewEvent::Judged(one.id, judgement)) {
            tracing::error!(%refused, "A stored judgement does not fit its review");
        }
    }
    review
}

/// How the review of an attempt stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReviewStanding {
    /// The verdict's word.
    pub(crate) verdict: String,
    /// Since when it is open again, UTC in milliseconds, and the word of the verdict before.
    pub(crate) reopened: Option<(i64, String)>,
}

/// Returns how the review of an attempt stands.
pub(crate) async fn review_standing(
    store: &Store,
    attempt: AttemptId,
) -> Result<ReviewStanding, StoreError> {
    let row: Option<(String, Option<i64>, Option<String>)> = qorgan_store::query_as(
        "SELECT verdict, reopened_ms, reopened_from FROM reviews WHERE attempt_id = $1",
    )
    .bind(attempt.to_string())
    .fetch_optional(store.read())
    .await?;
    let (verdict, since, before) = row.unwrap_or_else(|| ("not_reviewed".to_owned(), None, None));
    Ok(ReviewStanding {
        verdict,
        reopened: since.zip(before),
    })
}

/// Enters in the custody record that somebody looked at or took something.
pub(crate) async fn custody(
    tx: &mut WriteTx,
    institution: InstitutionId,
    (attempt, person): (AttemptId, PersonId),
    at: WallTime,
    (action, detail): (&str, &str),
) -> Result<(), StoreError> {
    qorgan_store::query(
        "INSERT INTO custody (institution_id, attempt_id, person_id, at_ms, action, detail) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(institution.to_string())
    .bind(attempt.to_string())
    .bind(person.to_string())
    .bind(at.unix_ms())
    .bind(action)
    .bind(detail)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
