//! An X server of our own with something on it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use qorgan_capture::screen::{self, DisplayDescription};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ConnectionExt as _, CreateGCAux, Gcontext, ImageFormat};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use crate::material::{Page, SCREEN};

pub(crate) struct Server {
    child: Child,
    pub(crate) name: String,
    connection: RustConnection,
    screen: usize,
    context: Gcontext,
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        let mut child = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-noreset",
                "-screen",
                "0",
                "1920x1080x24",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("Xvfb is needed")?;
        let mut line = String::new();
        let output = child.stdout.take().context("the output is piped")?;
        BufReader::new(output).read_line(&mut line)?;
        let name = format!(":{}", line.trim());
        let (connection, screen) = RustConnection::connect(Some(&name))?;
        let context = connection.generate_id()?;
        let root = connection.setup().roots[screen].root;
        connection
            .create_gc(context, root, &CreateGCAux::new())?
            .check()?;
        Ok(Self {
            child,
            name,
            connection,
            screen,
            context,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn display(&self) -> Result<DisplayDescription> {
        choose("DISPLAY", &self.name);
        choose("WAYLAND_DISPLAY", "");
        let displays = screen::displays().map_err(|cause| anyhow::anyhow!("{cause:?}"))?;
        displays
            .into_iter()
            .next()
            .context("the server has a display")
    }

    /// Shows a page, moved up by so many rows; what leaves at the top comes in below.
    pub(crate) fn paint(&self, page: &Page, rows: usize) -> Result<()> {
        let mut bytes = page.bgrx.clone();
        let (width, height) = SCREEN;
        let all = usize::try_from(height)?;
        bytes.rotate_left(usize::try_from(width)? * 4 * (rows % all));
        let screen = &self.connection.setup().roots[self.screen];
        self.connection.put_image(
            ImageFormat::Z_PIXMAP,
            screen.root,
            self.context,
            u16::try_from(width)?,
            u16::try_from(height)?,
            0,
            0,
            0,
            screen.root_depth,
            &bytes,
        )?;
        self.connection.sync()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that is gone already needs no end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[expect(
    unsafe_code,
    reason = "a user chooses the display by the environment too"
)]
fn choose(name: &str, value: &str) {
    // SAFETY: the program has one thread at this moment.
    unsafe { std::env::set_var(name, value) };
}
