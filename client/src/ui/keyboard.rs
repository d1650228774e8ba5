//! The keys that work everywhere, and those of the exam.

use egui::{Key, Modifiers, Ui};
use qorgan_client_core::{
    event::{Intent, Overlay},
    view::{ExamView, ScreenView, View},
};

/// Takes the keys that mean something on this screen; returns what they ask for.
pub(super) fn keys(ui: &Ui, view: &View) -> Option<Intent> {
    let pressed = |modifiers, key| ui.input_mut(|input| input.consume_key(modifiers, key));
    if pressed(Modifiers::NONE, Key::F1) {
        return Some(Intent::Open(Overlay::Help));
    }
    if view.overlay.is_some() {
        return pressed(Modifiers::NONE, Key::Escape).then_some(Intent::CloseOverlay);
    }
    match &view.screen {
        ScreenView::Exam(exam) => exam_keys(&pressed, exam),
        ScreenView::Welcome(_)
        | ScreenView::SignIn(_)
        | ScreenView::Exams(_)
        | ScreenView::Consent(_)
        | ScreenView::SystemCheck(_)
        | ScreenView::Identity(_)
        | ScreenView::Liveness(_)
        | ScreenView::Voice(_)
        | ScreenView::Instruction(_)
        | ScreenView::Gate(_)
        | ScreenView::Covered(_)
        | ScreenView::Submitted(_)
        | ScreenView::Ended(_) => None,
    }
}

fn exam_keys(pressed: &impl Fn(Modifiers, Key) -> bool, exam: &ExamView) -> Option<Intent> {
    let count = exam.questions.len();
    let last = u16::try_from(count).unwrap_or(u16::MAX);
    if pressed(Modifiers::CTRL, Key::Enter) {
        return Some(if exam.place < last {
            Intent::GoTo(exam.place.saturating_add(1))
        } else {
            Intent::Open(Overlay::ConfirmSubmit)
        });
    }
    if pressed(Modifiers::NONE, Key::ArrowRight) && exam.place < last {
        return Some(Intent::GoTo(exam.place.saturating_add(1)));
    }
    if pressed(Modifiers::NONE, Key::ArrowLeft) && exam.place > 1 {
        return Some(Intent::GoTo(exam.place.saturating_sub(1)));
    }
    let item = exam.item.as_ref()?;
    for (choice, (digit, letter)) in item.choices.iter().zip(CHOICE_KEYS) {
        if pressed(Modifiers::NONE, digit) || pressed(Modifiers::NONE, letter) {
            return Some(Intent::Choose(choice.id.clone()));
        }
    }
    pressed(Modifiers::NONE, Key::F).then_some(Intent::Flag)
}

/// A sixth choice has its digit alone, for F flags.
const CHOICE_KEYS: [(Key, Key); 9] = [
    (Key::Num1, Key::A),
    (Key::Num2, Key::B),
    (Key::Num3, Key::C),
    (Key::Num4, Key::D),
    (Key::Num5, Key::E),
    (Key::Num6, Key::F35),
    (Key::Num7, Key::G),
    (Key::Num8, Key::H),
    (Key::Num9, Key::I),
];
