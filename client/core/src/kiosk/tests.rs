use core::time::Duration;

use proptest::prelude::*;
use qorgan_protocol::{
    assessment::ResponseSeq,
    attempt::{AttemptPhase, CheckInTask, CheckInTasks, PauseCause},
    crypto::Sha256,
    ids::Epoch,
    time::{Now, WallTime},
    wire::{
        AttemptView, ConsentReply, FreshnessView, Hex, IdentityState, Problem, ProblemCode,
        ResponseReceipt,
    },
};

use super::{Kiosk, fixtures as fx};
use crate::{
    Private,
    book::Kept,
    event::{
        AgentNews, Call, CallKind, Effect, Event, Failure, Intent, JournalNews, Language,
        MachineFacts, Reply,
    },
    lease::CoverCause,
    view::{Delivery, EndCause, ScreenView, Trouble},
};

#[test]
//= tests/data/sop-2-28.md#3-test-application
//= type=test
//= tests/data/sop-2-28.md#11-sign-in
//= type=test
fn a_candidate_signs_in_sees_the_exams_reads_the_instruction_and_waits_at_the_gate() {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    assert_eq!(desk.screen(), "exams");
    desk.open(phase_with(&[]));
    assert_eq!(desk.screen(), "consent");
    assert!(
        desk.intent(Intent::Consent(true)).is_empty(),
        "an unread consent is none"
    );
    desk.intent(Intent::ReadToEnd);
    let effects = desk.intent(Intent::Consent(true));
    assert!(calls(&effects).contains(&CallKind::Consent));
    let effects = desk.answer(CallKind::Consent, Reply::Consented(agent_token()));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::RunAgent { .. }))
    );
    assert_eq!(desk.screen(), "system-check");
    assert!(
        desk.intent(Intent::SystemChecked).is_empty(),
        "nothing is known of the devices yet"
    );
    desk.agent_up();
    desk.event(Event::Machine(MachineFacts {
        disk_free_bytes: Some(u64::MAX),
        x11: true,
        ..Default::default()
    }));
    assert!(calls(&desk.intent(Intent::SystemChecked)).contains(&CallKind::SystemCheck));
    desk.hear(fx::view(
        2,
        phase_with(&[CheckInTask::Consent, CheckInTask::SystemCheck]),
    ));
    assert_eq!(desk.screen(), "identity");
    let identified = [
        CheckInTask::Consent,
        CheckInTask::SystemCheck,
        CheckInTask::Identity,
    ];
    desk.hear(AttemptView {
        identity: IdentityState::Deferred,
        ..fx::view(3, phase_with(&identified))
    });
    desk.intent(Intent::Continue);
    assert_eq!(desk.screen(), "instruction");
    assert!(
        desk.intent(Intent::Continue).is_empty(),
        "the instruction must be read"
    );
    desk.intent(Intent::ReadToEnd);
    assert!(calls(&desk.intent(Intent::Continue)).contains(&CallKind::Instruction));
    desk.hear(fx::view(
        4,
        AttemptPhase::Ready {
            since: WallTime::from_unix_ms(0),
        },
    ));
    assert_eq!(desk.screen(), "gate");
}

#[test]
//= tests/data/sop-2-28.md#10-start-gate
//= type=test
fn the_start_is_asked_for_only_when_the_server_says_that_the_gate_is_open() {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    let ready = AttemptPhase::Ready {
        since: WallTime::from_unix_ms(0),
    };
    desk.open(ready);
    desk.hear(fx::view(1, ready));
    assert!(!calls(&desk.intent(Intent::Start)).contains(&CallKind::Start));
    desk.hear(AttemptView {
        gate_open: true,
        ..fx::view(2, ready)
    });
    assert!(calls(&desk.intent(Intent::Start)).contains(&CallKind::Start));
}

