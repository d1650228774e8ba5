//! What Form 1 says: gathered from the confirmed incidents.

use std::collections::BTreeMap;

use qorgan_documents::{
    ActData, Candidate, Evidence, Language as FormLanguage, RecordingReference, STILLS_MAX,
    Verification,
};
use qorgan_protocol::crypto::Hasher as _;
use qorgan_protocol::ids::{AttemptId, PersonId};
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::time::WallTime;
use qorgan_server_core::act::ActNumber;
use qorgan_server_core::form1::{Form1, printed_detail};
use qorgan_server_core::review::IncidentVerdict;
use qorgan_signing::Ring;
use serde::Serialize;

use super::{ActError, Zone, stills};
use crate::console::Language;
use crate::console::store::{IncidentRow, incidents, person};
use crate::registry::BoardLine;
use crate::state::AppState;
use qorgan_store::StoreError;

/// What an act says, before it has a number.
#[derive(Debug)]
pub(super) struct Draft {
    attempt: AttemptId,
    language: Language,
    discipline: String,
    proctor: String,
    candidate: Candidate,
    seen: WallTime,
    form: Form1,
    lines: Vec<String>,
    evidence: Vec<Evidence>,
    origin: String,
    root: [u8; 32],
    facts: Facts,
}

/// What the act's own hash is over.
#[derive(Debug, Serialize)]
struct Facts {
    institution: String,
    attempt: String,
    registered_by: String,
    recording_root: String,
    incidents: Vec<Fact>,
}

#[derive(Debug, Serialize)]
struct Fact {
    incident: String,
    kind: String,
    began_ms: i64,
    began_us: u64,
    detail: String,
}

/// Gathers what the act says; only confirmed incidents enter it.
pub(super) async fn gather(
    state: &AppState,
    attempt: AttemptId,
    by: PersonId,
    language: Language,
    zone: &Zone,
    root: [u8; 32],
) -> Result<Draft, ActError> {
    let line = state.registry.board_line(attempt).await?;
    let who = person(&state.store, line.person).await?;
    let proctor = person(&state.store, by).await?.name;
    let discipline: String =
        qorgan_store::query_scalar("SELECT discipline FROM exams WHERE id = $1")
            .bind(line.exam.to_string())
            .fetch_one(state.store.read())
            .await?;
    let mut confirmed = incidents(&state.store, attempt).await?;
    for one in &mut confirmed {
        one.began_ms = printable(zone, one.began_ms, &line);
    }
    confirmed.retain(|one| {
        one.judgement
            .as_ref()
            .is_some_and(|judgement| judgement.verdict == IncidentVerdict::Confirmed)
    });
    let first = confirmed.first().ok_or(ActError::NoViolation)?;
    let seen = WallTime::from_unix_ms(first.began_ms);
    let kinds: Vec<_> = confirmed.iter().map(kind).collect::<Result<_, _>>()?;
    let mut evidence = Vec::new();
    for one in &confirmed {
        if evidence.len() == STILLS_MAX {
            break;
        }
        if let Some(one) = still(state, attempt, language, zone, one).await? {
            one.add_to(&mut evidence);
        }
    }
    let origin = crate::http::origin(state).await?;
    Ok(Draft {
        attempt,
        language,
        discipline,
        proctor,
        candidate: Candidate {
            name: who.name,
            faculty: who.faculty,
            year: who.year,
            group: who.group,
        },
        seen,
        form: Form1::of(kinds),
        lines: other_lines(language, zone, &confirmed)?,
        evidence,
        origin,
        root,
        facts: Facts {
            institution: state.institution().to_string(),
            attempt: attempt.to_string(),
            registered_by: by.to_string(),
            recording_root: hex::encode(root),
            incidents: confirmed.iter().map(fact).collect(),
        },
    })
}

fn kind(row: &IncidentRow) -> Result<IncidentKind, StoreError> {
    let what = "incident kind";
    IncidentKind::from_word(&row.kind).ok_or(StoreError::Corrupt { what })
}

