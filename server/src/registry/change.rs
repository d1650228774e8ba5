//! One change of an attempt's incidents: everything in one transaction, on a copy of what lasts, so
//! that a commit that fails changes nothing.

mod review;
mod rows;

use std::time::Duration;

use qorgan_protocol::evidence::StreamId;
use qorgan_protocol::ids::{AttemptId, Epoch, IncidentId};
use qorgan_protocol::incident::{Edge, IncidentKind, Observation, Severity};
use qorgan_protocol::time::{WallTime, millis};

use super::Registry;
use super::cell::{CellState, IncidentKey, OpenIncident, OpenIncidents, Witness};
use super::error::RegistryError;
use qorgan_store::{StoreError, WriteTx};
use rows::Rows;

/// Which incidents end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// What the server itself saw begin.
    Servers,
    /// Everything: nothing is recorded any more.
    Everything,
}

/// Changes that are not committed yet.
pub(super) struct Change<'a> {
    pub(super) tx: WriteTx,
    registry: &'a Registry,
    state: &'a CellState,
    epoch: Epoch,
    open: OpenIncidents,
    now: WallTime,
    /// When the epoch began: nothing that its machine tells is older.
    began: WallTime,
    /// When its recording began, where it did.
    recorded: Option<WallTime>,
    /// How many rows each witness has, once they were counted.
    rows: Option<Rows>,
}

/// One new incident.
struct Entry<'a> {
    key: IncidentKey,
    began: WallTime,
    ended: Option<WallTime>,
    began_us: u64,
    detector: &'a str,
    detail: &'a str,
    severity: Severity,
    /// The score that was told and from which it counted; nothing for a fact.
    scored: Option<(Severity, Severity)>,
}

