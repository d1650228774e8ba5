//! Keeps the display from being blanked, which would make the recording show nothing.

use x11rb::{
    connection::Connection as _,
    protocol::xproto::{Blanking, ConnectionExt as _, Exposures},
};

use super::{display, ewmh::Desktop};
use crate::measure::{Measure, MeasureError, MeasureKind, Undo};

/// The display server's blanking, switched off.
///
/// It is a setting of the server that outlives this process, so it is the measure that a crash
/// leaves behind and that the next start reverts.
#[derive(Debug)]
pub(super) struct DisplayAwake;

impl Measure for DisplayAwake {
    fn kind(&self) -> MeasureKind {
        MeasureKind::DisplayAwake
    }

    fn survey(&mut self) -> Result<Undo, MeasureError> {
        let desktop = connect()?;
        let found = desktop
            .conn
            .get_screen_saver()
            .map_err(|error| display(&error))?
            .reply()
            .map_err(|error| display(&error))?;
        Ok(Undo::ScreenBlanking {
            timeout_s: i16::try_from(found.timeout).unwrap_or(i16::MAX),
            interval_s: i16::try_from(found.interval).unwrap_or(i16::MAX),
            prefer_blanking: u8::from(found.prefer_blanking),
            allow_exposures: u8::from(found.allow_exposures),
        })
    }

    fn apply(&mut self) -> Result<(), MeasureError> {
        set(0, 0, Blanking::NOT_PREFERRED, Exposures::NOT_ALLOWED)
    }

    fn revert(&mut self, undo: &Undo) -> Result<(), MeasureError> {
        match undo {
            Undo::DiesWithProcess => Ok(()),
            Undo::ScreenBlanking {
                timeout_s,
                interval_s,
                prefer_blanking,
                allow_exposures,
            } => set(
                *timeout_s,
                *interval_s,
                Blanking::from(*prefer_blanking),
                Exposures::from(*allow_exposures),
            ),
        }
    }
}

fn set(
    timeout_s: i16,
    interval_s: i16,
    blanking: Blanking,
    exposures: Exposures,
) -> Result<(), MeasureError> {
    let desktop = connect()?;
    desktop
        .conn
        .set_screen_saver(timeout_s, interval_s, blanking, exposures)
        .map_err(|error| display(&error))?
        .check()
        .map_err(|error| display(&error))?;
    desktop.conn.flush().map_err(|error| display(&error))
}

fn connect() -> Result<Desktop, MeasureError> {
    Desktop::connect().map_err(|reason| MeasureError::Display { reason })
}
