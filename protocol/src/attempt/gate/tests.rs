use proptest::prelude::*;

use super::*;
use crate::attempt::policy::Grace;
use crate::evidence::SourceState;
use crate::link::SourceKind;
use crate::wire::GateLineState;

const CAMERA: StreamId = stream(StreamKind::Camera, 0);
const MICROPHONE: StreamId = stream(StreamKind::Microphone, 0);
const SCREEN: StreamId = stream(StreamKind::Screen, 0);
const SECOND_SCREEN: StreamId = stream(StreamKind::Screen, 1);

#[test]
//= tests/data/sop-2-28.md#10-start-gate
//= type=test
fn the_gate_stays_closed_until_camera_microphone_and_screen_are_seen() {
    let mut world = World::ready(GatePolicy::remote());
    assert_eq!(world.input(GateInput::Start), Err(GateError::Closed));
    world.state_devices(SourceKind::Device);
    world.beat(&[CAMERA, MICROPHONE, SCREEN]);
    assert_eq!(world.input(GateInput::Start), Err(GateError::Closed));
    for seen in [CAMERA, SCREEN] {
        world.media(seen);
        assert_eq!(world.input(GateInput::Start), Err(GateError::Closed));
    }
    world.media(MICROPHONE);
    assert_eq!(world.input(GateInput::Start), Ok(()));
    assert!(world.leased());
}

#[test]
fn samples_without_a_statement_count_for_nothing() {
    let mut world = World::ready(GatePolicy::remote());
    world.all_live();
    assert_eq!(world.input(GateInput::Start), Err(GateError::Closed));
}

#[test]
fn simulated_sources_count_only_where_the_policy_allows_them() {
    let mut world = World::ready(GatePolicy::remote());
    world.state_devices(SourceKind::Simulated);
    world.all_live();
    assert_eq!(world.input(GateInput::Start), Err(GateError::Closed));
    let lines = world.gate.lines(world.at.now);
    assert!(
        lines
            .iter()
            .all(|line| line.state == GateLineState::NotAllowed)
    );
    let mut world = World::ready(GatePolicy {
        simulated_sources: true,
        ..GatePolicy::remote()
    });
    world.state_devices(SourceKind::Simulated);
    world.all_live();
    assert_eq!(world.input(GateInput::Start), Ok(()));
}

#[test]
fn a_source_that_turns_simulated_covers_at_once() {
    let mut world = World::running(GatePolicy::remote());
    world.state_devices(SourceKind::Simulated);
    assert_eq!(world.cause(), Some(PauseCause::SourceLost));
}

#[test]
fn a_killed_agent_covers_within_five_seconds_and_its_return_uncovers() {
    let mut world = World::running(GatePolicy::remote());
    world.input(GateInput::LinkDown).expect("always taken");
    for _second in 0..4 {
        world.pass(1_000);
        world.input(GateInput::Contact).expect("always taken");
        assert!(world.leased());
    }
    world.pass(1_000);
    world.input(GateInput::Contact).expect("always taken");
    assert!(!world.leased());
    assert_eq!(world.cause(), Some(PauseCause::AgentLost));
    world.input(GateInput::LinkUp).expect("always taken");
    world.all_live();
    assert!(world.leased());
}

#[test]
fn a_lost_device_covers_and_names_the_source() {
    let mut world = World::running(GatePolicy::remote());
    for _second in 0..6 {
        world.pass(1_000);
        world.input(GateInput::Contact).expect("always taken");
        world.beat(&[CAMERA, SCREEN]);
        world.media(CAMERA);
        world.media(SCREEN);
    }
    assert_eq!(world.cause(), Some(PauseCause::SourceLost));
    let lines = world.gate.lines(world.at.now);
    assert_eq!(lines[1].state, GateLineState::Lost);
}

#[test]
fn a_lost_network_is_covered_after_its_own_grace_but_leases_nothing_meanwhile() {
    let mut world = World::running(GatePolicy::remote());
    world.input(GateInput::LinkDown).expect("always taken");
    for second in 1..20 {
        world.pass(1_000);
        assert_eq!(world.cause(), None, "after {second} s");
        assert_eq!(world.leased(), second < 5, "after {second} s");
    }
    world.pass(1_000);
    assert_eq!(world.cause(), Some(PauseCause::NetworkLost));
}

