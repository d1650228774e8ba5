//! Measures that lock the machine for an exam, and watches that see what slips past them.
//!
//! Invariants:
//! * A measure is journalled, with what its revert needs, and the journal is on disk before the
//!   measure is applied; so whatever happens, the next start can put the machine back.
//! * Measures are reverted in the reverse order of their application.
//! * A measure or a watch that a system cannot give is refused with a reason, never pretended.
//! * A watch reports what the window manager says is active. A loss of keyboard focus that a grab
//!   causes is not a window switch and is not reported as one.

mod journal;
mod lapse;
mod layouts;
mod lockdown;
mod measure;
mod platform;
mod seat;
mod watch;

#[cfg(any(test, feature = "fake"))]
#[path = "imp/fake.rs"]
pub mod fake;

pub use journal::{Journal, JournalEntry, JournalError, Leftover};
pub use lapse::LapseWatch;
pub use layouts::Layout;
pub use lockdown::{Lockdown, revert_leftovers};
pub use measure::{Measure, MeasureError, MeasureKind, MeasureOutcome, MeasureReport, Undo};
pub use platform::{Layouts, WindowTarget, measures, start_watch};
pub use seat::start_seat_watch;
pub use watch::{WatchError, WatchEvent, WatchHandle, WatchKind, WindowIdentity};