/// Returns when an incident began, as it can be printed: a row of before moments were held to their
/// attempt may hold one of any year, and an act is made all the same.
fn printable(zone: &Zone, began_ms: i64, line: &BoardLine) -> i64 {
    if zone.moment(WallTime::from_unix_ms(began_ms)).is_ok() {
        return began_ms;
    }
    let from = line.check_in.unwrap_or(line.since).unix_ms();
    let to = line.ended.unwrap_or(line.since).unix_ms();
    began_ms.min(to).max(from)
}

fn fact(row: &IncidentRow) -> Fact {
    Fact {
        incident: row.id.to_string(),
        kind: row.kind.clone(),
        began_ms: row.began_ms,
        began_us: row.began_us,
        detail: row.detail.clone(),
    }
}

/// Returns a line for each kind without a box: what, how often, when.
fn other_lines(
    language: Language,
    zone: &Zone,
    confirmed: &[IncidentRow],
) -> Result<Vec<String>, ActError> {
    let mut times: BTreeMap<IncidentKind, Vec<String>> = BTreeMap::new();
    for one in confirmed {
        let kind = kind(one)?;
        if kind.form1_box().is_none() {
            let at = zone
                .moment(WallTime::from_unix_ms(one.began_ms))?
                .time_text();
            let at = at.split(' ').next().unwrap_or_default().to_owned();
            let detail = printed_detail(kind, &one.detail);
            times.entry(kind).or_default().push(if detail.is_empty() {
                at
            } else {
                format!("{at} ({detail})")
            });
        }
    }
    Ok(times
        .into_iter()
        .map(|(kind, times)| {
            let words = language.text(&format!("kind-{}", kind.word()));
            format!("{words}: {}", times.join(", "))
        })
        .collect())
}

async fn still(
    state: &AppState,
    attempt: AttemptId,
    language: Language,
    zone: &Zone,
    row: &IncidentRow,
) -> Result<Option<Evidence>, ActError> {
    let Some(still) = stills::at(state, attempt, row).await? else {
        return Ok(None);
    };
    let kind = language.text(&format!("kind-{}", row.kind));
    let known = IncidentKind::from_word(&row.kind);
    let detail = known.map_or("", |known| printed_detail(known, &row.detail));
    let caption = if detail.is_empty() {
        kind.clone()
    } else {
        format!("{kind}: {detail}")
    };
    Ok(Some(Evidence {
        still,
        time: zone
            .moment(WallTime::from_unix_ms(row.began_ms))?
            .time_text(),
        kind,
        caption,
    }))
}

impl Draft {
    /// Puts number, date and code in, and returns what is printed with the hash of the facts.
    pub(super) fn finish(
        self,
        zone: &Zone,
        (at, number, code): (WallTime, ActNumber, &str),
    ) -> Result<(ActData, [u8; 32]), ActError> {
        let text = serde_json::to_vec(&(number.to_string(), at.unix_ms(), &self.facts))?;
        let act_hash = Ring.sha256(&[&text]).0;
        let language = match self.language {
            Language::Kazakh => FormLanguage::Kazakh,
            Language::Russian => FormLanguage::Russian,
            Language::English => FormLanguage::English,
        };
        let moment = zone.moment(at)?;
        let since = format!("{} {}", moment.date_text(language), moment.time_text());
        let origin = self.origin;
        let data = ActData {
            number: number.to_string(),
            language,
            discipline: self.discipline,
            proctor: self.proctor,
            candidate: self.candidate,
            seen_at: zone.moment(self.seen)?,
            boxes: self.form.boxes,
            other: self.lines,
            decision: None,
            evidence: self.evidence,
            recording: RecordingReference {
                link: format!("{origin}/console/attempts/{}/review", self.attempt),
                root: self.root,
            },
            verification: Verification {
                url: format!("{origin}/verify/{code}"),
                act_hash,
                validity: self.language.fill("act-valid", &[("at", since)]),
            },
        };
        Ok((data, act_hash))
    }
}
