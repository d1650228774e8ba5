//! From observations to incidents: what is of one kind and stream is merged while it lasts, and what
//! kiosk and agent each saw of one event is one incident.
//!
//! Whether a kind counts is asked here, of the policy in force, whoever says it: an agent that was not
//! told, or that does as if, makes no incident of what the candidate is granted. It is kept as seen,
//! beside the incidents, so that a person can look again. The score is not weighed a second time:
//! score and threshold come from the same machine, so that comparing them proves nothing; what was
//! scored is kept, and `replay` makes the score again.
//!
//! Observations are read from the stored events stream alone. How far it was read is written in the
//! transaction of what was read, so that a crash loses no incident and makes none twice.

use qorgan_protocol::evidence::ChunkSeq;
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::incident::{IncidentKind, Observation, Severity};
use qorgan_protocol::time::WallTime;

use super::Registry;
use super::cell::CellState;
use super::change::Change;
use super::error::RegistryError;
use qorgan_store::StoreError;

/// How far the events of an epoch were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventsRead {
    /// Every chunk before this one.
    Before(ChunkSeq),
    /// As far as they were stored when reading began to be noted.
    Unknown,
}

impl Registry {
    /// Takes what the agent's detectors and watches saw, chunk by chunk of the stored events stream;
    /// what was taken before is skipped.
    ///
    /// # Errors
    /// `NotFound`, or the database failed; nothing of the chunks is then taken.
    pub async fn observations(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        chunks: &[(ChunkSeq, Vec<Observation>)],
    ) -> Result<(), RegistryError> {
        let Some(next) = chunks.last().map(|(seq, _)| seq.next()) else {
            return Ok(());
        };
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        let wall = self.inner.clock.wall();
        let mut change = Change::begin(self, &state, epoch, wall).await?;
        let read = match read_in(&mut change, attempt, epoch).await? {
            EventsRead::Before(read) => read,
            EventsRead::Unknown => next,
        };
        for (_, observations) in chunks.iter().filter(|(seq, _)| *seq >= read) {
            for seen in observations {
                change.observe(seen).await?;
            }
        }
        write_read(&mut change, (attempt, epoch), read.max(next)).await?;
        state.open_incidents = change.commit().await?;
        Ok(())
    }

    /// Returns how far the events of an epoch were read.
    ///
    /// # Errors
    /// The database failed.
    pub async fn events_read(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
    ) -> Result<EventsRead, RegistryError> {
        let next: Option<Option<i64>> = qorgan_store::query_scalar(READ_SQL)
            .bind(attempt.to_string())
            .bind(i64::from(epoch.0))
            .fetch_optional(self.inner.store.read())
            .await?;
        Ok(events_read(next)?)
    }

    /// Notes that everything before a chunk was read, where reading was not noted before.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn events_were_read(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        next: ChunkSeq,
    ) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        let wall = self.inner.clock.wall();
        let mut change = Change::begin(self, &state, epoch, wall).await?;
        write_read(&mut change, (attempt, epoch), next).await?;
        state.open_incidents = change.commit().await?;
        Ok(())
    }

    /// Notes what the server saw of a machine's recording; the same within half a minute is counted
    /// once.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn noted(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        kind: IncidentKind,
        detail: &str,
    ) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        let wall = self.inner.clock.wall();
        let mut change = Change::begin(self, &state, epoch, wall).await?;
        change.note_again(kind, detail).await?;
        state.open_incidents = change.commit().await?;
        Ok(())
    }

    /// Ends every incident of an attempt whose recording is complete, each when it was seen last.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn incidents_over(&self, attempt: AttemptId) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        let wall = self.inner.clock.wall();
        let mut change = Change::begin(self, &state, state.epoch, wall).await?;
        change.all_ended_as_seen().await?;
        state.open_incidents = change.commit().await?;
        Ok(())
    }

    /// Notes a moment that the server itself saw and that a machine can bring about again and again.
    pub(super) async fn note_again(
        &self,
        state: &mut CellState,
        kind: IncidentKind,
        detail: &str,
    ) -> Result<(), RegistryError> {
        let wall = self.inner.clock.wall();
        let mut change = Change::begin(self, state, state.epoch, wall).await?;
        change.note_again(kind, detail).await?;
        state.open_incidents = change.commit().await?;
        Ok(())
    }

    /// Notes a fact that is told once in an epoch, however often it comes; of facts of one kind beyond
    /// the most that are kept, an incident says that there were more.
    pub(super) async fn fact(
        &self,
        state: &CellState,
        detector: &str,
        graded: (IncidentKind, Severity),
        told: (WallTime, &str),
    ) -> Result<(), RegistryError> {
        let wall = self.inner.clock.wall();
        let mut change = Change::begin(self, state, state.epoch, wall).await?;
        change.fact(detector, graded, told).await?;
        change.commit().await.map(drop)
    }
}

async fn read_in(
    change: &mut Change<'_>,
    attempt: AttemptId,
    epoch: Epoch,
) -> Result<EventsRead, RegistryError> {
    let next: Option<Option<i64>> = qorgan_store::query_scalar(READ_SQL)
        .bind(attempt.to_string())
        .bind(i64::from(epoch.0))
        .fetch_optional(&mut *change.tx)
        .await?;
    Ok(events_read(next)?)
}

async fn write_read(
    change: &mut Change<'_>,
    (attempt, epoch): (AttemptId, Epoch),
    next: ChunkSeq,
) -> Result<(), RegistryError> {
    let corrupt = |_large| StoreError::Corrupt { what: "chunk" };
    qorgan_store::query(
        "INSERT INTO events_read (attempt_id, epoch, next) VALUES ($1, $2, $3) \
         ON CONFLICT (attempt_id, epoch) DO UPDATE SET next = excluded.next",
    )
    .bind(attempt.to_string())
    .bind(i64::from(epoch.0))
    .bind(i64::try_from(next.0).map_err(corrupt)?)
    .execute(&mut *change.tx)
    .await?;
    Ok(())
}

fn events_read(next: Option<Option<i64>>) -> Result<EventsRead, StoreError> {
    let corrupt = |_negative| StoreError::Corrupt { what: "chunk" };
    match next {
        None => Ok(EventsRead::Before(ChunkSeq(0))),
        Some(None) => Ok(EventsRead::Unknown),
        Some(Some(next)) => {
            let next = u64::try_from(next).map_err(corrupt)?;
            Ok(EventsRead::Before(ChunkSeq(next)))
        }
    }
}

const READ_SQL: &str = "SELECT next FROM events_read WHERE attempt_id = $1 AND epoch = $2";
