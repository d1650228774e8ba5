//! The keys that work everywhere, and those of the exam.

use egui::{Event, Key, Modifiers, Ui};
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
        ScreenView::Exam(exam) => exam_keys(&pressed, exam).or_else(|| {
            let item = exam.item.as_ref()?;
            let index = chosen(ui, item.choices.len())?;
            Some(Intent::Choose(item.choices.get(index)?.id.clone()))
        }),
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
    exam.item.as_ref()?;
    pressed(Modifiers::NONE, Key::F).then_some(Intent::Flag)
}

/// Takes the first press that names one of so many choices; returns which.
fn chosen(ui: &Ui, choices: usize) -> Option<usize> {
    let mut found = None;
    ui.input_mut(|input| {
        input.events.retain(|event| {
            let Event::Key {
                key,
                physical_key,
                pressed: true,
                modifiers,
                ..
            } = event
            else {
                return true;
            };
            // A French digit needs Shift.
            if found.is_some() || modifiers.ctrl || modifiers.alt || modifiers.command {
                return true;
            }
            found = choice_of(*key, *physical_key).filter(|index| *index < choices);
            found.is_none()
        });
    });
    found
}

/// Returns the choice that a key stands for, on whatever layout: a letter by what is written on the
/// key, a digit by its place in the row, for layouts such as Kazakh and French write other signs
/// there. Where a layout writes no Latin letter on a key, its place counts.
fn choice_of(key: Key, place: Option<Key>) -> Option<usize> {
    let by_digit = |key: &Key| DIGITS.iter().position(|digit| digit == key);
    let by_letter = |key: &Key| {
        let letter = LETTERS.iter().position(|letter| letter == key)?;
        // The letter of the sixth choice flags; its digit chooses.
        (*key != Key::F).then_some(letter)
    };
    let written = by_digit(&key).or_else(|| by_letter(&key));
    if written.is_some() || LETTERS.contains(&key) {
        return written;
    }
    let place = place?;
    by_digit(&place).or_else(|| by_letter(&place))
}

const DIGITS: [Key; 10] = [
    Key::Num1,
    Key::Num2,
    Key::Num3,
    Key::Num4,
    Key::Num5,
    Key::Num6,
    Key::Num7,
    Key::Num8,
    Key::Num9,
    Key::Num0,
];
/// Choices are lettered so; whoever has more reaches them by Tab.
const LETTERS: [Key; 26] = [
    Key::A,
    Key::B,
    Key::C,
    Key::D,
    Key::E,
    Key::F,
    Key::G,
    Key::H,
    Key::I,
    Key::J,
    Key::K,
    Key::L,
    Key::M,
    Key::N,
    Key::O,
    Key::P,
    Key::Q,
    Key::R,
    Key::S,
    Key::T,
    Key::U,
    Key::V,
    Key::W,
    Key::X,
    Key::Y,
    Key::Z,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_latin_layout_letters_and_digits_choose_and_f_flags() {
        assert_eq!(choice_of(Key::B, Some(Key::B)), Some(1));
        assert_eq!(choice_of(Key::Num6, Some(Key::Num6)), Some(5));
        assert_eq!(choice_of(Key::F, Some(Key::F)), None);
        assert_eq!(choice_of(Key::J, Some(Key::J)), Some(9));
        assert_eq!(choice_of(Key::Num0, Some(Key::Num0)), Some(9));
    }

    #[test]
    fn on_a_kazakh_layout_the_places_of_the_row_choose_whatever_is_written_there() {
        // The row begins with letters and has a comma and a full stop in its middle; where egui has
        // no name for a letter it gives the place for the key.
        assert_eq!(choice_of(Key::Num2, Some(Key::Num2)), Some(1));
        assert_eq!(choice_of(Key::Comma, Some(Key::Num6)), Some(5));
        assert_eq!(choice_of(Key::Period, Some(Key::Num7)), Some(6));
        assert_eq!(choice_of(Key::A, Some(Key::A)), Some(0));
    }

    #[test]
    fn on_a_french_layout_a_letter_is_what_is_written_and_a_digit_its_place() {
        assert_eq!(choice_of(Key::A, Some(Key::Q)), Some(0));
        assert_eq!(choice_of(Key::Quote, Some(Key::Num3)), Some(2));
        assert_eq!(choice_of(Key::Exclamationmark, None), None);
    }

    #[test]
    fn every_choice_of_a_screen_has_a_key() {
        let keyed: Vec<usize> = DIGITS
            .into_iter()
            .chain(LETTERS)
            .filter_map(|key| choice_of(key, Some(key)))
            .collect();
        for choice in 0..LETTERS.len() {
            assert!(keyed.contains(&choice), "choice {choice}");
        }
    }
}