#[test]
fn a_response_goes_to_the_journal_first_and_to_the_server_when_it_is_saved() {
    let mut desk = Desk::in_exam();
    let effects = desk.intent(Intent::Choose("B".to_owned()));
    let Some(Effect::Append(entry)) = effects.first() else {
        panic!("{effects:?}")
    };
    assert!(!calls(&effects).contains(&CallKind::Responses));
    assert_eq!(desk.kept(), Some(Kept::Writing));
    let effects = desk.event(Event::Journal(JournalNews::Saved(entry.seq)));
    assert!(matches!(desk.kept(), Some(Kept::Saved(_))));
    assert!(calls(&effects).contains(&CallKind::Responses));
    desk.answer(CallKind::Responses, Reply::Stored(receipt(1, false)));
    assert!(matches!(desk.kept(), Some(Kept::Delivered(_))));
}

#[test]
fn a_full_disk_is_told_and_the_response_still_goes_to_the_server() {
    let mut desk = Desk::in_exam();
    desk.intent(Intent::Choose("B".to_owned()));
    let effects = desk.event(Event::Journal(JournalNews::Failed));
    assert_eq!(desk.kept(), Some(Kept::Unsaved));
    assert!(calls(&effects).contains(&CallKind::Responses));
    let ScreenView::Exam(exam) = desk.kiosk.view(desk.now).screen else {
        panic!("in the exam")
    };
    assert_eq!(exam.trouble, Some(Trouble::DiskRefuses));
}

#[test]
fn an_agent_that_is_gone_covers_at_once_and_the_content_is_dropped() {
    let mut desk = Desk::in_exam();
    let effects = desk.event(Event::Agent(AgentNews::Gone));
    assert!(effects.contains(&Effect::DropContent));
    assert_eq!(desk.cover(), Some(CoverCause::AgentGone));
    assert!(
        !desk
            .intent(Intent::Choose("A".to_owned()))
            .iter()
            .any(|e| matches!(e, Effect::Append(_)))
    );
}

#[test]
fn a_submission_while_covered_and_offline_is_kept_and_delivered_later() {
    let mut desk = Desk::in_exam();
    desk.intent(Intent::Choose("A".to_owned()));
    desk.event(Event::Journal(JournalNews::Saved(ResponseSeq(0))));
    desk.fail(CallKind::Responses, Failure::Unreachable);
    desk.fail(CallKind::View, Failure::Unreachable);
    desk.later(60_000);
    assert!(desk.cover().is_some());
    let effects = desk.intent(Intent::Submit);
    assert!(effects.contains(&Effect::KeepSubmission(ResponseSeq(1))));
    desk.event(Event::Journal(JournalNews::SubmissionKept));
    assert_eq!(desk.delivery(), Some(Delivery::Kept));
    desk.fail(CallKind::Responses, Failure::Unreachable);
    let effects = desk.later(1_000);
    assert!(
        calls(&effects).contains(&CallKind::Responses),
        "{effects:?}"
    );
    let effects = desk.answer(CallKind::Responses, Reply::Stored(receipt(1, false)));
    assert!(
        effects.contains(&Effect::Call(Call::Submit {
            entries: ResponseSeq(1)
        })),
        "{effects:?}"
    );
    desk.answer(
        CallKind::Submit,
        Reply::Submitted {
            receipt: receipt(1, true),
            late: true,
        },
    );
    assert!(matches!(
        desk.delivery(),
        Some(Delivery::Delivered { late: true, .. })
    ));
}

#[test]
fn after_a_crash_the_candidate_is_back_in_the_same_question_with_every_response() {
    let mut before = Desk::in_exam();
    before.intent(Intent::GoTo(2));
    before.answer(CallKind::Item, Reply::Item(Box::new(fx::page(2))));
    let effects = before.intent(Intent::Choose("B".to_owned()));
    let Some(Effect::Append(entry)) = effects.first().cloned() else {
        panic!("{effects:?}")
    };

    let mut after = Desk::new();
    after.walk_to_exams();
    after.open_with(fx::running(), vec![entry], Some(2));
    after.agent_up();
    after.hear(fx::running_view(9, 5_000, 20_000));
    after.answer(CallKind::Items, Reply::Items(fx::items()));
    after.answer(CallKind::Item, Reply::Item(Box::new(fx::page(2))));

    let ScreenView::Exam(exam) = after.kiosk.view(after.now).screen else {
        panic!("in the exam")
    };
    assert_eq!(exam.place, 2);
    assert_eq!(
        exam.item.map(|item| item.chosen),
        Some(vec!["B".to_owned()])
    );
}

