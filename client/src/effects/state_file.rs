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

#[derive(Debug, Clone, PartialEq, Serialize)]
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
            number: 0,
            drawn: None,
            gaps_us: VecDeque::new(),
        }
    }

    /// Writes the state where it changed.
    pub fn update(&mut self, view: &View, focused: Option<String>, times: Times) {
        self.draw(times.since_start);
        let mut state = state_of(view);
        state.focused = focused;
        if let Some(written) = &self.written
            && written.screen == state.screen
        {
            state.start_to_screen_ms = written.start_to_screen_ms;
        } else {
            state.start_to_screen_ms = times.since_start.as_millis();
        }
        if self.written.as_ref() == Some(&state) {
            return;
        }
        let named = state.clone();
        state.frame_us = u64::try_from(times.frame.as_micros()).unwrap_or(u64::MAX);
        self.number = self.number.saturating_add(1);
        if let Err(error) = self.write(&state) {
            tracing::warn!(%error, "Could not write the state file");
        }
        self.written = Some(named);
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
        focused: None,
        question: None,
        questions: 0,
        answered: 0,
        chosen: 0,
        kept: None,
        covered: None,
        trouble: false,
        freshness: view.freshness.is_some(),
        light: view.light.map(|light| match light {
            Light::Warm => "warm",
            Light::Cool => "cool",
        }),
        asked: false,
        start_to_screen_ms: 0,
        frame_us: 0,
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
