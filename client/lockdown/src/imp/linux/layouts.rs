//! The keyboard's layouts, by XKB: while the kiosk holds the keyboard, no desktop hears the keys that
//! switch them.

use x11rb::{
    protocol::{
        xkb::{ConnectionExt as _, ID, NameDetail},
        xproto::{ConnectionExt as _, ModMask},
    },
    rust_connection::RustConnection,
};

use super::display;
use crate::{layouts::Layout, measure::MeasureError};

/// A connection that reads and switches layouts.
#[derive(Debug)]
pub struct Layouts {
    conn: RustConnection,
}

impl Layouts {
    /// Connects to the display of the environment.
    ///
    /// # Errors
    /// Fails where there is none, or it knows no XKB.
    pub fn open() -> Result<Self, MeasureError> {
        let (conn, _) = x11rb::connect(None).map_err(|error| display(&error))?;
        let used = conn
            .xkb_use_extension(1, 0)
            .map_err(|error| display(&error))?;
        let used = used.reply().map_err(|error| display(&error))?;
        if used.supported {
            Ok(Self { conn })
        } else {
            Err(MeasureError::NotAvailable {
                reason: "the display knows no keyboard layouts",
            })
        }
    }

    /// Reads which layout is in use.
    ///
    /// # Errors
    /// Fails where the display is gone.
    pub fn read(&self) -> Result<Layout, MeasureError> {
        let keyboard = ID::USE_CORE_KBD.into();
        let failed = |error: x11rb::errors::ConnectionError| display(&error);
        let refused = |error: x11rb::errors::ReplyError| display(&error);
        let names = self
            .conn
            .xkb_get_names(keyboard, NameDetail::GROUP_NAMES)
            .map_err(failed)?;
        let state = self.conn.xkb_get_state(keyboard).map_err(failed)?;
        let groups = names
            .reply()
            .map_err(refused)?
            .value_list
            .groups
            .unwrap_or_default();
        let current = usize::from(u8::from(state.reply().map_err(refused)?.group));
        let mut read = Vec::new();
        for group in groups {
            let name = self
                .conn
                .get_atom_name(group)
                .map_err(failed)?
                .reply()
                .map_err(refused)?;
            read.push(String::from_utf8_lossy(&name.name).into_owned());
        }
        Ok(Layout {
            names: read,
            current,
        })
    }

    /// Goes on to the next layout.
    ///
    /// # Errors
    /// Fails where the display is gone or refuses.
    pub fn switch(&self) -> Result<(), MeasureError> {
        let next = self.read()?.next();
        let none = ModMask::default();
        self.conn
            .xkb_latch_lock_state(
                ID::USE_CORE_KBD.into(),
                none,
                none,
                true,
                next.into(),
                none,
                false,
                0,
            )
            .map_err(|error| display(&error))?
            .check()
            .map_err(|error| display(&error))
    }
}
