//! A file that tells tests where the kiosk is: the screen's name, the question's place, what has
//! the focus. No personal data, no content. The packaged program writes none.

use std::{collections::VecDeque, path::PathBuf};

use qorgan_client_core::view::{ScreenView, View};
use qorgan_protocol::local::Light;
use serde::Serialize;

/// The file, and what it says.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    written: Option<State>,
    /// What the frame before showed.
    shown: Option<State>,
    number: u64,
    drawn: Option<core::time::Duration>,
    /// Microseconds from one frame to the next, the newest last.
    gaps_us: VecDeque<u64>,
}

/// What a frame was measured at.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Since the program was started.
    pub since_start: core::time::Duration,
    /// What the frame before took.
    pub frame: core::time::Duration,
}

/// What is to do about a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Said,
    Say,
    NextFrame,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct State {
    screen: &'static str,
    overlay: Option<String>,
    focused: Option<String>,
    question: Option<u16>,
    questions: usize,
    answered: usize,
    chosen: usize,
    kept: Option<&'static str>,
    covered: Option<String>,
    trouble: bool,
    freshness: bool,
    /// The light that the screen shines in.
    light: Option<&'static str>,
    /// Whether something is asked of the candidate beside the question.
    asked: bool,
    start_to_screen_ms: u128,
    frame_us: u64,
}

impl StateFile {
    /// Makes the state that is written to a file.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self {
            path,
            written: None,
            shown: None,
            number: 0,
            drawn: None,
            gaps_us: VecDeque::new(),
        }
    }

    /// Writes a changed state once the frame that shows it was presented, which the next frame
    /// knows: a picture taken upon the file's word must not show the screen before. Returns whether
    /// such a next frame is needed.
    #[must_use]
    pub fn update(&mut self, view: &View, focused: Option<String>, times: Times) -> bool {
        self.draw(times.since_start);
        let mut state = state_of(view);
        state.focused = focused;
        let same_screen = |before: &&State| before.screen == state.screen;
        let before = self.shown.as_ref().filter(same_screen);
        state.start_to_screen_ms = before.map_or_else(
            || times.since_start.as_millis(),
            |before| before.start_to_screen_ms,
        );
        let word = self.word(&state);
        self.shown = Some(state.clone());
        if word == Word::Say {
            self.number = self.number.saturating_add(1);
            self.written = Some(state.clone());
            state.frame_us = u64::try_from(times.frame.as_micros()).unwrap_or(u64::MAX);
            if let Err(error) = self.write(&state) {
                tracing::warn!(%error, "Could not write the state file");
            }
        }
        word == Word::NextFrame
    }

    fn word(&self, state: &State) -> Word {
        if self.written.as_ref() == Some(state) {
            Word::Said
        } else if self.shown.as_ref() == Some(state) {
            Word::Say
        } else {
            Word::NextFrame
        }
    }

    fn draw(&mut self, now: core::time::Duration) {
        if let Some(before) = self.drawn.replace(now) {
            let gap = now.saturating_sub(before).as_micros();
            if self.gaps_us.len() >= GAPS_MAX {
                self.gaps_us.pop_front();
            }
            self.gaps_us
                .push_back(u64::try_from(gap).unwrap_or(u64::MAX));
        }
    }

    fn write(&self, state: &State) -> std::io::Result<()> {
        let mut value = serde_json::to_value(state)?;
        value["number"] = self.number.into();
        value["gaps_us"] = self.gaps_us.iter().copied().collect();
        let next = self.path.with_extension("next");
        std::fs::write(&next, value.to_string())?;
        std::fs::rename(&next, &self.path)
    }
}

/// Gaps that are remembered; older ones go.
const GAPS_MAX: usize = 256;

fn state_of(view: &View) -> State {
    use qorgan_client_core::book::Kept;
    let mut state = State {
        screen: view.screen.name(),
        overlay: view
            .overlay
            .as_ref()
            .map(|overlay| format!("{:?}", overlay.overlay)),
        freshness: view.freshness.is_some(),
        light: view.light.map(|light| match light {
            Light::Warm => "warm",
            Light::Cool => "cool",
        }),
        ..State::default()
    };
    match &view.screen {
        ScreenView::Exam(exam) => {
            state.question = exam.item.as_ref().map(|_| exam.place);
            state.questions = exam.questions.len();
            state.answered = exam.answered;
            state.chosen = exam.item.as_ref().map_or(0, |item| item.chosen.len());
            state.kept = exam
                .item
                .as_ref()
                .and_then(|item| item.kept)
                .map(|kept| match kept {
                    Kept::Writing => "writing",
                    Kept::Saved(_) => "saved",
                    Kept::Unsaved => "unsaved",
                    Kept::Delivered(_) => "delivered",
                });
            state.trouble = exam.trouble.is_some();
            state.asked = exam.ask.is_some();
        }
        ScreenView::Covered(covered) => state.covered = Some(format!("{:?}", covered.cause)),
        ScreenView::Submitted(submitted) => {
            state.kept = Some(match submitted.delivery {
                qorgan_client_core::view::Delivery::Kept => "kept",
                qorgan_client_core::view::Delivery::Delivered { .. } => "delivered",
                qorgan_client_core::view::Delivery::Refused(_) => "refused",
            })
        }
        ScreenView::Welcome(screen) => state.trouble = screen.trouble.is_some(),
        ScreenView::SignIn(screen) => state.trouble = screen.trouble.is_some(),
        ScreenView::Exams(screen) => state.trouble = screen.trouble.is_some(),
        ScreenView::Consent(screen) | ScreenView::Instruction(screen) => {
            state.trouble = screen.trouble.is_some();
        }
        ScreenView::SystemCheck(screen) => state.trouble = screen.trouble.is_some(),
        ScreenView::Identity(screen) => state.trouble = screen.trouble.is_some(),
        ScreenView::Gate(screen) => state.trouble = screen.trouble.is_some(),
        ScreenView::Liveness(_) | ScreenView::Voice(_) | ScreenView::Ended(_) => {}
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_told_once_the_next_frame_knows_that_it_was_presented() {
        let mut file = StateFile::at(PathBuf::new());
        let state = |screen| State {
            screen,
            ..State::default()
        };
        let mut frame = |state: State| {
            let word = file.word(&state);
            if word == Word::Say {
                file.written = Some(state.clone());
            }
            file.shown = Some(state);
            word
        };
        assert_eq!(frame(state("exam")), Word::NextFrame);
        assert_eq!(frame(state("exam")), Word::Say);
        assert_eq!(frame(state("exam")), Word::Said);
        assert_eq!(frame(state("covered")), Word::NextFrame);
        assert_eq!(frame(state("covered")), Word::Say);
    }
}