#[test]
fn an_old_epoch_ends_the_attempt_on_this_machine() {
    let mut desk = Desk::in_exam();
    desk.hear(AttemptView {
        epoch: Epoch(2),
        ..fx::running_view(9, 5_000, 20_000)
    });
    assert!(matches!(
        desk.kiosk.view(desk.now).screen,
        ScreenView::Ended(ended) if ended.cause == EndCause::Moved
    ));
}

#[test]
fn a_freshness_code_is_drawn_for_as_long_as_the_server_says() {
    let mut desk = Desk::in_exam();
    let nonce = FreshnessView {
        nonce: Hex(vec![0xAB]),
        show_ms: 4_000,
    };
    desk.hear(AttemptView {
        freshness: Some(nonce),
        ..fx::running_view(9, 60_000, 60_000)
    });
    assert_eq!(desk.kiosk.view(desk.now).freshness, Some("[AB]".to_owned()));
    desk.now = desk.now + Duration::from_millis(4_000);
    assert_eq!(desk.kiosk.view(desk.now).freshness, None);
}

#[test]
fn the_adapter_goes_off_with_the_items_and_comes_back_after_them() {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    desk.open_with(fx::running(), Vec::new(), None);
    assert!(desk.log.contains(&Effect::Accessibility(false)));
    desk.hear(fx::view(
        5,
        AttemptPhase::Submitted {
            since: WallTime::from_unix_ms(5),
        },
    ));
    assert_eq!(
        desk.log
            .iter()
            .rfind(|effect| matches!(effect, Effect::Accessibility(_))),
        Some(&Effect::Accessibility(true))
    );
}

#[test]
fn the_end_of_time_submits_by_itself() {
    let mut desk = Desk::in_exam();
    let mut view = fx::running_view(9, 5_000, 20_000);
    view.time.remaining_ms = 2_000;
    desk.hear(view);
    let effects = desk.later(2_000);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::KeepSubmission(_)))
    );
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Hear {
        lease: Option<u64>,
        phase: u8,
        lag: u64,
    },
    FailView,
    AgentUp(bool),
    AgentGone,
    AnswerItem,
    CoveredAnswer,
    Choose,
    Submit,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u64..8_000).prop_map(Step::Wait),
        (prop::option::of(0u64..6_000), 0u8..6, 0u64..3_000)
            .prop_map(|(lease, phase, lag)| Step::Hear { lease, phase, lag }),
        Just(Step::FailView),
        any::<bool>().prop_map(Step::AgentUp),
        Just(Step::AgentGone),
        Just(Step::AnswerItem),
        Just(Step::CoveredAnswer),
        Just(Step::Choose),
        Just(Step::Submit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever the order of events: an item is in the view, or can be changed, only where the
    /// newest word of the server grants a lease that has not run out and the agent was heard.
    #[test]
    //= tests/data/sop-2-28.md#10-start-gate
    //= type=test
    fn no_order_of_events_shows_an_item_without_a_live_lease(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut desk = Desk::in_exam();
        let mut truth = Truth::of(&desk);
        for (version, step) in (10u64..).zip(steps) {
            let effects = desk.play(version, &step, &mut truth);
            let view = desk.kiosk.view(desk.now);
            let shown = matches!(&view.screen, ScreenView::Exam(_));
            prop_assert!(!shown || truth.allows(desk.now), "{step:?} shows {:?}", view.screen);
            let wrote = effects.iter().any(|effect| matches!(effect, Effect::Append(_)));
            prop_assert!(!wrote || truth.allows(desk.now), "{step:?} wrote");
        }
    }
}

/// What a reader of the rules would say, kept apart from the code under test.
#[derive(Debug)]
struct Truth {
    granted: Option<(Now, u64)>,
    newest: Now,
    agent: Option<(Now, bool)>,
    lost: Option<Now>,
    over: bool,
}

