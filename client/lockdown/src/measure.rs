//! What a measure is, and what is told of it.

use serde::{Deserialize, Serialize};

/// One change to the machine that can be undone.
pub trait Measure: std::fmt::Debug + Send {
    /// Names the measure in the journal and in reports.
    fn kind(&self) -> MeasureKind;

    /// Reads what [`Measure::apply`] is about to change, so that it can be put back.
    ///
    /// # Errors
    /// Fails where the system cannot say; the measure is then not applied.
    fn survey(&mut self) -> Result<Undo, MeasureError>;

    /// Makes the change.
    ///
    /// # Errors
    /// Fails where the system refuses.
    fn apply(&mut self) -> Result<(), MeasureError>;

    /// Takes the change back to what `undo` recorded.
    ///
    /// # Errors
    /// Fails where the system refuses.
    fn revert(&mut self, undo: &Undo) -> Result<(), MeasureError>;

    /// Applies the measure once more where something outside has loosened it.
    ///
    /// Returns whether it had to.
    ///
    /// # Errors
    /// Fails where the system refuses.
    fn renew(&mut self) -> Result<bool, MeasureError> {
        Ok(false)
    }
}

/// Names a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MeasureKind {
    /// The kiosk covers the whole display and stays above other windows.
    FullscreenOnTop,
    /// Key presses reach the kiosk alone, the window manager's combinations included.
    KeyboardGrab,
    /// Nothing that was copied before can be pasted, nothing new can be copied.
    ClipboardEmptied,
    /// The display is not blanked while no key is pressed, so the recording shows the exam.
    DisplayAwake,
}

impl MeasureKind {
    /// Returns the name that the journal and reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FullscreenOnTop => "fullscreen-on-top",
            Self::KeyboardGrab => "keyboard-grab",
            Self::ClipboardEmptied => "clipboard-emptied",
            Self::DisplayAwake => "display-awake",
        }
    }
}

/// What a revert needs to know; it is in the journal before the measure is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "kebab-case")]
pub enum Undo {
    /// The system drops the change together with the process that asked for it.
    DiesWithProcess,
    /// The display server's blanking settings as they were found.
    ScreenBlanking {
        /// Seconds without input until the display is blanked; 0 is never.
        timeout_s: i16,
        /// Seconds between changes of the pattern.
        interval_s: i16,
        /// The server's own number for "blank rather than draw a pattern".
        prefer_blanking: u8,
        /// The server's own number for "may ask windows to redraw".
        allow_exposures: u8,
    },
}

/// Why a measure could not be applied or reverted.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum MeasureError {
    /// This system has no such measure in this program.
    #[error("not available on this system yet: {reason}")]
    NotAvailable {
        /// What is missing.
        reason: &'static str,
    },
    /// The system said no.
    #[error("the system refused: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// The display server is gone or spoke nonsense.
    #[error("the display server failed: {reason}")]
    Display {
        /// What went wrong.
        reason: String,
    },
}

/// How a measure stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeasureOutcome {
    /// The change is in force.
    Applied,
    /// The change is taken back.
    Reverted,
    /// The change is not in force, or could not be taken back.
    Failed(MeasureError),
}

/// What became of one measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasureReport {
    /// Which measure.
    pub kind: MeasureKind,
    /// What became of it.
    pub outcome: MeasureOutcome,
}
