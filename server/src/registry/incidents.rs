//! From observations to incidents: what is of one kind and stream is merged while it lasts, and what
//! kiosk and agent each saw of one event is one incident.
//!
//! Whether a kind counts is asked here, of the policy in force, whoever says it: an agent that was not
//! told, or that does as if, makes no incident of what the candidate is granted. It is kept as seen,
//! beside the incidents, so that a person can look again. The score is not weighed a second time:
//! score and threshold come from the same machine, so that comparing them proves nothing; what was
//! scored is kept, and `replay` makes the score again.

use std::time::Duration;

use qorgan_protocol::evidence::StreamId;
use qorgan_protocol::ids::{AttemptId, IncidentId};
use qorgan_protocol::incident::{Edge, IncidentKind, Observation, Severity};
use qorgan_protocol::time::{WallTime, millis};

use super::Registry;
use super::cell::{CellState, OpenIncident};
use super::error::RegistryError;
use crate::store::StoreError;

/// One new incident.
struct Entry<'a> {
    kind: IncidentKind,
    severity: Severity,
    began: WallTime,
    ended: Option<WallTime>,
    began_us: u64,
    stream: Option<StreamId>,
    detector: &'a str,
    detail: &'a str,
    /// The score that was told and from which it counted; nothing for a fact.
    scored: Option<(Severity, Severity)>,
}

