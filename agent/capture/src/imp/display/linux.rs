//! Linux: X11; Wayland is refused.

use std::env;

use crate::device::DisplayDescription;
use crate::imp::x11;
use crate::source::{I420Frame, LossCause};
use crate::supervise::Sink;

pub(super) fn readable() -> Result<(), LossCause> {
    let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("WAYLAND_DISPLAY") {
        return Err(LossCause::unsupported(
            "a Wayland desktop does not let a program record every display: sign in to an X11 session",
        ));
    }
    if set("DISPLAY") {
        Ok(())
    } else {
        Err(LossCause::unsupported(
            "no X11 display is set for this program (DISPLAY is empty)",
        ))
    }
}

pub(super) fn displays() -> Result<Vec<DisplayDescription>, LossCause> {
    x11::displays()
}

pub(super) fn run(
    display: &DisplayDescription,
    frames_per_s: u32,
    sink: &Sink<I420Frame>,
) -> LossCause {
    x11::run(display, frames_per_s, sink)
}
