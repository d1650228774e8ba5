//! What the server itself has seen of an agent's sources. A claim alone makes nothing live.

use core::time::Duration;
use std::collections::BTreeMap;

use super::policy::GatePolicy;
use crate::attempt::{GateLine, GateLineState};
use crate::stream::{SourceHealth, SourceState, StreamId, StreamKind};
use crate::stream::{SourceKind, SourceStatement};
use crate::time::Now;

/// One source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Source {
    stated: Option<SourceKind>,
    health: Option<SourceState>,
    evidence: Option<Now>,
}

/// Every source of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sources {
    known: BTreeMap<StreamId, Source>,
    beat: Option<Now>,
    link: bool,
}

impl Sources {
    pub(super) const fn link_up(&mut self) {
        self.link = true;
    }

    pub(super) const fn link_down(&mut self) {
        self.link = false;
    }

    pub(super) const fn linked(&self) -> bool {
        self.link
    }

    /// Forgets what was seen and keeps what was stated: everything must be seen again.
    pub(super) fn unsee(&mut self) {
        self.beat = None;
        for source in self.known.values_mut() {
            source.health = None;
            source.evidence = None;
        }
    }

    /// Takes the agent's statements. A source whose kind changes must be seen again.
    pub(super) fn stated(&mut self, statements: &[SourceStatement]) {
        for statement in statements {
            let source = self.known.entry(statement.source).or_default();
            if source.stated != Some(statement.kind) {
                source.evidence = None;
            }
            source.stated = Some(statement.kind);
        }
    }

    /// Takes a verified beat: its health lines, and the streams whose newest stored chunk it names.
    pub(super) fn beat(&mut self, now: Now, health: &[SourceHealth], current: &[StreamId]) {
        self.beat = Some(now);
        for source in self.known.values_mut() {
            source.health = None;
        }
        for line in health {
            self.known.entry(line.source).or_default().health = Some(line.state);
        }
        for stream in current {
            if stream.kind == StreamKind::Screen {
                self.media(now, *stream);
            }
        }
    }

    /// Takes verified samples of a source. They count only where a statement says what feeds it and
    /// the newest beat says that it is live.
    pub(super) fn media(&mut self, now: Now, stream: StreamId) {
        let Some(source) = self.known.get_mut(&stream) else {
            return;
        };
        if source.stated.is_some() && source.health == Some(SourceState::Live) {
            source.evidence = Some(now);
        }
    }

    /// Returns the age-deciding moment: the oldest of the newest evidence of everything that the
    /// policy requires; `None` where something was never seen or is not allowed.
    pub(super) fn oldest_evidence(&self, policy: &GatePolicy, now: Now) -> Option<Now> {
        let required = policy.required();
        if required.is_empty() {
            return Some(now);
        }
        let mut oldest = self.beat?;
        for kind in required {
            oldest = oldest.min(self.evidence(policy, kind)?);
        }
        Some(oldest)
    }

    /// Tells whether everything required is live now.
    //= tests/data/sop-2-28.md#10-start-gate
    pub(super) fn all_live(&self, policy: &GatePolicy, now: Now) -> bool {
        let required = policy.required();
        required.is_empty()
            || required
                .into_iter()
                .all(|kind| self.live(policy, kind, now))
    }

    /// Tells whether there are no more displays than allowed.
    pub(super) fn displays_allowed(&self, policy: &GatePolicy) -> bool {
        !policy.required().contains(&StreamKind::Screen)
            || self.displays().count() <= usize::from(policy.displays_max)
    }

    /// Returns how every required source stands.
    pub(super) fn lines(&self, policy: &GatePolicy, now: Now) -> Vec<GateLine> {
        let line = |source| GateLine {
            source,
            state: self.line(policy, source, now),
        };
        policy.required().into_iter().map(line).collect()
    }

    fn line(&self, policy: &GatePolicy, kind: StreamKind, now: Now) -> GateLineState {
        let too_many = kind == StreamKind::Screen && !self.displays_allowed(policy);
        let forbidden = self.of_kind(kind).any(|source| !allowed(policy, source));
        if too_many {
            GateLineState::NotAllowed
        } else if self.live(policy, kind, now) {
            GateLineState::Live
        } else if forbidden {
            GateLineState::NotAllowed
        } else if self.of_kind(kind).any(|source| source.evidence.is_some()) {
            GateLineState::Lost
        } else {
            GateLineState::Waiting
        }
    }

    fn live(&self, policy: &GatePolicy, kind: StreamKind, now: Now) -> bool {
        let fresh = |at: Option<Now>| at.is_some_and(|at| now.since(at) <= LIVE_AGE_MAX);
        self.link && fresh(self.beat) && fresh(self.evidence(policy, kind))
    }

    /// The newest evidence of a kind; of displays, every one that is there must have its own.
    fn evidence(&self, policy: &GatePolicy, kind: StreamKind) -> Option<Now> {
        let usable = |source: &Source| {
            if allowed(policy, source) {
                source.evidence
            } else {
                None
            }
        };
        match kind {
            StreamKind::Screen => {
                let older = |a: Option<Now>, b: Option<Now>| Some(a?.min(b?));
                self.displays().map(usable).reduce(older).flatten()
            }
            StreamKind::Camera | StreamKind::Microphone | StreamKind::Events => {
                self.of_kind(kind).filter_map(usable).max()
            }
        }
    }

    fn displays(&self) -> impl Iterator<Item = &Source> {
        self.of_kind(StreamKind::Screen)
            .filter(|source| match source.health {
                None | Some(SourceState::Missing | SourceState::Unplugged) => false,
                Some(
                    SourceState::Live
                    | SourceState::Opening
                    | SourceState::Busy
                    | SourceState::Denied
                    | SourceState::Stalled
                    | SourceState::Unsupported,
                ) => true,
            })
    }

    fn of_kind(&self, kind: StreamKind) -> impl Iterator<Item = &Source> {
        self.known
            .iter()
            .filter(move |(stream, _source)| stream.kind == kind)
            .map(|(_stream, source)| source)
    }
}

fn allowed(policy: &GatePolicy, source: &Source) -> bool {
    match source.stated {
        None | Some(SourceKind::Device) => true,
        Some(SourceKind::Simulated) => policy.simulated_sources,
    }
}

/// Evidence older than this makes nothing live.
pub(super) const LIVE_AGE_MAX: Duration = Duration::from_secs(3);
