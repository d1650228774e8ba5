//! Every order of events under every policy.

use proptest::prelude::*;

use super::super::*;
use super::world::{CAMERA, MICROPHONE, SCREEN, SECOND_SCREEN, START, World, health, statement};
use crate::attempt::policy::Grace;
use crate::attempt::rule::MachinePolicy;
use crate::attempt::{Pace, PauseCredit};
use crate::incident::{Allowance, WatchPolicy};
use crate::stream::SourceKind;
use crate::stream::{SourceState, StreamKind};

fn policies() -> impl Strategy<Value = GatePolicy> {
    let kinds = proptest::sample::subsequence(StreamKind::ALL.to_vec(), 0..=4);
    let bools = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    );
    let graces = (0_u64..60_000, 0_u64..60_000);
    let watch = proptest::sample::select(vec![
        WatchPolicy::remote(),
        WatchPolicy::on_site(),
        WatchPolicy::remote().granting(&Allowance::ALL),
    ]);
    (any::<bool>(), kinds, 0_u8..3, bools, graces, watch).prop_map(
        |(remote, required_on_site, displays_max, bools, (agent_ms, network_ms), watch)| {
            GatePolicy {
                mode: if remote {
                    GateMode::Remote
                } else {
                    GateMode::OnSite
                },
                required_on_site,
                displays_max,
                simulated_sources: bools.0,
                proctor_opens: bools.1,
                identity_before_start: bools.2,
                freshness: bools.3,
                credit_covered_time: bools.4,
                pause_credit: PauseCredit {
                    agent_ms: agent_ms / 4,
                    source_ms: network_ms / 4,
                    ..PauseCredit::DEFAULT
                },
                identity_document: bools.5,
                grace: Grace {
                    agent_ms,
                    network_ms,
                },
                late_delivery_ms_max: 60_000,
                nested_display: crate::attempt::MachineRule::Refuse,
                monitor_microphone: crate::attempt::MachineRule::Refuse,
                watch,
                pace: Pace::DEFAULT,
                machine: MachinePolicy::DEFAULT,
            }
        },
    )
}

fn sources() -> impl Strategy<Value = StreamId> {
    proptest::sample::select(vec![CAMERA, MICROPHONE, SCREEN, SECOND_SCREEN])
}

fn inputs() -> impl Strategy<Value = (u64, GateInput)> {
    let states = [
        SourceState::Live,
        SourceState::Live,
        SourceState::Unplugged,
        SourceState::Stalled,
    ];
    let line =
        (sources(), proptest::sample::select(states.to_vec())).prop_map(|(source, state)| {
            SourceHealth {
                source,
                state,
                newest: None,
            }
        });
    let beat = (
        proptest::collection::vec(line, 0..6),
        proptest::collection::vec(sources(), 0..3),
    )
        .prop_map(|(health, current)| GateInput::Beat { health, current });
    let all = Just(GateInput::Beat {
        health: health(&[CAMERA, MICROPHONE, SCREEN]),
        current: vec![SCREEN],
    });
    let stated = (sources(), any::<bool>()).prop_map(|(source, device)| {
        let kind = if device {
            SourceKind::Device
        } else {
            SourceKind::Simulated
        };
        GateInput::Stated(vec![statement(source, kind)])
    });
    let tasks = [
        CheckInTask::Consent,
        CheckInTask::SystemCheck,
        CheckInTask::Identity,
        CheckInTask::Instruction,
    ];
    let input = prop_oneof![
        6 => sources().prop_map(GateInput::Media),
        3 => beat,
        3 => all,
        3 => stated,
        2 => Just(GateInput::LinkUp),
        1 => Just(GateInput::LinkDown),
        3 => Just(START),
        2 => Just(GateInput::Contact),
        2 => Just(GateInput::ProctorOpens),
        2 => any::<bool>().prop_map(|approved| GateInput::Identity { approved }),
        1 => Just(GateInput::IdentityAgain),
        1 => Just(GateInput::RefusalTakenBack),
        2 => proptest::sample::select(tasks.to_vec()).prop_map(GateInput::Task),
        1 => Just(GateInput::CheckIn),
        1 => Just(GateInput::Pause),
        1 => Just(GateInput::Resume),
        1 => Just(GateInput::CodeFound),
        1 => Just(GateInput::Moved),
        1 => Just(GateInput::Distrust),
        1 => Just(GateInput::Submit),
        1 => Just(GateInput::Terminate(TerminationCause::Proctor)),
    ];
    (prop_oneof![3 => 0_u64..400, 1 => 0_u64..9_000], input)
}

/// A second, simpler reckoning of what was seen: the newest time of each source, by the words of
/// the rule and not by the machine's code.
#[derive(Debug, Default)]
struct Witness {
    stated: Vec<(StreamId, SourceKind)>,
    health: Vec<SourceHealth>,
    seen: Vec<(StreamId, Now)>,
    beat: Option<Now>,
    held: bool,
    started: bool,
    person: Person,
}

/// What is known of the person who sits there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Person {
    #[default]
    Unseen,
    Approved,
    NotRefused,
    Doubted,
}