impl Truth {
    fn of(desk: &Desk) -> Self {
        Self {
            granted: Some((desk.now, 5_000)),
            newest: desk.now,
            agent: Some((desk.now, true)),
            lost: None,
            over: false,
        }
    }

    fn allows(&self, now: Now) -> bool {
        let (Some((sent, left)), Some((heard, capturing))) = (self.granted, self.agent) else {
            return false;
        };
        let left = if capturing { left.max(20_000) } else { left };
        !self.over
            && now.since(sent) < Duration::from_millis(left)
            && now.since(heard) <= Duration::from_secs(3)
            && self.lost.is_none_or(|lost| sent > lost)
    }
}

struct Desk {
    kiosk: Kiosk,
    now: Now,
    log: Vec<Effect>,
}

impl Desk {
    fn new() -> Self {
        let kiosk = Kiosk::new(fx::tools(), Language::Kk, "qorgan://host".to_owned());
        Self {
            kiosk,
            now: Now::from_origin(Duration::from_secs(100)),
            log: Vec::new(),
        }
    }

    fn in_exam() -> Self {
        let mut desk = Self::new();
        desk.walk_to_exams();
        desk.open_with(fx::running(), Vec::new(), None);
        desk.agent_up();
        desk.hear(fx::running_view(1, 5_000, 20_000));
        desk.answer(CallKind::Items, Reply::Items(fx::items()));
        desk.answer(CallKind::Item, Reply::Item(Box::new(fx::page(1))));
        assert_eq!(desk.screen(), "exam");
        desk
    }

    fn walk_to_exams(&mut self) {
        self.intent(Intent::Connect);
        self.answer(CallKind::Enrol, Reply::Enrolled(Box::new(fx::hello())));
        self.intent(Intent::TypeLogin(Private("a".to_owned())));
        self.intent(Intent::TypePassword(Private("b".to_owned())));
        self.intent(Intent::SignIn);
        self.answer(CallKind::SignIn, Reply::SignedIn(fx::signed_in()));
        self.answer(CallKind::Exams, Reply::Exams(vec![fx::card()]));
    }

    fn open(&mut self, phase: AttemptPhase) {
        self.open_with(phase, Vec::new(), None);
    }

    fn open_with(
        &mut self,
        phase: AttemptPhase,
        entries: Vec<qorgan_protocol::assessment::ResponseEntry>,
        place: Option<u16>,
    ) {
        self.intent(Intent::OpenExam(fx::attempt()));
        self.answer(
            CallKind::CheckIn,
            Reply::CheckedIn(Box::new(fx::check_in(phase))),
        );
        self.event(Event::Journal(JournalNews::Replayed {
            entries,
            submitted: None,
            place,
        }));
    }

    fn agent_up(&mut self) {
        self.event(Event::Agent(AgentNews::Status(Box::new(fx::status(true)))));
    }

    fn hear(&mut self, view: AttemptView) -> Vec<Effect> {
        self.answer(CallKind::View, Reply::View(Box::new(view)))
    }

    fn answer(&mut self, kind: CallKind, reply: Reply) -> Vec<Effect> {
        let sent = self.now;
        self.event(Event::Answered {
            kind,
            sent,
            result: Ok(reply),
        })
    }

    fn fail(&mut self, kind: CallKind, failure: Failure) -> Vec<Effect> {
        let sent = self.now;
        self.event(Event::Answered {
            kind,
            sent,
            result: Err(failure),
        })
    }

    fn intent(&mut self, intent: Intent) -> Vec<Effect> {
        self.event(Event::Intent(intent))
    }

    fn later(&mut self, ms: u64) -> Vec<Effect> {
        self.now = self.now + Duration::from_millis(ms);
        self.event(Event::Tick)
    }

    fn event(&mut self, event: Event) -> Vec<Effect> {
        let effects = self.kiosk.handle(self.now, event);
        self.log.extend(effects.clone());
        effects
    }