#[test]
fn a_second_display_covers_at_once() {
    let mut world = World::running(GatePolicy::remote());
    world.state(SECOND_SCREEN, SourceKind::Device);
    world.beat(&[CAMERA, MICROPHONE, SCREEN, SECOND_SCREEN]);
    assert_eq!(world.cause(), Some(PauseCause::Displays));
    world.all_live();
    assert!(world.leased());
}

#[test]
fn every_display_must_be_seen() {
    let mut world = World::ready(GatePolicy {
        displays_max: 2,
        ..GatePolicy::remote()
    });
    world.state_devices(SourceKind::Device);
    world.state(SECOND_SCREEN, SourceKind::Device);
    world.beat(&[CAMERA, MICROPHONE, SCREEN, SECOND_SCREEN]);
    for seen in [CAMERA, MICROPHONE, SCREEN] {
        world.media(seen);
    }
    assert_eq!(world.input(GateInput::Start), Err(GateError::Closed));
    world.media(SECOND_SCREEN);
    assert_eq!(world.input(GateInput::Start), Ok(()));
}

#[test]
fn a_still_screen_is_live_while_beats_name_its_newest_chunk() {
    let mut world = World::running(GatePolicy {
        freshness: false,
        ..GatePolicy::remote()
    });
    for _second in 0..30 {
        world.pass(1_000);
        let health = health(&[CAMERA, MICROPHONE, SCREEN]);
        let current = vec![CAMERA, SCREEN];
        world
            .input(GateInput::Beat { health, current })
            .expect("always taken");
        world.media(CAMERA);
        world.media(MICROPHONE);
        assert!(world.leased());
    }
}

#[test]
fn a_camera_that_sends_nothing_new_is_not_live() {
    let mut world = World::running(GatePolicy::remote());
    for _second in 0..6 {
        world.pass(1_000);
        world.input(GateInput::Contact).expect("always taken");
        let health = health(&[CAMERA, MICROPHONE, SCREEN]);
        let current = vec![CAMERA, SCREEN];
        world
            .input(GateInput::Beat { health, current })
            .expect("always taken");
        world.media(MICROPHONE);
    }
    assert!(!world.leased());
}

#[test]
fn an_on_site_gate_waits_for_its_proctor() {
    let mut world = World::ready(GatePolicy::on_site());
    world.state_devices(SourceKind::Device);
    world.all_live();
    assert_eq!(world.input(GateInput::Start), Err(GateError::Closed));
    assert!(world.gate.waits_for_proctor());
    world.input(GateInput::ProctorOpens).expect("always taken");
    assert_eq!(world.input(GateInput::Start), Ok(()));
}

#[test]
fn identity_must_be_approved_where_the_policy_says_so() {
    let mut world = World::ready(GatePolicy {
        identity_before_start: true,
        ..GatePolicy::remote()
    });
    world.state_devices(SourceKind::Device);
    world.all_live();
    assert_eq!(world.input(GateInput::Start), Err(GateError::Closed));
    world
        .input(GateInput::Identity { approved: false })
        .expect("always taken");
    assert_eq!(world.input(GateInput::Start), Err(GateError::Closed));
    world
        .input(GateInput::Task(CheckInTask::Identity))
        .expect("shown again");
    assert_eq!(world.gate.memory().identity, IdentityState::Waiting);
    world
        .input(GateInput::Identity { approved: true })
        .expect("always taken");
    assert_eq!(world.input(GateInput::Start), Ok(()));
}

#[test]
fn a_proctors_pause_holds_until_it_is_taken_back() {
    let mut world = World::running(GatePolicy::remote());
    world.input(GateInput::Pause).expect("it runs");
    world.all_live();
    assert_eq!(world.cause(), Some(PauseCause::Proctor));
    world.input(GateInput::Resume).expect("it is held");
    assert!(world.leased());
    world.input(GateInput::Resume).expect_err("nothing is held");
}

#[test]
fn a_restarted_server_covers_until_streams_are_seen_again() {
    let world = World::running(GatePolicy::remote());
    let gate = StartGate::new(GatePolicy::remote(), world.gate.memory(), world.at);
    let mut again = World { gate, at: world.at };
    assert_eq!(again.cause(), Some(PauseCause::ServerRestarted));
    again.input(GateInput::LinkUp).expect("always taken");
    again.state_devices(SourceKind::Device);
    again.all_live();
    assert!(again.leased());
}