impl<'a> Change<'a> {
    /// Begins a change; what lasts of another epoch than the present one stands apart.
    pub(super) async fn begin(
        registry: &'a Registry,
        state: &'a CellState,
        epoch: Epoch,
        now: WallTime,
    ) -> Result<Change<'a>, RegistryError> {
        let tx = registry.inner.store.begin().await?;
        Self::within(registry, state, (epoch, now), tx).await
    }

    /// Begins a change within a transaction that goes on after it.
    pub(super) async fn within(
        registry: &'a Registry,
        state: &'a CellState,
        (epoch, now): (Epoch, WallTime),
        mut tx: WriteTx,
    ) -> Result<Change<'a>, RegistryError> {
        let row = qorgan_store::query(
            "SELECT e.began_ms, r.began_ms AS recorded_ms FROM epochs e LEFT JOIN recordings r \
             ON r.attempt_id = e.attempt_id AND r.epoch = e.epoch \
             WHERE e.attempt_id = $1 AND e.epoch = $2",
        )
        .bind(state.facts.attempt.to_string())
        .bind(i64::from(epoch.0))
        .fetch_optional(&mut *tx)
        .await?;
        let (began, recorded) = match row {
            Some(row) => (row.get("began_ms")?, row.get("recorded_ms")?),
            None => (now.unix_ms(), None),
        };
        let open = if epoch == state.epoch {
            state.open_incidents.clone()
        } else {
            OpenIncidents::new()
        };
        Ok(Self {
            tx,
            registry,
            state,
            epoch,
            open,
            now,
            began: WallTime::from_unix_ms(began),
            recorded: recorded.map(WallTime::from_unix_ms),
            rows: None,
        })
    }

    /// Returns how long the epoch has lasted.
    pub(super) fn epoch_lasts(&self) -> Duration {
        self.now.since(self.began)
    }

    pub(super) const fn attempt(&self) -> AttemptId {
        self.state.facts.attempt
    }

    /// Returns the transaction, which holds the change, and what lasts in the present epoch once it is
    /// committed.
    pub(super) fn into_parts(self) -> (WriteTx, OpenIncidents) {
        (self.tx, self.open)
    }

    /// Commits; returns what lasts in the present epoch.
    pub(super) async fn commit(mut self) -> Result<OpenIncidents, RegistryError> {
        if self.epoch != self.state.epoch {
            self.all_ended_as_seen().await?;
            self.open = self.state.open_incidents.clone();
        }
        self.tx.commit().await.map_err(StoreError::from)?;
        Ok(self.open)
    }

    /// Takes one thing that the agent's detectors or watches saw.
    pub(super) async fn observe(&mut self, seen: &Observation) -> Result<(), RegistryError> {
        let wall = self.seen_at(seen);
        let key = IncidentKey {
            kind: seen.kind,
            stream: seen.stream,
            witness: Witness::Machine,
        };
        self.join_kiosks(key, wall).await?;
        let known = self.lasting(key, wall).await?;
        if let (Edge::Began, Some(open)) = (seen.edge, &known) {
            self.tell_more(open, seen).await?;
        }
        match (seen.edge, known) {
            (Edge::Ended, Some(open)) => {
                self.open.remove(&key);
                self.close(&open, wall).await
            }
            (Edge::Ended, None) => Ok(()),
            (Edge::Began | Edge::Holds | Edge::Moment, Some(open)) => {
                let score = seen.scored().map(|(score, _)| score);
                self.merge(key, open, (wall, score)).await
            }
            (Edge::Began | Edge::Holds | Edge::Moment, None) => {
                let entry = Entry {
                    key,
                    began: wall,
                    ended: None,
                    began_us: self.bounded_us(seen.at_us),
                    detector: &seen.detector,
                    detail: &seen.detail,
                    severity: seen.kind.default_severity(),
                    scored: seen.scored(),
                };
                self.open(&entry).await
            }
        }
    }

    /// Notes what the kiosk saw, once with what the agent saw of the same.
    pub(super) async fn kiosk_saw(
        &mut self,
        kind: IncidentKind,
        at: WallTime,
        detail: &str,
    ) -> Result<(), RegistryError> {
        let at = self.bounded(at);
        let own = IncidentKey {
            kind,
            stream: None,
            witness: Witness::Machine,
        };
        let same = self.open.iter().find(|(key, open)| {
            let within = if **key == own {
                MERGE_WITHIN
            } else {
                ONE_EVENT_WITHIN
            };
            key.kind == kind && key.witness == Witness::Machine && apart(open.last, at) <= within
        });
        if let Some((key, open)) = same.map(|(key, open)| (*key, open.clone())) {
            return self.merge(key, open, (at, None)).await;
        }
        self.lasting(own, at).await?;
        let entry = Entry {
            key: own,
            began: at,
            ended: None,
            began_us: self.recorded_us(at),
            detector: KIOSK,
            detail,
            severity: kind.default_severity(),
            scored: None,
        };
        self.open(&entry).await
    }

    /// Notes a moment that the server itself saw.
    pub(super) async fn note(
        &mut self,
        kind: IncidentKind,
        at: WallTime,
        detail: &str,
    ) -> Result<(), RegistryError> {
        let entry = self.servers(kind, at, detail);
        let entry = Entry {
            ended: Some(at),
            ..entry
        };
        self.insert(&entry).await.map(drop)
    }

    /// Notes a moment that the server itself saw and that a machine can bring about again and again:
    /// what comes within [`MERGE_WITHIN`] of the same is counted with it.
    pub(super) async fn note_again(
        &mut self,
        kind: IncidentKind,
        detail: &str,
    ) -> Result<(), RegistryError> {
        let since = self.now.unix_ms().saturating_sub(millis(MERGE_WITHIN));
        let same = qorgan_store::query(
            "UPDATE incidents SET observations = observations + 1, ended_ms = $5 WHERE attempt_id = $1 \
             AND kind = $2 AND detector = $3 AND detail = $4 AND ended_ms >= $6",
        )
        .bind(self.state.facts.attempt.to_string())
        .bind(kind.word())
        .bind(SERVER)
        .bind(cut(detail))
        .bind(self.now.unix_ms())
        .bind(since)
        .execute(&mut *self.tx)
        .await?;
        if same.rows_affected() > 0 {
            return Ok(());
        }
        self.note(kind, self.now, detail).await
    }

    /// Notes a fact that is told once in an epoch, however often it comes; of facts of one kind beyond
    /// the most that are kept, an incident says that there were more.
    pub(super) async fn fact(
        &mut self,
        detector: &str,
        (kind, severity): (IncidentKind, Severity),
        (at, detail): (WallTime, &str),
    ) -> Result<(), RegistryError> {
        let (known, of_kind): (i64, i64) = qorgan_store::query_as(
            "SELECT COUNT(*) FILTER (WHERE detail = $5), COUNT(*) FROM incidents \
             WHERE attempt_id = $1 AND epoch = $2 AND kind = $3 AND detector = $4",
        )
        .bind(self.state.facts.attempt.to_string())
        .bind(i64::from(self.epoch.0))
        .bind(kind.word())
        .bind(detector)
        .bind(cut(detail))
        .fetch_one(&mut *self.tx)
        .await?;
        if known > 0 {
            return Ok(());
        }
        if of_kind >= FACTS_MAX {
            let detail = format!("more facts of one kind than are kept: {}", kind.word());
            return self.note_again(IncidentKind::NotWatched, &detail).await;
        }
        let at = self.bounded(at);
        let mut entry = Entry {
            ended: Some(at),
            detector,
            severity,
            ..self.servers(kind, at, detail)
        };
        if detector != SERVER {
            entry.key.witness = Witness::Machine;
        }
        self.insert(&entry).await.map(drop)
    }

    /// Notes the beginning of something that the server itself saw.
    pub(super) async fn began(
        &mut self,
        kind: IncidentKind,
        at: WallTime,
        detail: &str,
    ) -> Result<(), RegistryError> {
        let entry = self.servers(kind, at, detail);
        if self.open.contains_key(&entry.key) {
            return Ok(());
        }
        self.open(&entry).await
    }

    /// Notes the end of what lasts.
    pub(super) async fn all_ended(
        &mut self,
        which: Ended,
        at: WallTime,
    ) -> Result<(), RegistryError> {
        let ends = |key: &IncidentKey| which == Ended::Everything || key.witness == Witness::Server;
        let ended: Vec<_> = self.open.extract_if(.., |key, _| ends(key)).collect();
        for (_, open) in ended {
            self.close(&open, at).await?;
        }
        Ok(())
    }

    /// Notes the end of what lasts when it was seen last.
    pub(super) async fn all_ended_as_seen(&mut self) -> Result<(), RegistryError> {
        for open in core::mem::take(&mut self.open).into_values() {
            self.close(&open, open.last).await?;
        }
        Ok(())
    }

    /// Closes moments that were merged and have not come again for a while.
    pub(super) async fn close_stale(&mut self) -> Result<(), RegistryError> {
        let now = self.now;
        let stale = |key: &IncidentKey, open: &mut OpenIncident| is_stale(*key, open, now);
        let stale: Vec<_> = self.open.extract_if(.., stale).collect();
        for (_, open) in stale {
            self.close(&open, open.last).await?;
        }
        Ok(())
    }

    /// Returns the incident that goes on; one of the same kind that lies apart in time is closed.
    async fn lasting(
        &mut self,
        key: IncidentKey,
        wall: WallTime,
    ) -> Result<Option<OpenIncident>, RegistryError> {
        let Some(open) = self.open.get(&key).cloned() else {
            return Ok(None);
        };
        if apart(open.last, wall) <= MERGE_WITHIN {
            return Ok(Some(open));
        }
        self.open.remove(&key);
        self.close(&open, open.last).await?;
        Ok(None)
    }

    /// An incident of the kiosk that the agent now shows too takes the stream that shows it.
    async fn join_kiosks(&mut self, key: IncidentKey, wall: WallTime) -> Result<(), RegistryError> {
        let Some(stream) = key.stream else {
            return Ok(());
        };
        let kiosks = IncidentKey {
            stream: None,
            ..key
        };
        let joins = |open: &OpenIncident| apart(open.last, wall) <= ONE_EVENT_WITHIN;
        if self.open.contains_key(&key) || !self.open.get(&kiosks).is_some_and(joins) {
            return Ok(());
        }
        let Some(open) = self.open.remove(&kiosks) else {
            return Ok(());
        };
        qorgan_store::query("UPDATE incidents SET stream = $2 WHERE id = $1")
            .bind(open.id.to_string())
            .bind(stream.to_string())
            .execute(&mut *self.tx)
            .await?;
        self.open.insert(key, open);
        Ok(())
    }

    async fn merge(
        &mut self,
        key: IncidentKey,
        open: OpenIncident,
        (wall, score): (WallTime, Option<Severity>),
    ) -> Result<(), RegistryError> {
        let merged = OpenIncident {
            observations: open.observations.saturating_add(1),
            last: open.last.max(wall),
            ..open
        };
        // Where no score is kept, none was told: a fact of the system, or the kiosk's word.
        qorgan_store::query(
            "UPDATE incidents SET observations = $2, \
             score = CASE WHEN $3 > score THEN $3 ELSE score END WHERE id = $1",
        )
        .bind(merged.id.to_string())
        .bind(i64::from(merged.observations))
        .bind(score.map(Severity::value))
        .execute(&mut *self.tx)
        .await?;
        self.open.insert(key, merged);
        Ok(())
    }

    /// Adds what a detector scored of an event that a watch told before, such as where on the screen a
    /// window stands.
    async fn tell_more(
        &mut self,
        open: &OpenIncident,
        seen: &Observation,
    ) -> Result<(), RegistryError> {
        if seen.scored_input.is_empty() || seen.detail.is_empty() {
            return Ok(());
        }
        qorgan_store::query(
            "UPDATE incidents SET detail = detail || '; ' || $2 WHERE id = $1 \
             AND instr(detail, $2) = 0 AND length(detail) < CAST($3 AS BIGINT)",
        )
        .bind(open.id.to_string())
        .bind(cut(&seen.detail))
        .bind(i64::try_from(DETAIL_CHARS_MAX).unwrap_or(i64::MAX))
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn open(&mut self, entry: &Entry<'_>) -> Result<(), RegistryError> {
        if let Some(id) = self.insert(entry).await? {
            let open = OpenIncident {
                id,
                observations: 1,
                last: entry.began,
            };
            self.open.insert(entry.key, open);
        }
        Ok(())
    }

    async fn close(&mut self, open: &OpenIncident, at: WallTime) -> Result<(), RegistryError> {
        qorgan_store::query(
            "UPDATE incidents SET ended_ms = CASE WHEN $2 > began_ms THEN $2 ELSE began_ms END \
             WHERE id = $1",
        )
        .bind(open.id.to_string())
        .bind(at.unix_ms())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    async fn insert_row(&mut self, entry: &Entry<'_>) -> Result<IncidentId, RegistryError> {
        let registry = self.registry;
        let id = IncidentId::new(registry.inner.clock.wall(), qorgan_signing::random()?);
        let kind = entry.key.kind;
        let counts = self.state.facts.watch.counts(kind);
        qorgan_store::query(
            "INSERT INTO incidents (id, institution_id, attempt_id, kind, severity, began_ms, \
             ended_ms, began_us, stream, detector, detail, epoch, counts, score, threshold, models) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(id.to_string())
        .bind(registry.inner.keys.institution().to_string())
        .bind(self.state.facts.attempt.to_string())
        .bind(kind.word())
        .bind(entry.severity.value())
        .bind(entry.began.unix_ms())
        .bind(entry.ended.map(WallTime::unix_ms))
        .bind(i64::try_from(entry.began_us).unwrap_or(i64::MAX))
        .bind(entry.key.stream.map(|stream| stream.to_string()))
        .bind(entry.detector)
        .bind(cut(entry.detail))
        .bind(i64::from(self.epoch.0))
        .bind(counts)
        .bind(entry.scored.map(|(score, _)| score.value()))
        .bind(entry.scored.map(|(_, threshold)| threshold.value()))
        .bind(models(entry.detector))
        .execute(&mut *self.tx)
        .await?;
        if counts {
            self.reopen_review(kind, id).await?;
        }
        Ok(id)
    }

    fn servers<'e>(&self, kind: IncidentKind, at: WallTime, detail: &'e str) -> Entry<'e> {
        Entry {
            key: IncidentKey {
                kind,
                stream: None::<StreamId>,
                witness: Witness::Server,
            },
            began: at,
            ended: None,
            began_us: self.recorded_us(at),
            detector: SERVER,
            detail,
            severity: kind.default_severity(),
            scored: None,
        }
    }

    /// Returns when the agent saw something, by the server's clock: by the distance of the two
    /// clocks, else by the recording's timeline.
    fn seen_at(&self, seen: &Observation) -> WallTime {
        let now = self.registry.inner.clock.now();
        let measured = self.state.backlog.ago(now, seen.at);
        match measured.filter(|_| self.epoch == self.state.epoch) {
            Some(ago) => self.ago(ago),
            None => {
                let recorded = self.recorded.unwrap_or(self.began);
                self.bounded(recorded.after(Duration::from_micros(seen.at_us)))
            }
        }
    }

    fn ago(&self, ago: Duration) -> WallTime {
        let at = self.now.unix_ms().saturating_sub(millis(ago));
        self.bounded(WallTime::from_unix_ms(at))
    }

    /// Returns a moment of the epoch, whatever a machine says.
    pub(super) fn bounded(&self, at: WallTime) -> WallTime {
        at.max(self.began).min(self.now)
    }

    /// Returns a place on the recording's timeline that can be, whatever a machine says.
    fn bounded_us(&self, at_us: u64) -> u64 {
        let lasts = self.now.since(self.began).saturating_add(TIMELINE_MORE);
        at_us.min(u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX))
    }

    /// Returns where on the recording's timeline a moment of the server's clock lies.
    fn recorded_us(&self, at: WallTime) -> u64 {
        let us = |lasts: Duration| u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX);
        match (self.state.recorded_us, self.recorded) {
            // Nothing came since the server started.
            (0, Some(recorded)) => us(at.since(recorded)),
            (recorded_us, _) => self
                .bounded_us(recorded_us)
                .saturating_sub(us(self.now.since(at))),
        }
    }
}