    fn screen(&self) -> &'static str {
        self.kiosk.view(self.now).screen.name()
    }

    fn kept(&self) -> Option<Kept> {
        let screen = self.kiosk.view(self.now).screen;
        let ScreenView::Exam(exam) = screen else {
            panic!("{screen:?}")
        };
        exam.item.and_then(|item| item.kept)
    }

    fn cover(&self) -> Option<CoverCause> {
        let ScreenView::Covered(covered) = self.kiosk.view(self.now).screen else {
            return None;
        };
        Some(covered.cause)
    }

    fn delivery(&self) -> Option<Delivery> {
        let ScreenView::Submitted(submitted) = self.kiosk.view(self.now).screen else {
            return None;
        };
        Some(submitted.delivery)
    }

    fn play(&mut self, version: u64, step: &Step, truth: &mut Truth) -> Vec<Effect> {
        match step {
            Step::Wait(ms) => self.later(*ms),
            Step::Hear { lease, phase, lag } => {
                self.play_hear(version, *lease, *phase, *lag, truth)
            }
            Step::FailView => self.fail(CallKind::View, Failure::Unreachable),
            Step::AgentUp(capturing) => {
                truth.agent = Some((self.now, *capturing));
                self.event(Event::Agent(AgentNews::Status(Box::new(fx::status(
                    *capturing,
                )))))
            }
            Step::AgentGone => {
                truth.agent = None;
                truth.lost = Some(self.now);
                self.event(Event::Agent(AgentNews::Gone))
            }
            Step::AnswerItem => self.answer(CallKind::Item, Reply::Item(Box::new(fx::page(1)))),
            Step::CoveredAnswer => {
                truth.granted = None;
                truth.lost = truth.lost.max(Some(self.now));
                let detail = String::new();
                let problem = Problem {
                    code: ProblemCode::Covered,
                    detail,
                    retry_after_s: None,
                };
                self.fail(CallKind::Item, Failure::Problem(problem))
            }
            Step::Choose => self.intent(Intent::Choose("B".to_owned())),
            Step::Submit => {
                truth.over = true;
                self.intent(Intent::Submit)
            }
        }
    }

    fn play_hear(
        &mut self,
        version: u64,
        lease: Option<u64>,
        phase: u8,
        lag: u64,
        truth: &mut Truth,
    ) -> Vec<Effect> {
        let since = WallTime::from_unix_ms(0);
        let phase = match phase {
            0 => AttemptPhase::Paused {
                since,
                cause: PauseCause::SourceLost,
            },
            1 => AttemptPhase::Ready { since },
            2 => AttemptPhase::Scheduled,
            _ => fx::running(),
        };
        let mut view = fx::view(version, phase);
        view.lease = lease.map(|left_ms| qorgan_protocol::wire::LeaseView {
            left_ms,
            offline_grace_ms: 20_000,
        });
        let sent = self.now - Duration::from_millis(lag);
        // An answer that was asked for before one that was heard says nothing.
        if sent >= truth.newest {
            truth.newest = sent;
            truth.granted = lease
                .filter(|_| phase.shows_items())
                .map(|left| (sent, left));
        }
        self.event(Event::Answered {
            kind: CallKind::View,
            sent,
            result: Ok(Reply::View(Box::new(view))),
        })
    }
}

fn calls(effects: &[Effect]) -> Vec<CallKind> {
    effects
        .iter()
        .filter_map(|effect| {
            let Effect::Call(call) = effect else {
                return None;
            };
            Some(call.kind())
        })
        .collect()
}

fn phase_with(tasks: &[CheckInTask]) -> AttemptPhase {
    let tasks = tasks
        .iter()
        .fold(CheckInTasks::default(), |all, &task| all.with(task));
    AttemptPhase::CheckIn {
        since: WallTime::from_unix_ms(0),
        tasks,
    }
}

fn agent_token() -> ConsentReply {
    ConsentReply {
        agent_token: "t".to_owned(),
        bandwidth: "standard".to_owned(),
        contact: String::new(),
    }
}

fn receipt(next: u64, submitted: bool) -> ResponseReceipt {
    ResponseReceipt {
        attempt: fx::attempt(),
        epoch: Epoch::FIRST,
        next: ResponseSeq(next),
        head: Sha256::ZERO,
        submitted,
        at: WallTime::from_unix_ms(7),
    }
}