#[test]
fn a_moved_attempt_is_covered_until_the_new_machine_is_seen() {
    let mut world = World::running(GatePolicy::remote());
    world.input(GateInput::Moved).expect("always taken");
    assert_eq!(world.cause(), Some(PauseCause::Moving));
    world.all_live();
    assert_eq!(world.cause(), Some(PauseCause::Moving));
    world.input(GateInput::LinkUp).expect("always taken");
    world.state_devices(SourceKind::Device);
    world.all_live();
    assert!(world.leased());
}

#[test]
fn two_missed_codes_cover_and_a_found_one_uncovers() {
    let mut world = World::running(GatePolicy::remote());
    let mut missed = 0;
    for _second in 0..110 {
        world.alive_for_a_second();
        missed += world.missed();
        if missed == 2 {
            break;
        }
    }
    assert_eq!(missed, 2);
    assert_eq!(world.cause(), Some(PauseCause::FreshnessMissed));
    world.alive_for_a_second();
    world.input(GateInput::CodeFound).expect("always taken");
    assert!(world.leased());
}

#[test]
fn time_stands_still_under_cover_where_the_policy_credits_it() {
    for (credit, spent_s, credited_s) in [(true, 4, 10), (false, 14, 0)] {
        let mut world = World::running(GatePolicy {
            credit_covered_time: credit,
            freshness: false,
            ..GatePolicy::remote()
        });
        let before = world.gate.memory().spent;
        for _second in 0..4 {
            world.alive_for_a_second();
        }
        world.input(GateInput::Pause).expect("it runs");
        world.pass(10_000);
        let memory = world.gate.memory();
        assert_eq!(memory.spent - before, Duration::from_secs(spent_s));
        assert_eq!(memory.credited, Duration::from_secs(credited_s));
    }
}

#[test]
fn the_deadline_submits() {
    let mut world = World::running(GatePolicy {
        freshness: false,
        ..GatePolicy::remote()
    });
    for _second in 0..ALLOWED.as_secs() {
        world.alive_for_a_second();
    }
    assert!(matches!(world.gate.phase(), AttemptPhase::Submitted { .. }));
    assert!(!world.leased());
}

#[test]
fn a_distrusted_clock_covers_until_streams_are_seen_again() {
    let mut world = World::running(GatePolicy::remote());
    world.input(GateInput::Distrust).expect("always taken");
    assert!(!world.leased());
    world.state_devices(SourceKind::Device);
    world.all_live();
    assert!(world.leased());
}

