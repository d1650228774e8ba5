//! Windows and macOS: stills of xcap.

use super::stills;
use crate::device::DisplayDescription;
use crate::source::{I420Frame, LossCause};
use crate::supervise::Sink;

pub(super) const fn readable() -> Result<(), LossCause> {
    Ok(())
}

pub(super) fn displays() -> Result<Vec<DisplayDescription>, LossCause> {
    stills::displays()
}

pub(super) fn run(
    display: &DisplayDescription,
    frames_per_s: u32,
    sink: &Sink<I420Frame>,
) -> LossCause {
    stills::run(display, frames_per_s, sink)
}
