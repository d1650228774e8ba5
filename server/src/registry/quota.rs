//! What one attempt may leave in the database: past a bound nothing more is kept, and a person is told.

use std::time::Duration;

use qorgan_protocol::crypto::PublicKey;
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::time::Now;
use qorgan_protocol::wire::ProblemCode;

use super::Registry;
use super::binding::Caller;
use super::cell::CellState;
use super::change::Change;
use super::error::RegistryError;
use qorgan_base::rate::Rate;
use qorgan_store::StoreError;

/// How many bytes the recording of an attempt may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteBounds {
    /// In a second, once the burst is used up.
    pub per_s: u64,
    /// At once, for what waited in a spool.
    pub burst: u64,
    /// In all.
    pub total: u64,
}

impl ByteBounds {
    /// Returns eight times what a profile aims at, and in all as much as that for the time allowed
    /// and two hours of check-in and pauses. The richest profile aims at nothing: a screen that always
    /// moves gives some 8 Mbit/s.
    fn of(bandwidth: &str, allowed: Duration) -> Result<Self, StoreError> {
        let per_s = match bandwidth {
            "economy" => 150_000,
            "standard" => 300_000,
            "rich" => 2_000_000,
            _ => return Err(StoreError::Corrupt { what: "bandwidth" }),
        };
        let lasts = allowed.saturating_add(AROUND).as_secs();
        Ok(Self {
            per_s,
            burst: BURST_BYTES,
            total: lasts.saturating_mul(per_s),
        })
    }
}

/// Something that a candidate's programs can send again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Messages,
    ClientEvents,
    SystemChecks,
    Documents,
    Consents,
    Instances,
    Shown,
}

impl Kept {
    /// Returns how many of an attempt's rows there are.
    const fn sql(self) -> &'static str {
        match self {
            Self::Messages => {
                "SELECT COUNT(*) FROM messages WHERE attempt_id = $1 AND sender = 'candidate'"
            }
            Self::ClientEvents => "SELECT COUNT(*) FROM client_events WHERE attempt_id = $1",
            Self::SystemChecks => "SELECT COUNT(*) FROM system_checks WHERE attempt_id = $1",
            Self::Documents => "SELECT COUNT(*) FROM identity_documents WHERE attempt_id = $1",
            Self::Consents => "SELECT COUNT(*) FROM consents WHERE attempt_id = $1",
            Self::Instances => "SELECT COUNT(*) FROM attempt_instances WHERE attempt_id = $1",
            Self::Shown => {
                "SELECT COUNT(*) FROM identity_decisions WHERE attempt_id = $1 \
                 AND person_id IS NULL"
            }
        }
    }

    /// Returns how many are kept; each far above what an exam needs.
    const fn most(self) -> i64 {
        match self {
            Self::Messages => 300,
            Self::ClientEvents => 20_000,
            Self::SystemChecks => 200,
            Self::Documents => 40,
            Self::Consents => 40,
            Self::Instances => 1_000,
            Self::Shown => 100,
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::Messages => "more messages were sent than are kept",
            Self::ClientEvents => "the kiosk told of more events than are kept",
            Self::SystemChecks => "more system checks were sent than are kept",
            Self::Documents => "more identity documents were sent than are kept",
            Self::Consents => "consent was given more often than is kept",
            Self::Instances => "the client took the attempt more often than is kept",
            Self::Shown => "identity was shown more often than is kept",
        }
    }
}

/// Check-ins of the machine that an attempt is bound to: so many at once, then one each while.
#[derive(Debug, Default)]
pub(crate) struct CheckIns {
    /// When all would be free again.
    empty_at: Option<Duration>,
}

impl CheckIns {
    /// Counts one.
    ///
    /// # Errors
    /// How long to wait for the next one; nothing is counted then.
    fn take(&mut self, now: Now) -> Result<(), Duration> {
        let rate = Rate {
            step: CHECK_IN_EVERY,
            window: CHECK_IN_EVERY.saturating_mul(CHECK_INS_AT_ONCE),
        };
        self.empty_at = Some(rate.one_more(self.empty_at, now.since_origin())?);
        Ok(())
    }
}

impl Registry {
    /// Counts a check-in of the machine that an attempt is bound to. One that comes over and over, or two
    /// clients that take the attempt from one another by turns, have to wait, and an incident says so;
    /// who holds the attempt goes on, and no other machine uses these up.
    ///
    /// # Errors
    /// `TooMany` with the time to wait, or the database failed.
    pub(super) async fn one_more_check_in(
        &self,
        state: &mut CellState,
        caller: &Caller,
    ) -> Result<(), RegistryError> {
        if state.binding != Some(caller.binding()) {
            return Ok(());
        }
        let Err(wait) = state.check_ins.take(self.inner.clock.now()) else {
            return Ok(());
        };
        let detail = "the client checked in over and over; the next time has to wait";
        self.note_again(state, IncidentKind::ClientRestarted, detail)
            .await?;
        Err(RegistryError::slow_down(detail, wait))
    }