fn policies() -> impl Strategy<Value = GatePolicy> {
    let kinds = proptest::sample::subsequence(StreamKind::ALL.to_vec(), 0..=4);
    let bools = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    );
    let graces = (0_u64..60_000, 0_u64..60_000);
    (any::<bool>(), kinds, 0_u8..3, bools, graces).prop_map(
        |(remote, required_on_site, displays_max, bools, (agent_ms, network_ms))| GatePolicy {
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
            grace: Grace {
                agent_ms,
                network_ms,
            },
            late_delivery_ms_max: 60_000,
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
        3 => Just(GateInput::Start),
        2 => Just(GateInput::Contact),
        2 => Just(GateInput::ProctorOpens),
        2 => any::<bool>().prop_map(|approved| GateInput::Identity { approved }),
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
}

impl Witness {
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
            GateInput::Moved | GateInput::Distrust => {
                let (held, started) = (self.held, self.started);
                *self = Self {
                    held,
                    started,
                    ..Self::default()
                };
            }
            GateInput::Pause if taken => self.held = true,
            GateInput::Resume if taken => self.held = false,
            GateInput::Start if taken => self.started = true,
            _ => {}
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    //= tests/data/sop-2-28.md#10-start-gate
    //= type=test
    fn no_order_of_events_under_any_policy_leases_without_every_required_source(
        policy in policies(),
        from_ready in any::<bool>(),
        steps in proptest::collection::vec(inputs(), 1..120),
    ) {
        let mut world = if from_ready { World::ready(policy.clone()) } else { World::new(policy.clone()) };
        let mut witness = Witness::default();
        for (pause_ms, input) in steps {
            world.pass(pause_ms);
            let taken = world.input(input.clone()).is_ok();
            witness.watch(world.at.now, &input, taken);
            if world.leased() {
                prop_assert!(world.gate.phase().shows_items());
                prop_assert!(witness.started && !witness.held);
                prop_assert!(witness.vouches(&policy, world.at.now), "{witness:?}");
            }
            let memory = world.gate.memory();
            prop_assert!(memory.spent <= memory.allowed);
            let lease = world.gate.lease(world.at.now);
            let left = lease.map_or(Duration::ZERO, |lease| lease.left(world.at.now));
            prop_assert!(left <= Duration::from_secs(5));
        }
    }

    #[test]
    fn nothing_happens_before_the_gate_says_it_wakes(
        policy in policies(),
        steps in proptest::collection::vec(inputs(), 1..60),
    ) {
        let mut world = World::ready(policy);
        for (pause_ms, input) in steps {
            world.pass(pause_ms);
            let _refused_or_not = world.input(input).is_ok();
            while world.gate.poll().is_some() {}
            world.gate.tick(world.at);
            while world.gate.poll().is_some() {}
            let Some(wake) = world.gate.wake_at() else { continue };
            let before = wake - Duration::from_nanos(1);
            if before > world.at.now {
                let mut early = world.gate.clone();
                early.tick(Moment { now: before, ..world.at });
                prop_assert_eq!(early.poll(), None);
            }
        }
    }
}

const ALLOWED: Duration = Duration::from_secs(1_200);

struct World {
    gate: StartGate,
    at: Moment,
}

impl World {
    fn new(policy: GatePolicy) -> Self {
        let at = Moment {
            now: Now::from_origin(Duration::from_secs(100)),
            wall: WallTime::from_unix_ms(1_790_000_000_000),
            random: Randomness {
                nonce: [7; 16],
                delay: 0,
            },
        };
        let gate = StartGate::new(policy, GateMemory::scheduled(ALLOWED), at);
        Self { gate, at }
    }

    fn ready(policy: GatePolicy) -> Self {
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

    fn running(policy: GatePolicy) -> Self {
        let mut world = Self::ready(policy);
        world.state_devices(SourceKind::Device);
        world.all_live();
        world.input(GateInput::Contact).expect("always taken");
        world.input(GateInput::Start).expect("everything is live");
        world
    }

    fn input(&mut self, input: GateInput) -> Result<(), GateError> {
        self.gate.handle(self.at, input)
    }

    fn pass(&mut self, ms: u64) {
        let passed = Duration::from_millis(ms);
        self.at.now = self.at.now + passed;
        self.at.wall = self.at.wall.after(passed);
        self.gate.tick(self.at);
    }

    fn alive_for_a_second(&mut self) {
        self.pass(1_000);
        self.input(GateInput::Contact).expect("always taken");
        self.all_live();
    }

    fn state(&mut self, source: StreamId, kind: SourceKind) {
        self.input(GateInput::Stated(vec![statement(source, kind)]))
            .expect("always taken");
    }

    fn state_devices(&mut self, kind: SourceKind) {
        for source in [CAMERA, MICROPHONE, SCREEN] {
            self.state(source, kind);
        }
    }

    fn beat(&mut self, live: &[StreamId]) {
        let (health, current) = (health(live), Vec::new());
        self.input(GateInput::Beat { health, current })
            .expect("always taken");
    }

    fn media(&mut self, source: StreamId) {
        self.input(GateInput::Media(source)).expect("always taken");
    }

    fn all_live(&mut self) {
        let all = [CAMERA, MICROPHONE, SCREEN];
        self.beat(&all);
        for source in all {
            self.media(source);
        }
    }

    fn leased(&self) -> bool {
        self.gate.lease(self.at.now).is_some()
    }

    fn cause(&self) -> Option<PauseCause> {
        match self.gate.phase() {
            AttemptPhase::Paused { cause, .. } => Some(cause),
            _ => None,
        }
    }

    fn missed(&mut self) -> usize {
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

fn statement(source: StreamId, kind: SourceKind) -> SourceStatement {
    SourceStatement {
        source,
        kind,
        driver: "test".to_owned(),
        label: "test".to_owned(),
    }
}

fn health(live: &[StreamId]) -> Vec<SourceHealth> {
    let line = |source: &StreamId| SourceHealth {
        source: *source,
        state: SourceState::Live,
        newest: None,
    };
    live.iter().map(line).collect()
}
