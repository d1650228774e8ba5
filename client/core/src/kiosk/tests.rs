//! The kiosk at a desk: events in, effects and views out.

mod again;
mod document;
mod end;
mod lease;
mod light;
mod liveness;
mod machine;
mod messages;
mod told;
mod voice;
mod walk;

use core::time::Duration;

use qorgan_protocol::{
    assessment::ResponseSeq,
    attempt::{AttemptPhase, CheckInTask, CheckInTasks, MachineRule},
    crypto::Sha256,
    ids::Epoch,
    local::{LivenessAsk, LivenessState},
    time::{Now, WallTime},
    wire::{AttemptView, CheckInReply, ConsentReply, IdentityState, ResponseReceipt},
};

use super::{Kiosk, fixtures as fx};
use crate::{
    Private,
    book::Kept,
    event::{AgentNews, CallKind, Effect, Event, Failure, Intent, JournalNews, Language, Reply},
    lease::CoverCause,
    view::{Delivery, ScreenView},
};

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

    /// Opens the exam of a policy that asks for a document.
    fn open_with_document(&mut self, phase: AttemptPhase) {
        let mut check_in = fx::check_in(phase);
        check_in.policy.identity_document = true;
        self.open_reply(check_in);
    }

    /// Stands at the system check of a sitting that treats nested displays so.
    fn at_system_check(nested_display: MachineRule) -> Self {
        let mut desk = Self::new();
        desk.walk_to_exams();
        let mut check_in = fx::check_in(phase_with(&[CheckInTask::Consent]));
        check_in.policy.nested_display = nested_display;
        desk.open_reply(check_in);
        assert_eq!(desk.screen(), "system-check");
        desk
    }

    fn open_reply(&mut self, check_in: CheckInReply) {
        self.intent(Intent::OpenExam(fx::attempt()));
        self.answer(CallKind::CheckIn, Reply::CheckedIn(Box::new(check_in)));
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

    /// The agent tells what it asks for to show that a living person sits there.
    fn liveness(&mut self, state: LivenessState) -> Vec<LivenessAsk> {
        let effects = self.event(Event::Agent(AgentNews::Liveness(state)));
        liveness_asks(&effects)
    }

    /// A proctor approves the identity.
    fn identified(&mut self) -> Vec<Effect> {
        self.hear(AttemptView {
            identity: IdentityState::Approved,
            ..fx::view(1, phase_with(&IDENTIFIED))
        })
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

fn liveness_asks(effects: &[Effect]) -> Vec<LivenessAsk> {
    effects
        .iter()
        .filter_map(|effect| {
            let Effect::Liveness(ask) = effect else {
                return None;
            };
            Some(*ask)
        })
        .collect()
}

const IDENTIFIED: [CheckInTask; 3] = [
    CheckInTask::Consent,
    CheckInTask::SystemCheck,
    CheckInTask::Identity,
];

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
