//! A document at check-in (decision 7), and texts in the language that they are read in.

use qorgan_protocol::attempt::CheckInTask;
use qorgan_protocol::wire::{AttemptView, IdentityState};

use super::{Desk, calls, phase_with};
use crate::{
    event::{AgentNews, Call, CallKind, Effect, Event, Intent, Language},
    kiosk::fixtures as fx,
    view::{DocumentState, ScreenView},
};

const CHECKED: [CheckInTask; 2] = [CheckInTask::Consent, CheckInTask::SystemCheck];

fn at_identity() -> Desk {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    desk.open_with_document(phase_with(&CHECKED));
    desk.agent_up();
    desk.hear(fx::view(1, phase_with(&CHECKED)));
    desk
}

fn document(desk: &Desk) -> DocumentState {
    let ScreenView::Identity(screen) = desk.kiosk.view(desk.now).screen else {
        panic!("{}", desk.screen())
    };
    screen.document
}

fn text(desk: &Desk) -> String {
    let ScreenView::Consent(screen) = desk.kiosk.view(desk.now).screen else {
        panic!("{}", desk.screen())
    };
    screen.text
}

#[test]
fn a_candidate_is_shown_only_with_the_document_that_the_policy_asks_for() {
    let mut desk = at_identity();
    assert_eq!(document(&desk), DocumentState::Asked);
    assert!(
        desk.intent(Intent::ShowIdentity).is_empty(),
        "there is no picture yet"
    );
    let effects = desk.intent(Intent::TakeDocument);
    assert!(effects.contains(&Effect::TakeDocument));
    desk.event(Event::Agent(AgentNews::DocumentTaken));
    assert_eq!(document(&desk), DocumentState::Taken);
    assert!(
        desk.intent(Intent::TakeDocument)
            .contains(&Effect::TakeDocument),
        "it may be taken again"
    );
    let effects = desk.intent(Intent::ShowIdentity);
    assert!(effects.contains(&Effect::Call(Call::Identity { document: true })));
}

#[test]
fn a_document_that_was_refused_is_taken_anew() {
    let mut desk = at_identity();
    desk.event(Event::Agent(AgentNews::DocumentTaken));
    desk.intent(Intent::ShowIdentity);
    desk.hear(AttemptView {
        identity: IdentityState::Refused,
        ..fx::view(2, phase_with(&CHECKED))
    });
    assert_eq!(document(&desk), DocumentState::Asked);
}

#[test]
fn no_document_is_taken_where_the_policy_asks_for_none() {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    desk.open(phase_with(&CHECKED));
    desk.agent_up();
    desk.hear(fx::view(1, phase_with(&CHECKED)));
    assert_eq!(document(&desk), DocumentState::NotAsked);
    assert!(desk.intent(Intent::TakeDocument).is_empty());
    let effects = desk.intent(Intent::ShowIdentity);
    assert!(effects.contains(&Effect::Call(Call::Identity { document: false })));
}

#[test]
fn the_consent_is_read_and_recorded_in_the_language_that_is_shown() {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    desk.open(phase_with(&[]));
    assert_eq!(text(&desk), "consent kk");
    desk.intent(Intent::ReadToEnd);
    desk.intent(Intent::ChooseLanguage(Language::Ru));
    assert_eq!(text(&desk), "consent ru");
    assert!(
        !calls(&desk.intent(Intent::Consent(true))).contains(&CallKind::Consent),
        "it was read in another language"
    );
    desk.intent(Intent::ReadToEnd);
    let effects = desk.intent(Intent::Consent(true));
    let recorded = Call::Consent {
        version: "1".to_owned(),
        language: Language::Ru,
        agreed: true,
    };
    assert!(effects.contains(&Effect::Call(recorded)), "{effects:?}");
}
