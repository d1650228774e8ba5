//! What the server holds in memory for one attempt.

use std::collections::BTreeMap;
use std::sync::Arc;

use qorgan_protocol::attempt::{
    AttemptPhase, Backlog, Entry, GateMemory, ItemPace, LeaseRecord, StartGate,
};
use qorgan_protocol::crypto::{PublicKey, Sha256};
use qorgan_protocol::evidence::StreamId;
use qorgan_protocol::ids::{AttemptId, BootId, Epoch, ExamId, IncidentId, PersonId, TestId};
use qorgan_protocol::incident::{IncidentKind, WatchPolicy};
use qorgan_protocol::time::{Now, WallTime};
use qorgan_protocol::wire::{Accommodation, GateLine, IdentityState};
use qorgan_signing::SecretKey;
use tokio::sync::{Mutex, broadcast, watch};

use super::command::AgentCommand;
use super::machine::MachineStanding;
use super::presence::Presence;
use super::quota::CheckIns;

/// The machine that an attempt is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The device's lasting key.
    pub device_key: PublicKey,
    /// The run of its kernel.
    pub boot: BootId,
}

/// What is fixed about an attempt.
#[derive(Debug, Clone)]
pub(crate) struct AttemptFacts {
    pub(crate) attempt: AttemptId,
    pub(crate) person: PersonId,
    pub(crate) exam: ExamId,
    pub(crate) title: String,
    pub(crate) opens: WallTime,
    pub(crate) closes: WallTime,
    pub(crate) admitted: bool,
    pub(crate) reason: String,
    pub(crate) accommodation: Accommodation,
    /// What is watched for; fixed at check-in.
    pub(crate) watch: WatchPolicy,
    pub(crate) bandwidth: String,
    pub(crate) deny_processes: Vec<String>,
    pub(crate) allow_processes: Vec<String>,
}

impl AttemptFacts {
    /// Returns what decides whether the candidate may come, as it was read last.
    pub(crate) const fn entry(&self) -> Entry {
        Entry {
            admitted: self.admitted,
            opens: self.opens,
            closes: self.closes,
        }
    }
}

/// Who saw an incident. Kiosk and agent see one event together; what the server saw is its own, and
/// no word of a machine ends it or counts as it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Witness {
    Server,
    Machine,
}

/// What is merged while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IncidentKey {
    pub(crate) kind: IncidentKind,
    pub(crate) stream: Option<StreamId>,
    pub(crate) witness: Witness,
}

/// An incident that still lasts.
#[derive(Debug, Clone)]
pub(crate) struct OpenIncident {
    pub(crate) id: IncidentId,
    pub(crate) observations: u32,
    pub(crate) last: WallTime,
}

pub(crate) type OpenIncidents = BTreeMap<IncidentKey, OpenIncident>;

/// The changing part of one attempt.
#[derive(Debug)]
pub(crate) struct CellState {
    pub(crate) facts: AttemptFacts,
    pub(crate) key: Arc<SecretKey>,
    pub(crate) gate: StartGate,
    /// When leases were valid.
    pub(crate) leases: LeaseRecord,
    /// Which items were seen, and how many may be opened now.
    pub(crate) pace: ItemPace,
    /// Being sealed, or sealed: nothing is taken that the manifest would not hold.
    pub(crate) sealing: bool,
    /// Somebody seals it at this moment.
    pub(crate) sealer: bool,
    /// When late responses were noted last.
    pub(crate) late_noted: Option<Now>,
    pub(crate) epoch: Epoch,
    pub(crate) binding: Option<Binding>,
    pub(crate) instance: Option<[u8; 16]>,
    pub(crate) test: Option<TestId>,
    pub(crate) language: String,
    pub(crate) hand_raised: bool,
    pub(crate) messages: u64,
    pub(crate) journal_next: u64,
    pub(crate) moves_open: u64,
    pub(crate) freshness_key: Option<[u8; 32]>,
    pub(crate) heads: BTreeMap<StreamId, Sha256>,
    pub(crate) recorded_us: u64,
    pub(crate) backlog: Backlog,
    pub(crate) open_incidents: OpenIncidents,
    /// Where the check of the bound machine stands.
    pub(crate) machine: MachineStanding,
    /// What a person typed for the candidate at the newest decision on the identity.
    pub(crate) identity_reason: Option<String>,
    /// Who speaks for the attempt, and from where.
    pub(crate) presence: Presence,
    /// How often its machine may check in.
    pub(crate) check_ins: CheckIns,
    pub(crate) saved: GateMemory,
    pub(crate) saved_at: Now,
    pub(crate) shown: Shown,
    pub(crate) version: u64,
}

/// What a change of raises the view's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    phase: AttemptPhase,
    lines: Vec<GateLine>,
    open: bool,
    leased: bool,
    identity: IdentityState,
    proctor_opened: bool,
    code: Option<[u8; 16]>,
    hand_raised: bool,
    messages: u64,
    epoch: Epoch,
    allowed: core::time::Duration,
    moves_open: u64,
}

impl CellState {
    /// Returns what the view shows at `now`.
    pub(crate) fn shown_at(&self, now: Now) -> Shown {
        Self::shown_of(
            &self.gate,
            now,
            (self.hand_raised, self.messages, self.epoch, self.moves_open),
        )
    }

    pub(crate) fn shown_of(
        gate: &StartGate,
        now: Now,
        (hand_raised, messages, epoch, moves_open): (bool, u64, Epoch, u64),
    ) -> Shown {
        let memory = gate.memory();
        Shown {
            phase: gate.phase(),
            lines: gate.lines(now),
            open: gate.open(now),
            leased: gate.lease(now).is_some(),
            identity: memory.identity,
            proctor_opened: memory.proctor_opened,
            code: gate.asked_code().map(|code| code.nonce),
            hand_raised,
            messages,
            epoch,
            allowed: memory.allowed,
            moves_open,
        }
    }
}

/// One attempt: its state, and those who wait for its changes.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) state: Mutex<CellState>,
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) commands: broadcast::Sender<AgentCommand>,
}

/// Commands that wait for a slow link; full: the oldest is dropped, and the link sees the lag.
pub(crate) const COMMANDS_MAX: usize = 64;
