//! A gate, its moments, and an agent that only seems to stream.

use super::super::*;
use crate::stream::SourceKind;
use crate::stream::{SourceState, StreamKind};

pub(super) const CAMERA: StreamId = stream(StreamKind::Camera, 0);
pub(super) const MICROPHONE: StreamId = stream(StreamKind::Microphone, 0);
pub(super) const SCREEN: StreamId = stream(StreamKind::Screen, 0);
pub(super) const SECOND_SCREEN: StreamId = stream(StreamKind::Screen, 1);
pub(super) const ALLOWED: Duration = Duration::from_secs(1_200);

/// A start in an open sitting by an admitted candidate.
pub(super) const START: GateInput = GateInput::Start(Entry {
    admitted: true,
    opens: WallTime::from_unix_ms(0),
    closes: WallTime::from_unix_ms(i64::MAX),
});

pub(super) struct World {
    pub(super) gate: StartGate,
    pub(super) at: Moment,
}

impl World {
    pub(super) fn new(policy: GatePolicy) -> Self {
        let at = Moment {
            now: Now::from_origin(Duration::from_secs(100)),
            wall: WallTime::from_unix_ms(1_790_000_000_000),
            random: Some(Randomness {
                nonce: [7; 16],
                delay: 0,
            }),
        };
        let gate = StartGate::new(policy, GateMemory::scheduled(ALLOWED), at);
        Self { gate, at }
    }

    pub(super) fn ready(policy: GatePolicy) -> Self {
        let mut world = Self::new(policy);
        world.input(GateInput::CheckIn).expect("scheduled");
        for task in [
            CheckInTask::Consent,
            CheckInTask::SystemCheck,
            CheckInTask::Identity,
            CheckInTask::Instruction,
        ] {
            world.input(GateInput::Task(task)).expect("in check-in");
        }
        world.input(GateInput::LinkUp).expect("always taken");
        world
    }

    pub(super) fn running(policy: GatePolicy) -> Self {
        let mut world = Self::ready(policy);
        world.state_devices(SourceKind::Device);
        world.all_live();
        world.input(GateInput::Contact).expect("always taken");
        world.input(START).expect("everything is live");
        world
    }

    pub(super) fn input(&mut self, input: GateInput) -> Result<(), GateError> {
        self.gate.handle(self.at, input)
    }

    pub(super) fn pass(&mut self, ms: u64) {
        let passed = Duration::from_millis(ms);
        self.at.now = self.at.now + passed;
        self.at.wall = self.at.wall.after(passed);
        self.gate.tick(self.at);
    }

    pub(super) fn alive_for_a_second(&mut self) {
        self.pass(1_000);
        self.input(GateInput::Contact).expect("always taken");
        self.all_live();
    }

    pub(super) fn state(&mut self, source: StreamId, kind: SourceKind) {
        self.input(GateInput::Stated(vec![statement(source, kind)]))
            .expect("always taken");
    }

    pub(super) fn state_devices(&mut self, kind: SourceKind) {
        for source in [CAMERA, MICROPHONE, SCREEN] {
            self.state(source, kind);
        }
    }

    pub(super) fn beat(&mut self, live: &[StreamId]) {
        let (health, current) = (health(live), Vec::new());
        self.input(GateInput::Beat { health, current })
            .expect("always taken");
    }

    pub(super) fn media(&mut self, source: StreamId) {
        self.input(GateInput::Media(source)).expect("always taken");
    }

    pub(super) fn all_live(&mut self) {
        let all = [CAMERA, MICROPHONE, SCREEN];
        self.beat(&all);
        for source in all {
            self.media(source);
        }
    }

    pub(super) fn leased(&self) -> bool {
        self.gate.lease(self.at.now).is_some()
    }

    pub(super) fn cause(&self) -> Option<PauseCause> {
        if let AttemptPhase::Paused { cause, .. } = self.gate.phase() {
            Some(cause)
        } else {
            None
        }
    }

    pub(super) fn missed(&mut self) -> usize {
        let mut missed = 0;
        while let Some(output) = self.gate.poll() {
            missed += usize::from(matches!(output, GateOutput::CodeMissed(_)));
        }
        missed
    }
}

const fn stream(kind: StreamKind, index: u8) -> StreamId {
    StreamId { kind, index }
}

pub(super) fn statement(source: StreamId, kind: SourceKind) -> SourceStatement {
    SourceStatement {
        source,
        kind,
        driver: "test".to_owned(),
        label: "test".to_owned(),
    }
}

pub(super) fn health(live: &[StreamId]) -> Vec<SourceHealth> {
    let line = |source: &StreamId| SourceHealth {
        source: *source,
        state: SourceState::Live,
        newest: None,
    };
    live.iter().map(line).collect()
}