impl Person {
    fn doubted(self) -> Self {
        if self == Self::Unseen {
            self
        } else {
            Self::Doubted
        }
    }
}

impl Witness {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is not named here is no evidence"
    )]
    fn watch(&mut self, now: Now, input: &GateInput, taken: bool) {
        match input {
            GateInput::Stated(statements) => {
                for one in statements {
                    let before = self.stated.iter().find(|(s, _)| *s == one.source);
                    if before.is_none_or(|(_, kind)| *kind != one.kind) {
                        self.seen.retain(|(s, _)| *s != one.source);
                    }
                    self.stated.retain(|(s, _)| *s != one.source);
                    self.stated.push((one.source, one.kind));
                }
            }
            GateInput::Beat { health, current } => {
                self.health.clone_from(health);
                self.beat = Some(now);
                for screen in current.iter().filter(|s| s.kind == StreamKind::Screen) {
                    self.see(now, *screen);
                }
            }
            GateInput::Media(source) => self.see(now, *source),
            GateInput::Distrust => {
                self.seen.clear();
                self.health.clear();
                self.beat = None;
            }
            GateInput::Moved => {
                let (held, started) = (self.held, self.started);
                *self = Self {
                    held,
                    started,
                    person: self.person.doubted(),
                    ..Self::default()
                };
            }
            GateInput::Identity { approved: true } => self.person = Person::Approved,
            GateInput::Identity { approved: false } => self.person = Person::Doubted,
            GateInput::IdentityAgain if taken => self.person = self.person.doubted(),
            GateInput::RefusalTakenBack if taken => self.person = Person::NotRefused,
            GateInput::Task(CheckInTask::Identity) if taken && self.person == Person::Unseen => {
                self.person = Person::NotRefused;
            }
            GateInput::Pause if taken => self.held = true,
            GateInput::Resume if taken => self.held = false,
            GateInput::Start(_) if taken => self.started = true,
            _ => {}
        }
    }

    fn recognised(&self, policy: &GatePolicy) -> bool {
        match self.person {
            Person::Approved => true,
            Person::NotRefused => !policy.identity_before_start,
            Person::Unseen | Person::Doubted => false,
        }
    }

    fn see(&mut self, now: Now, source: StreamId) {
        let stated = self.stated.iter().any(|(s, _)| *s == source);
        let newest = self.health.iter().rev().find(|line| line.source == source);
        if stated && newest.is_some_and(|line| line.state == SourceState::Live) {
            self.seen.push((source, now));
        }
    }

    fn vouches(&self, policy: &GatePolicy, now: Now) -> bool {
        let grace = Duration::from_millis(policy.grace.agent_ms.min(5_000));
        let fresh = |at: Now| now.since(at) < grace;
        let allowed = |source: StreamId| {
            let kind = self
                .stated
                .iter()
                .find(|(s, _)| *s == source)
                .map(|(_, kind)| *kind);
            kind == Some(SourceKind::Device)
                || (kind == Some(SourceKind::Simulated) && policy.simulated_sources)
        };
        let seen = |kind: StreamKind| {
            self.seen
                .iter()
                .any(|(s, at)| s.kind == kind && fresh(*at) && allowed(*s))
        };
        let required: Vec<_> = match policy.mode {
            GateMode::Remote => StreamKind::ALL[..3].to_vec(),
            GateMode::OnSite => policy.required_on_site.clone(),
        };
        let required = required
            .into_iter()
            .filter(|kind| *kind != StreamKind::Events);
        let mut required = required.peekable();
        let none = required.peek().is_none();
        none || (self.beat.is_some_and(fresh) && required.all(seen))
    }
}

/// `PROPTEST_CASES` asks for more: a million before a release.
fn cases() -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = asked.cases.max(3_000);
    ProptestConfig { cases, ..asked }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    //= tests/data/sop-2-28.md#10-start-gate
    //= type=test
    fn no_order_of_events_under_any_policy_leases_without_every_required_source(
        policy in policies(),
        from_ready in any::<bool>(),
        steps in proptest::collection::vec(inputs(), 1..120),
    ) {
        let mut world = if from_ready { World::ready(policy.clone()) } else { World::new(policy.clone()) };
        let mut witness = Witness {
            person: if from_ready { Person::NotRefused } else { Person::Unseen },
            ..Witness::default()
        };
        for (pause_ms, input) in steps {
            world.pass(pause_ms);
            let taken = world.input(input.clone()).is_ok();
            witness.watch(world.at.now, &input, taken);
            if world.leased() {
                prop_assert!(world.gate.phase().shows_items());
                prop_assert!(witness.started && !witness.held);
                prop_assert!(witness.recognised(&policy));
                prop_assert!(witness.vouches(&policy, world.at.now), "{witness:?}");
            }
            let memory = world.gate.memory();
            prop_assert!(memory.spent <= memory.allowed);
            let lease = world.gate.lease(world.at.now);
            let left = lease.map_or(Duration::ZERO, |lease| lease.left(world.at.now));
            prop_assert!(left <= Duration::from_secs(5));
        }
    }
}