    /// Returns how many bytes the recording of an attempt may bring.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn byte_bounds(&self, attempt: AttemptId) -> Result<ByteBounds, RegistryError> {
        let cell = self.cell(attempt).await?;
        let state = cell.state.lock().await;
        let allowed = state.gate.memory().allowed;
        Ok(ByteBounds::of(&state.facts.bandwidth, allowed)?)
    }

    /// Refuses an agent's key where the epoch has as many as it may: each start of an agent brings
    /// one, and the manifest names them all. An agent that ends again and again is let in later.
    ///
    /// # Errors
    /// `TooMany` with the time to wait, or the database failed.
    pub(super) async fn one_more_key(
        &self,
        state: &CellState,
        key: PublicKey,
    ) -> Result<(), RegistryError> {
        let (attempt, epoch) = (state.facts.attempt, state.epoch);
        let (keys, known): (i64, i64) = qorgan_store::query_as(
            "SELECT COUNT(*), COUNT(CASE WHEN key = $3 THEN 1 END) FROM agent_certificates \
             WHERE attempt_id = $1 AND epoch = $2",
        )
        .bind(attempt.to_string())
        .bind(i64::from(epoch.0))
        .bind(key.0.as_slice())
        .fetch_one(self.inner.store.read())
        .await?;
        let wall = self.inner.clock.wall();
        let mut change = Change::begin(self, state, epoch, wall).await?;
        if known > 0 || keys < keys_max(change.epoch_lasts()) {
            return Ok(());
        }
        let detail = format!("{keys} agents were started in one epoch; the next one has to wait");
        change
            .note_again(IncidentKind::AgentRestarted, &detail)
            .await?;
        change.commit().await?;
        let mut problem = RegistryError::refuse(ProblemCode::TooMany, detail).problem();
        problem.retry_after_s = Some(60);
        Err(RegistryError::Problem { problem })
    }

    /// Tells whether an attempt may leave one more; where it may not, an incident says so.
    pub(super) async fn room(
        &self,
        change: &mut Change<'_>,
        kept: Kept,
    ) -> Result<bool, RegistryError> {
        let rows: i64 = qorgan_store::query_scalar(kept.sql())
            .bind(change.attempt().to_string())
            .fetch_one(&mut *change.tx)
            .await?;
        if rows < kept.most() {
            return Ok(true);
        }
        change
            .note_again(IncidentKind::NotWatched, kept.detail())
            .await?;
        Ok(false)
    }

    /// Tells the same of one more of each, before a change is begun that is not to be made without room.
    pub(super) async fn room_first(
        &self,
        state: &mut CellState,
        kept: &[Kept],
    ) -> Result<bool, RegistryError> {
        let wall = self.inner.clock.wall();
        let mut change = Change::begin(self, state, state.epoch, wall).await?;
        for one in kept {
            if !self.room(&mut change, *one).await? {
                state.open_incidents = change.commit().await?;
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Returns how many agent keys an epoch may have: sixteen, one more each five minutes, and never so
/// many that a manifest grows out of hand.
fn keys_max(lasts: Duration) -> i64 {
    let more = lasts.as_secs() / KEY_EVERY.as_secs();
    let more = i64::try_from(more).unwrap_or(i64::MAX);
    KEYS_AT_ONCE.saturating_add(more).min(KEYS_MAX)
}

/// Check-in, pauses and delivery beside the time allowed.
const AROUND: Duration = Duration::from_secs(2 * 60 * 60);
/// What an outage of a quarter of an hour leaves in a spool, at four times the standard.
const BURST_BYTES: u64 = 128 * 1024 * 1024;
/// A client that is started anew checks in once; a start takes some seconds.
const CHECK_INS_AT_ONCE: u32 = 20;
const CHECK_IN_EVERY: Duration = Duration::from_secs(15);
const KEYS_AT_ONCE: i64 = 16;
const KEYS_MAX: i64 = 256;
const KEY_EVERY: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_ins_are_free_at_first_and_then_come_one_at_a_time() {
        let (mut check_ins, now) = (CheckIns::default(), Now::default());
        for _start in 0..CHECK_INS_AT_ONCE {
            check_ins.take(now).expect("a client may be started anew");
        }
        for _again in 0..100 {
            assert_eq!(check_ins.take(now), Err(CHECK_IN_EVERY));
        }
        let later = now + CHECK_IN_EVERY;
        check_ins.take(later).expect("one is free");
        assert_eq!(check_ins.take(later), Err(CHECK_IN_EVERY));
        let all = later + CHECK_IN_EVERY * CHECK_INS_AT_ONCE;
        for _start in 0..CHECK_INS_AT_ONCE {
            check_ins.take(all).expect("all are free again");
        }
    }

    #[test]
    fn an_agent_that_ends_all_the_time_is_let_in_again_and_keys_stay_few() {
        let minutes = |n: u64| keys_max(Duration::from_secs(60 * n));
        assert_eq!(minutes(0), 16);
        assert_eq!(minutes(5), 17);
        assert_eq!(minutes(180), 52);
        assert_eq!(minutes(u64::MAX / 60), 256);
    }
}
