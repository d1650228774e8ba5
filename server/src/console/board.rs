//! The live board's lines: who is at which phase since when, who is late or overran (SOP 9).

use std::collections::BTreeMap;

use qorgan_protocol::attempt::{AttemptPhase, GateMode};

use super::error::ConsoleError;
use super::page::Page;
use super::paging::PageOf;
use super::store::SittingFacts;
use crate::registry::{BoardLine, BoardOf, BoardQuery};
use crate::state::AppState;
use qorgan_store::assigned::Scope;

/// One candidate on the board.
#[derive(Debug, Clone)]
pub(super) struct BoardRow {
    pub(super) login: String,
    pub(super) name: String,
    pub(super) href: Option<String>,
    pub(super) group: String,
    pub(super) word: &'static str,
    pub(super) phase: String,
    pub(super) since: String,
    pub(super) started: String,
    pub(super) submitted: String,
    pub(super) remarks: Vec<(&'static str, String)>,
}

/// What the admission sheet says beside the attempt.
struct Listed {
    admitted: bool,
    group: String,
    extra_ms: i64,
    submitted_ms: Option<i64>,
}

/// Returns a page of a sitting's board, one line more where others follow, and the summary of the
/// whole sitting in words.
//= tests/data/sop-2-28.md#9-board
pub(super) async fn board(
    state: &AppState,
    page: &Page,
    (sitting, part): (&SittingFacts, PageOf),
) -> Result<(Vec<BoardRow>, String), ConsoleError> {
    let (offset, limit) = part.range();
    let query = BoardQuery {
        // Whether the reader may see this sitting was asked before.
        scope: Scope::All,
        of: BoardOf::Sitting(sitting.id),
        named: String::new(),
        offset,
        limit,
    };
    let lines = state.registry.board(&query).await?;
    let listed = listed(state, &lines).await?;
    let now_ms = state.clock.wall().unix_ms();
    let mut rows = Vec::with_capacity(lines.len());
    for line in &lines {
        let entry = listed.get(&line.attempt.to_string());
        rows.push(row(page, sitting, line, entry, now_ms));
    }
    let phases = state.registry.phases(sitting.id).await?;
    let in_all = |words: &[&str]| {
        let counted = words.iter().filter_map(|word| phases.get(*word));
        counted.sum::<u64>().to_string()
    };
    let counts = [
        ("all", phases.values().sum::<u64>().to_string()),
        ("running", in_all(&["running", "paused"])),
        ("done", in_all(&["submitted", "sealed"])),
        ("absent", in_all(&["scheduled"])),
    ];
    Ok((rows, page.in_language().fill("board-summary", &counts)))
}

fn row(
    page: &Page,
    sitting: &SittingFacts,
    line: &BoardLine,
    listed: Option<&Listed>,
    now_ms: i64,
) -> BoardRow {
    let come = !matches!(line.phase, AttemptPhase::Scheduled);
    let started = line.started.map(|at| at.unix_ms());
    let submitted = listed.and_then(|one| one.submitted_ms);
    BoardRow {
        login: line.login.clone(),
        name: line.candidate.clone(),
        href: (come && page.may("proctor")).then(|| format!("/console/attempts/{}", line.attempt)),
        group: listed.map(|one| one.group.clone()).unwrap_or_default(),
        word: line.phase.word(),
        phase: page.t(&format!("phase-{}", line.phase.word())),
        since: if come {
            page.clock(Some(line.since.unix_ms()))
        } else {
            String::new()
        },
        started: page.clock(started),
        submitted: page.clock(submitted),
        remarks: remarks(page, sitting, line, listed, now_ms),
    }
}

fn remarks(
    page: &Page,
    sitting: &SittingFacts,
    line: &BoardLine,
    listed: Option<&Listed>,
    now_ms: i64,
) -> Vec<(&'static str, String)> {
    let mut remarks = Vec::new();
    let admitted = listed.is_none_or(|one| one.admitted);
    if !admitted {
        remarks.push(("calm", page.t("remark-not-admitted")));
    }
    let came_ms = line.check_in.map(|at| at.unix_ms());
    if admitted && is_late(sitting.opens_ms, came_ms, now_ms) {
        let key = if line.absent {
            "remark-absent"
        } else {
            "remark-late"
        };
        remarks.push(("late", page.t(key)));
    }
    let extra_ms = listed.map_or(0, |one| one.extra_ms);
    let allowed_ms = sitting.duration_ms.saturating_add(extra_ms);
    if let (Some(started), Some(ended)) = (line.started, line.ended)
        && ended.unix_ms().saturating_sub(started.unix_ms()) > allowed_ms.saturating_add(GRACE_MS)
    {
        remarks.push(("late", page.t("remark-overran")));
    }
    if line.late {
        remarks.push(("late", page.t("remark-late-submission")));
    }
    if line.hand_raised {
        remarks.push(("person", page.t("remark-hand")));
    }
    if line.incidents > 0 {
        remarks.push(("care", page.t1("remark-incidents", "n", line.incidents)));
    }
    remarks
}

/// Tells whether somebody came, or still has not come, later than ten minutes after the opening.
fn is_late(opens_ms: i64, came_ms: Option<i64>, now_ms: i64) -> bool {
    came_ms.unwrap_or(now_ms) > opens_ms.saturating_add(LATE_MS)
}

async fn listed(
    state: &AppState,
    lines: &[BoardLine],
) -> Result<BTreeMap<String, Listed>, ConsoleError> {
    let attempts: Vec<String> = lines.iter().map(|line| line.attempt.to_string()).collect();
    let rows = qorgan_store::query(
        "SELECT a.id, a.submitted_ms, a.extra_ms + COALESCE(s.extra_minutes, 0) * 60000 \
         + a.credited_ms AS extra_ms, COALESCE(s.admitted, 1) AS admitted, \
         COALESCE(d.group_name, '') AS group_name FROM attempts a \
         LEFT JOIN admissions s ON s.sitting_id = a.sitting_id AND s.person_id = a.person_id \
         LEFT JOIN person_details d ON d.person_id = a.person_id \
         WHERE a.id IN (SELECT value FROM json_each($1))",
    )
    .bind(qorgan_store::list("list of attempts", &attempts)?)
    .fetch_all(state.store.read())
    .await?;
    let mut listed = BTreeMap::new();
    for row in rows {
        let entry = Listed {
            admitted: row.get("admitted")?,
            group: row.get("group_name")?,
            extra_ms: row.get("extra_ms")?,
            submitted_ms: row.get("submitted_ms")?,
        };
        listed.insert(row.get("id")?, entry);
    }
    Ok(listed)
}

/// Returns the key of a mode's words.
pub(super) const fn mode_word(mode: GateMode) -> &'static str {
    match mode {
        GateMode::Remote => "mode-remote",
        GateMode::OnSite => "mode-on_site",
    }
}

/// Who comes so long after the opening is late.
const LATE_MS: i64 = 10 * 60 * 1_000;
/// Who ends so long after the time allowed has overrun; delivery takes a moment.
const GRACE_MS: i64 = 60 * 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    //= tests/data/sop-2-28.md#9-board
    //= type=test
    fn who_comes_ten_minutes_after_the_opening_is_late() {
        let opens = 1_000_000;
        assert!(!is_late(opens, Some(opens + LATE_MS), opens));
        assert!(is_late(opens, Some(opens + LATE_MS + 1), opens));
        assert!(is_late(opens, None, opens + LATE_MS + 1));
        assert!(!is_late(opens, None, opens));
    }
}
