//! No order of events shows an item without a live lease.

use core::time::Duration;

use proptest::prelude::*;
use qorgan_protocol::{
    attempt::{AttemptPhase, PauseCause},
    time::{Now, WallTime},
    wire::{Problem, ProblemCode},
};

use super::Desk;
use crate::{
    event::{AgentNews, CallKind, Effect, Event, Failure, Intent, Reply},
    kiosk::fixtures as fx,
    view::ScreenView,
};

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

impl Desk {
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
