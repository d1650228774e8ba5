//! The demo: the real programs, walked through by hand or by itself.

mod auto;
mod by_hand;
pub mod stage;
mod stand_in;
pub mod summary;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;

/// What the demo was asked for.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// Whether it walks through by itself.
    pub auto: bool,
    /// Where it leaves what it made.
    pub out: PathBuf,
    /// The language of kiosk and exam: `kk` or `ru`.
    pub language: String,
    /// What stands for a camera where the machine has none.
    pub camera: CameraWish,
}

/// What stands for a camera where the machine has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameraWish {
    /// An agent that plays a film, and tells the server so.
    Film,
    /// The packaged agent on a stand-in for the kernel's device, loaded before it: its own capture
    /// code runs unchanged (tests only).
    StandIn,
}

/// Runs the demo; tells whether everything that should be seen was.
///
/// # Errors
/// Fails where a program is missing or does not do what it should.
pub fn run(wishes: &Wishes, say: &mut dyn Write) -> Result<bool> {
    if wishes.auto {
        return auto::run(wishes, say);
    }
    if std::env::var_os("DISPLAY").is_none_or(|display| display.is_empty()) {
        writeln!(
            say,
            "There is no X11 display here: the demo walks by itself, on a display of its own."
        )?;
        return auto::run(wishes, say);
    }
    by_hand::run(wishes, say)
}