impl Registry {
    /// Takes what the agent's detectors and watches saw, from the verified events stream.
    ///
    /// # Errors
    /// `NotFound`, or the database failed; nothing is then lost, for the caller may say it again.
    pub async fn observations(
        &self,
        attempt: AttemptId,
        observations: Vec<Observation>,
    ) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        for seen in observations {
            let wall = self.recorded_wall(&state, seen.at_us);
            let key = (seen.kind, seen.stream);
            self.join_kiosks(&mut state, key, wall).await?;
            let known = state.open_incidents.get(&key).cloned();
            if let (Edge::Began, Some(open)) = (seen.edge, &known) {
                self.tell_more(open, &seen).await?;
            }
            match (seen.edge, known) {
                (Edge::Ended, Some(open)) => {
                    state.open_incidents.remove(&key);
                    self.close_incident(&open, wall).await?;
                }
                (Edge::Ended, None) => {}
                (Edge::Began | Edge::Holds | Edge::Moment, Some(open)) => {
                    self.merge(&mut state, key, open, (wall, Some(seen.score)))
                        .await?;
                }
                (Edge::Began | Edge::Holds | Edge::Moment, None) => {
                    let entry = Entry {
                        kind: seen.kind,
                        severity: seen.kind.default_severity(),
                        began: wall,
                        ended: None,
                        began_us: seen.at_us,
                        stream: seen.stream,
                        detector: &seen.detector,
                        detail: &seen.detail,
                        scored: scored(&seen),
                    };
                    self.open_incident(&mut state, &entry).await?;
                }
            }
        }
        Ok(())
    }

    /// Notes what the kiosk saw, once with what the agent saw of the same.
    pub(super) async fn kiosk_saw(
        &self,
        state: &mut CellState,
        kind: IncidentKind,
        at: WallTime,
        detail: &str,
    ) -> Result<(), RegistryError> {
        let own = (kind, None);
        let same = state.open_incidents.iter().find(|(key, open)| {
            let within = if **key == own {
                MERGE_WITHIN
            } else {
                ONE_EVENT_WITHIN
            };
            key.0 == kind && apart(open.last, at) <= within
        });
        if let Some((key, open)) = same.map(|(key, open)| (*key, open.clone())) {
            return self.merge(state, key, open, (at, None)).await;
        }
        let entry = Entry {
            kind,
            severity: kind.default_severity(),
            began: at,
            ended: None,
            began_us: self.recorded_us(state, at),
            stream: None,
            detector: KIOSK,
            detail,
            scored: None,
        };
        self.open_incident(state, &entry).await
    }

    /// An incident of the kiosk that the agent now shows too takes the stream that shows it.
    async fn join_kiosks(
        &self,
        state: &mut CellState,
        key: (IncidentKind, Option<StreamId>),
        wall: WallTime,
    ) -> Result<(), RegistryError> {
        let (kind, Some(stream)) = key else {
            return Ok(());
        };
        let joins =
            |open: &OpenIncident| !open.by_server && apart(open.last, wall) <= ONE_EVENT_WITHIN;
        if state.open_incidents.contains_key(&key)
            || !state.open_incidents.get(&(kind, None)).is_some_and(joins)
        {
            return Ok(());
        }
        let Some(open) = state.open_incidents.remove(&(kind, None)) else {
            return Ok(());
        };
        let mut tx = self.inner.store.begin().await?;
        sqlx::query("UPDATE incidents SET stream = $2 WHERE id = $1")
            .bind(open.id.to_string())
            .bind(stream.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        state.open_incidents.insert(key, open);
        Ok(())
    }

    /// Notes a moment that the server itself saw.
    pub(super) async fn note(
        &self,
        state: &CellState,
        kind: IncidentKind,
        at: WallTime,
        detail: &str,
    ) -> Result<(), RegistryError> {
        let entry = Entry {
            kind,
            severity: kind.default_severity(),
            began: at,
            ended: Some(at),
            began_us: self.recorded_us(state, at),
            stream: None,
            detector: SERVER,
            detail,
            scored: None,
        };
        self.insert_incident(state, &entry).await?;
        Ok(())
    }

    /// Notes the beginning of something that the server itself saw.
    pub(super) async fn began(
        &self,
        state: &mut CellState,
        kind: IncidentKind,
        at: WallTime,
        detail: &str,
    ) -> Result<(), RegistryError> {
        if state.open_incidents.contains_key(&(kind, None)) {
            return Ok(());
        }
        let entry = Entry {
            kind,
            severity: kind.default_severity(),
            began: at,
            ended: None,
            began_us: self.recorded_us(state, at),
            stream: None,
            detector: SERVER,
            detail,
            scored: None,
        };
        self.open_incident(state, &entry).await
    }

    /// Notes the end of everything that the server itself saw begin; once nothing is recorded any
    /// more, of everything.
    pub(super) async fn all_ended(
        &self,
        state: &mut CellState,
        at: WallTime,
    ) -> Result<(), RegistryError> {
        let over = !state.gate.phase().records();
        let ended: Vec<_> = state
            .open_incidents
            .iter()
            .filter(|(_key, open)| over || open.by_server)
            .map(|(key, open)| (*key, open.clone()))
            .collect();
        for (key, open) in ended {
            state.open_incidents.remove(&key);
            self.close_incident(&open, at).await?;
        }
        Ok(())
    }

    /// Closes moments that were merged and have not come again for a while.
    pub(super) async fn close_stale(
        &self,
        state: &mut CellState,
        now: WallTime,
    ) -> Result<(), RegistryError> {
        let stale: Vec<_> = state
            .open_incidents
            .iter()
            .filter(|(_key, open)| !open.by_server && now.since(open.last) > MERGE_WITHIN)
            .map(|(key, open)| (*key, open.clone()))
            .collect();
        for (key, open) in stale {
            state.open_incidents.remove(&key);
            self.close_incident(&open, open.last).await?;
        }
        Ok(())
    }

    /// Returns when something on the recording's timeline happened, by the server's clock.
    fn recorded_wall(&self, state: &CellState, at_us: u64) -> WallTime {
        let back = Duration::from_micros(state.recorded_us.saturating_sub(at_us));
        let now = self.inner.clock.wall();
        WallTime::from_unix_ms(now.unix_ms().saturating_sub(millis(back)))
    }

    /// Returns where on the recording's timeline a moment of the server's clock lies.
    fn recorded_us(&self, state: &CellState, at: WallTime) -> u64 {
        let back = self.inner.clock.wall().since(at).as_micros();
        let back = u64::try_from(back).unwrap_or(u64::MAX);
        state.recorded_us.saturating_sub(back)
    }

    async fn merge(
        &self,
        state: &mut CellState,
        key: (IncidentKind, Option<StreamId>),
        open: OpenIncident,
        (wall, score): (WallTime, Option<Severity>),
    ) -> Result<(), RegistryError> {
        let merged = OpenIncident {
            observations: open.observations.saturating_add(1),
            last: open.last.max(wall),
            ..open
        };
        let mut tx = self.inner.store.begin().await?;
        // Where no score is kept, none was told: a fact of the system, or the kiosk's word.
        sqlx::query(
            "UPDATE incidents SET observations = $2, \
             score = CASE WHEN $3 > score THEN $3 ELSE score END WHERE id = $1",
        )
        .bind(merged.id.to_string())
        .bind(i64::from(merged.observations))
        .bind(score.map(Severity::value))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        state.open_incidents.insert(key, merged);
        Ok(())
    }

    async fn open_incident(
        &self,
        state: &mut CellState,
        entry: &Entry<'_>,
    ) -> Result<(), RegistryError> {
        let id = self.insert_incident(state, entry).await?;
        let open = OpenIncident {
            id,
            observations: 1,
            last: entry.began,
            by_server: entry.detector == SERVER,
        };
        state
            .open_incidents
            .insert((entry.kind, entry.stream), open);
        Ok(())
    }

    /// Adds what a detector scored of an event that a watch told before, such as where on the screen a
    /// window stands.
    async fn tell_more(
        &self,
        open: &OpenIncident,
        seen: &Observation,
    ) -> Result<(), RegistryError> {
        if seen.scored_input.is_empty() || seen.detail.is_empty() {
            return Ok(());
        }
        let mut tx = self.inner.store.begin().await?;
        sqlx::query(
            "UPDATE incidents SET detail = detail || '; ' || $2 WHERE id = $1 \
             AND instr(detail, $2) = 0 AND length(detail) < $3",
        )
        .bind(open.id.to_string())
        .bind(&seen.detail)
        .bind(DETAIL_CHARS_MAX)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn close_incident(&self, open: &OpenIncident, at: WallTime) -> Result<(), RegistryError> {
        let mut tx = self.inner.store.begin().await?;
        sqlx::query("UPDATE incidents SET ended_ms = $2 WHERE id = $1")
            .bind(open.id.to_string())
            .bind(at.unix_ms())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn insert_incident(
        &self,
        state: &CellState,
        entry: &Entry<'_>,
    ) -> Result<IncidentId, RegistryError> {
        let id = IncidentId::new(self.inner.clock.wall(), qorgan_signing::random()?);
        let mut tx = self.inner.store.begin().await?;
        sqlx::query(
            "INSERT INTO incidents (id, institution_id, attempt_id, kind, severity, began_ms, \
             ended_ms, began_us, stream, detector, detail, epoch, counts, score, threshold, models) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(id.to_string())
        .bind(self.inner.keys.institution().to_string())
        .bind(state.facts.attempt.to_string())
        .bind(entry.kind.word())
        .bind(entry.severity.value())
        .bind(entry.began.unix_ms())
        .bind(entry.ended.map(WallTime::unix_ms))
        .bind(i64::try_from(entry.began_us).unwrap_or(i64::MAX))
        .bind(entry.stream.map(|stream| stream.to_string()))
        .bind(entry.detector)
        .bind(entry.detail)
        .bind(i64::from(state.epoch.0))
        .bind(state.facts.watch.counts(entry.kind))
        .bind(entry.scored.map(|(score, _)| score.value()))
        .bind(entry.scored.map(|(_, threshold)| threshold.value()))
        .bind(models(entry.detector))
        .execute(&mut *tx)
        .await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(id)
    }
}

/// Returns what an observation's score was and from which it counted; nothing for a fact, which is
/// certain and scored by nobody.
fn scored(seen: &Observation) -> Option<(Severity, Severity)> {
    let certain = seen.score == Severity::clamped(1.0) && seen.threshold == Severity::clamped(0.5);
    let fact = certain && seen.scored_input.is_empty();
    (!fact).then_some((seen.score, seen.threshold))
}

/// Names the model files that a detector's score rests on, each with its SHA-256. A detector's
/// version rises with its models, so that the name alone tells them.
fn models(detector: &str) -> String {
    let models = qorgan_detect::models_of(detector).iter();
    let named = models.map(|file| format!("{} {}", file.name(), file.sha256()));
    named.collect::<Vec<_>>().join(", ")
}

fn apart(one: WallTime, other: WallTime) -> Duration {
    one.since(other).max(other.since(one))
}

/// A detail that is as long is not added to.
const DETAIL_CHARS_MAX: i64 = 600;
/// The detector's name of what the server itself saw.
const SERVER: &str = "server/1";
/// The detector's name of what the kiosk's lockdown saw.
const KIOSK: &str = "kiosk/1";
/// What kiosk and agent tell of one kind within this of one another is one event.
const ONE_EVENT_WITHIN: Duration = Duration::from_secs(5);
/// Moments of one kind that come within this of one another are one incident.
const MERGE_WITHIN: Duration = Duration::from_secs(30);
