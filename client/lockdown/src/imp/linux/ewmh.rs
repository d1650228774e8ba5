//! What the window manager says, by the extended window manager hints.

use x11rb::{
    connection::Connection,
    errors::{ConnectionError, ReplyError},
    protocol::xproto::{Atom, AtomEnum, ConnectionExt as _, Window},
    rust_connection::RustConnection,
};

use super::tracker::Look;
use crate::watch::WindowIdentity;

x11rb::atom_manager! {
    /// The names that this crate uses at the display server.
    pub(super) Atoms:
    /// The names, asked for and not yet answered.
    AtomsCookie {
        _NET_ACTIVE_WINDOW,
        _NET_CLIENT_LIST,
        _NET_CLIENT_LIST_STACKING,
        _NET_SUPPORTING_WM_CHECK,
        _NET_WM_PID,
        _NET_WM_STATE,
        _NET_WM_STATE_ABOVE,
        _NET_WM_STATE_FULLSCREEN,
        _QORGAN_CLIPBOARD,
        _QORGAN_STOP,
        CLIPBOARD,
        WM_STATE,
    }
}

/// A connection of its own, with the names and the root window.
#[derive(Debug)]
pub(super) struct Desktop {
    pub(super) conn: RustConnection,
    pub(super) atoms: Atoms,
    pub(super) root: Window,
}

impl Desktop {
    /// Connects to the display of the environment.
    ///
    /// # Errors
    /// Fails, in words, where there is none.
    pub(super) fn connect() -> Result<Self, String> {
        let (conn, screen) = x11rb::connect(None).map_err(|error| error.to_string())?;
        let atoms = Atoms::new(&conn)
            .map_err(|error| error.to_string())?
            .reply()
            .map_err(|error| error.to_string())?;
        let root = conn
            .setup()
            .roots
            .get(screen)
            .map(|screen| screen.root)
            .ok_or_else(|| "the display has no screen".to_owned())?;
        Ok(Self { conn, atoms, root })
    }

    /// Returns whether a window manager names its active window.
    pub(super) fn has_manager(&self) -> bool {
        self.windows(self.root, self.atoms._NET_SUPPORTING_WM_CHECK)
            .is_ok_and(|windows| !windows.is_empty())
    }

    /// Looks at the active window and the stacking order.
    pub(super) fn look(&self) -> Result<Look, ReplyError> {
        let active = self
            .windows(self.root, self.atoms._NET_ACTIVE_WINDOW)?
            .first()
            .copied()
            .filter(|&window| window != x11rb::NONE);
        let mut stacking = self.windows(self.root, self.atoms._NET_CLIENT_LIST_STACKING)?;
        if stacking.is_empty() {
            stacking = self.windows(self.root, self.atoms._NET_CLIENT_LIST)?;
        }
        Ok(Look { active, stacking })
    }

    /// Reads which program `window` belongs to; what it does not say stays empty.
    pub(super) fn identify(&self, window: Window) -> WindowIdentity {
        let class = self
            .bytes(window, AtomEnum::WM_CLASS.into(), AtomEnum::STRING.into())
            .and_then(|bytes| {
                let class = bytes.split(|&byte| byte == 0).nth(1)?;
                (!class.is_empty()).then(|| String::from_utf8_lossy(class).into_owned())
            });
        let pid = self
            .cardinals(window, self.atoms._NET_WM_PID, AtomEnum::CARDINAL.into())
            .ok()
            .and_then(|values| values.first().copied());
        WindowIdentity { class, pid }
    }

    /// Returns the states that the window manager keeps for `window`.
    pub(super) fn states(&self, window: Window) -> Result<Vec<Atom>, ReplyError> {
        self.cardinals(window, self.atoms._NET_WM_STATE, AtomEnum::ATOM.into())
    }

    /// Returns whether `window` frames a managed one, as window managers' decorations do.
    pub(super) fn is_frame(&self, window: Window) -> bool {
        let Some(tree) = self
            .conn
            .query_tree(window)
            .ok()
            .and_then(|cookie| cookie.reply().ok())
        else {
            return false;
        };
        tree.children
            .iter()
            .chain(std::iter::once(&window))
            .any(|&child| self.is_managed(child))
    }

    /// Returns whether `window` is this program's clipboard owner.
    pub(super) fn is_own_clipboard(&self, window: Window) -> bool {
        self.cardinals(
            window,
            self.atoms._QORGAN_CLIPBOARD,
            AtomEnum::CARDINAL.into(),
        )
        .is_ok_and(|marks| !marks.is_empty())
    }

    fn is_managed(&self, window: Window) -> bool {
        self.cardinals(window, self.atoms.WM_STATE, self.atoms.WM_STATE)
            .is_ok_and(|state| !state.is_empty())
    }

    fn windows(&self, window: Window, property: Atom) -> Result<Vec<Window>, ReplyError> {
        self.cardinals(window, property, AtomEnum::WINDOW.into())
    }

    fn cardinals(
        &self,
        window: Window,
        property: Atom,
        kind: Atom,
    ) -> Result<Vec<u32>, ReplyError> {
        let reply = self
            .conn
            .get_property(false, window, property, kind, 0, LIST_WORDS_MAX)?
            .reply()?;
        Ok(reply.value32().map(Iterator::collect).unwrap_or_default())
    }

    fn bytes(&self, window: Window, property: Atom, kind: Atom) -> Option<Vec<u8>> {
        let cookie = self
            .conn
            .get_property(false, window, property, kind, 0, LIST_WORDS_MAX)
            .ok()?;
        Some(cookie.reply().ok()?.value)
    }
}

/// Sends a word to a window of our own, to wake the thread that waits for its events.
pub(super) fn wake(
    conn: &RustConnection,
    window: Window,
    word: Atom,
) -> Result<(), ConnectionError> {
    let event = x11rb::protocol::xproto::ClientMessageEvent::new(32, window, word, [0, 0, 0, 0, 0]);
    conn.send_event(
        false,
        window,
        x11rb::protocol::xproto::EventMask::NO_EVENT,
        event,
    )?;
    conn.flush()
}

/// More windows than this are not listed; a desktop with as many is not one to sit an exam on.
const LIST_WORDS_MAX: u32 = 4096;