/// Tells whether an incident of a machine has not been seen again for a while.
pub(super) fn is_stale(key: IncidentKey, open: &OpenIncident, now: WallTime) -> bool {
    key.witness == Witness::Machine && now.since(open.last) > MERGE_WITHIN
}

/// Names the model files that a detector's score rests on, each with its SHA-256. A detector's
/// version rises with its models, so that the name alone tells them.
fn models(detector: &str) -> String {
    let models = qorgan_detect::models_of(detector).iter();
    let named = models.map(|file| format!("{} {}", file.name(), file.sha256()));
    named.collect::<Vec<_>>().join(", ")
}

fn cut(detail: &str) -> &str {
    match detail.char_indices().nth(DETAIL_CHARS_MAX) {
        Some((end, _)) => &detail[..end],
        None => detail,
    }
}

fn apart(one: WallTime, other: WallTime) -> Duration {
    one.since(other).max(other.since(one))
}

/// The detector's name of what the server itself saw.
pub(super) const SERVER: &str = "server/1";
/// The detector's name of what the kiosk's lockdown saw.
pub(super) const KIOSK: &str = "kiosk/1";
/// The most facts of one kind in one epoch that make incidents.
const FACTS_MAX: i64 = 32;
/// A longer detail is cut; the recording's events hold it whole.
const DETAIL_CHARS_MAX: usize = 600;
/// A timeline may run ahead of the server's by this, for its machine's clock is another.
const TIMELINE_MORE: Duration = Duration::from_secs(60);
/// What kiosk and agent tell of one kind within this of one another is one event.
const ONE_EVENT_WITHIN: Duration = Duration::from_secs(5);
/// Moments of one kind that come within this of one another are one incident.
const MERGE_WITHIN: Duration = Duration::from_secs(30);
