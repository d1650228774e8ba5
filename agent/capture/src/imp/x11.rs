//! A display's stream on X11.
//!
//! The server copies the display into shared memory; only bands of rows that differ from the
//! picture before are converted. Between changes nothing is copied at all: the server's damage
//! reports say when to look, and every [`LOOK_ANYWAY`] the display is compared without one.

#![expect(unsafe_code, reason = "the server's shared memory is mapped")]

use std::fs::File;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use memmap2::{Mmap, MmapOptions};
use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::Event;
use x11rb::protocol::damage::{ConnectionExt as _, ReportLevel};
use x11rb::protocol::randr::{self, ConnectionExt as _};
use x11rb::protocol::shm::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat, ImageOrder, Window};
use x11rb::rust_connection::RustConnection;
use yuv::{BufferStoreMut, YuvPlanarImageMut, YuvRange, bgra_to_yuv420};

use crate::convert;
use crate::screen::DisplayDescription;
use crate::source::{I420Frame, LossCause, SourceDescription, SourceKind, plane_bytes};
use crate::supervise::Sink;

/// How a run ended.
pub(super) enum Ended {
    /// The display is lost.
    Lost(LossCause),
    /// The server shares no memory with this program.
    NoSharedMemory,
}

/// Gives a display's pictures to `sink` until it is closed or the display is lost.
pub(super) fn run(
    display: &DisplayDescription,
    frames_per_s: u32,
    sink: &Sink<I420Frame>,
) -> Ended {
    let mut grabber = match Grabber::open(display) {
        Ok(grabber) => grabber,
        Err(ended) => return ended,
    };
    let period = Duration::from_secs(1) / frames_per_s.max(1);
    if !sink.opened(grabber.description(display, frames_per_s)) {
        return Ended::Lost(LossCause::Stalled);
    }
    let mut due = Instant::now();
    loop {
        match grabber.next() {
            Ok(frame) => {
                if !sink.sample(frame) {
                    return Ended::Lost(LossCause::Stalled);
                }
            }
            Err(cause) => return Ended::Lost(cause),
        }
        due = (due + period).max(Instant::now());
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// Where a display lies on the root window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    x: i16,
    y: i16,
    width: u16,
    height: u16,
}

struct Grabber {
    connection: RustConnection,
    root: Window,
    name: String,
    place: Place,
    segment: shm::Seg,
    memory: Mmap,
    damage: Option<u32>,
    before: Vec<u8>,
    planes: Arc<Vec<u8>>,
    looked: Option<Instant>,
}

impl Grabber {
    fn open(display: &DisplayDescription) -> Result<Self, Ended> {
        let lost = |_error| Ended::Lost(LossCause::Missing);
        let (connection, screen) = RustConnection::connect(None).map_err(lost)?;
        let setup = connection.setup();
        let screen = setup
            .roots
            .get(screen)
            .ok_or(Ended::Lost(LossCause::Missing))?;
        let (root, depth) = (screen.root, screen.root_depth);
        let four_bytes = setup
            .pixmap_formats
            .iter()
            .any(|format| format.depth == depth && format.bits_per_pixel == 32);
        if !four_bytes || setup.image_byte_order != ImageOrder::LSB_FIRST {
            return Err(Ended::NoSharedMemory);
        }
        let place = place_of(&connection, root, &display.name).map_err(Ended::Lost)?;
        let (segment, memory) = shared(&connection, place).ok_or(Ended::NoSharedMemory)?;
        let damage = watch(&connection, root);
        let (width, height) = even(place);
        Ok(Self {
            connection,
            root,
            name: display.name.clone(),
            place,
            segment,
            before: vec![0; memory.len()],
            memory,
            damage,
            planes: Arc::new(vec![0; convert::i420_bytes(width, height)]),
            looked: None,
        })
    }

    fn description(&self, display: &DisplayDescription, frames_per_s: u32) -> SourceDescription {
        let (width, height) = even(self.place);
        SourceDescription {
            kind: SourceKind::Device,
            driver: "x11-shm".to_owned(),
            name: display.name.clone(),
            bus: std::env::var("DISPLAY").ok(),
            width,
            height,
            frames_per_s,
            samples_per_s: 0,
        }
    }

    fn next(&mut self) -> Result<I420Frame, LossCause> {
        let damaged = self.heed_events()?;
        let stale = self
            .looked
            .is_none_or(|looked| looked.elapsed() >= LOOK_ANYWAY);
        let captured_ns = crate::clock::now_ns();
        let first = self.looked.is_none();
        let changed = (damaged || stale) && self.look()?;
        let (width, height) = even(self.place);
        let planes = Arc::clone(&self.planes);
        Ok(I420Frame {
            width,
            height,
            planes,
            captured_ns,
            unchanged: !changed && !first,
        })
    }

    /// Reads what the server reported; true if something may have been drawn.
    fn heed_events(&self) -> Result<bool, LossCause> {
        let mut drawn = self.damage.is_none();
        let gone = |_error| LossCause::Unplugged;
        while let Some(event) = self.connection.poll_for_event().map_err(gone)? {
            if matches!(event, Event::DamageNotify(_)) {
                drawn = true;
            } else if matches!(
                event,
                Event::RandrScreenChangeNotify(_) | Event::RandrNotify(_)
            ) {
                let place = place_of(&self.connection, self.root, &self.name)
                    .map_err(|_missing| LossCause::Unplugged)?;
                if place != self.place {
                    return Err(LossCause::Unplugged);
                }
                drawn = true;
            }
        }
        if drawn && let Some(damage) = self.damage {
            // Forgotten before the picture is taken: what is drawn from here on is reported again.
            self.connection
                .damage_subtract(damage, x11rb::NONE, x11rb::NONE)
                .map_err(|_gone| LossCause::Unplugged)?;
        }
        Ok(drawn)
    }

    /// Takes the picture and converts the bands that differ; true if any did.
    fn look(&mut self) -> Result<bool, LossCause> {
        let Place {
            x,
            y,
            width,
            height,
        } = self.place;
        let format = u8::from(ImageFormat::Z_PIXMAP);
        self.connection
            .shm_get_image(
                self.root,
                x,
                y,
                width,
                height,
                ALL_PLANES,
                format,
                self.segment,
                0,
            )
            .map_err(|_gone| LossCause::Unplugged)?
            .reply()
            .map_err(|_outside| LossCause::Unplugged)?;
        let first = self.looked.is_none();
        self.looked = Some(Instant::now());
        let stride = usize::from(width) * 4;
        let (even_width, even_height) = even(self.place);
        let mut changed = false;
        let mut top = 0;
        while top < even_height {
            let rows = BAND_ROWS.min(even_height - top);
            let from = stride * usize::try_from(top).unwrap_or(0);
            let range = from..from + stride * usize::try_from(rows).unwrap_or(0);
            let short = || LossCause::unsupported("the shared memory is too short");
            let seen = self.memory.get(range.clone()).ok_or_else(short)?;
            let kept = self.before.get_mut(range).ok_or_else(short)?;
            if first || seen != kept {
                kept.copy_from_slice(seen);
                let planes = Arc::make_mut(&mut self.planes);
                bgrx_rows(
                    kept,
                    (even_width, even_height),
                    u32::from(width) * 4,
                    (top, rows),
                    planes,
                )?;
                changed = true;
            }
            top += rows;
        }
        Ok(changed)
    }
}

/// Converts some rows of a display, blue first, into a whole picture; the rows start at `top`.
fn bgrx_rows(
    bytes: &[u8],
    (width, height): (u32, u32),
    stride: u32,
    (top, rows): (u32, u32),
    picture: &mut [u8],
) -> Result<(), LossCause> {
    let (y, chroma) = picture.split_at_mut(plane_bytes(width, height));
    let (u, v) = chroma.split_at_mut(plane_bytes(width / 2, height / 2));
    let luma = plane_bytes(width, top)..plane_bytes(width, top + rows);
    let half = plane_bytes(width / 2, top / 2)..plane_bytes(width / 2, (top + rows) / 2);
    let outside = || LossCause::unsupported("rows outside of the picture");
    let mut image = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y.get_mut(luma).ok_or_else(outside)?),
        y_stride: width,
        u_plane: BufferStoreMut::Borrowed(u.get_mut(half.clone()).ok_or_else(outside)?),
        u_stride: width / 2,
        v_plane: BufferStoreMut::Borrowed(v.get_mut(half).ok_or_else(outside)?),
        v_stride: width / 2,
        width,
        height: rows,
    };
    let matrix = convert::Colours::Screen.matrix();
    bgra_to_yuv420(
        &mut image,
        bytes,
        stride,
        YuvRange::Limited,
        matrix,
        convert::MODE,
    )
    .map_err(convert::described)
}

fn place_of(connection: &RustConnection, root: Window, name: &str) -> Result<Place, LossCause> {
    let gone = || LossCause::Missing;
    let monitors = connection
        .randr_get_monitors(root, true)
        .ok()
        .and_then(|cookie| cookie.reply().ok())
        .ok_or_else(gone)?;
    for monitor in &monitors.monitors {
        let atom = connection
            .get_atom_name(monitor.name)
            .ok()
            .and_then(|cookie| cookie.reply().ok());
        let found = atom.is_some_and(|atom| atom.name == name.as_bytes());
        if found {
            return Ok(Place {
                x: monitor.x,
                y: monitor.y,
                width: monitor.width,
                height: monitor.height,
            });
        }
    }
    Err(gone())
}

fn shared(connection: &RustConnection, place: Place) -> Option<(shm::Seg, Mmap)> {
    let version = connection.shm_query_version().ok()?.reply().ok()?;
    if (version.major_version, version.minor_version) < (1, 2) {
        return None;
    }
    let bytes = u32::from(place.width) * u32::from(place.height) * 4;
    let segment = connection.generate_id().ok()?;
    let reply = connection
        .shm_create_segment(segment, bytes, false)
        .ok()?
        .reply()
        .ok()?;
    let file = File::from(reply.shm_fd);
    let length = usize::try_from(bytes).ok()?;
    // SAFETY: the file is memory that the server made for this connection alone; the server writes
    // it only while it answers `shm_get_image`, and it is read only after that answer.
    let memory = unsafe { MmapOptions::new().len(length).map(&file) }.ok()?;
    Some((segment, memory))
}

/// Asks for reports of drawing and of changes of the displays.
fn watch(connection: &RustConnection, root: Window) -> Option<u32> {
    let mask = randr::NotifyMask::SCREEN_CHANGE | randr::NotifyMask::CRTC_CHANGE;
    connection
        .randr_select_input(root, mask)
        .ok()?
        .check()
        .ok()?;
    connection
        .extension_information(x11rb::protocol::damage::X11_EXTENSION_NAME)
        .ok()??;
    connection.damage_query_version(1, 1).ok()?.reply().ok()?;
    let damage = connection.generate_id().ok()?;
    connection
        .damage_create(damage, root, ReportLevel::NON_EMPTY)
        .ok()?
        .check()
        .ok()?;
    Some(damage)
}

fn even(place: Place) -> (u32, u32) {
    (u32::from(place.width) & !1, u32::from(place.height) & !1)
}

/// The display is compared this often, also when the server reports nothing.
const LOOK_ANYWAY: Duration = Duration::from_secs(2);
/// Rows that are compared and converted together; even, for two rows share their colour.
const BAND_ROWS: u32 = 16;
const ALL_PLANES: u32 = !0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::i420_bytes;

    #[test]
    fn rows_converted_alone_equal_the_whole() {
        let (width, height) = (64_u32, 48_u32);
        let pixels: Vec<u8> = (0..width * height)
            .flat_map(|n| [n % 251, n / 7 % 253, n / 64 * 5 % 255, 255])
            .map(|value| u8::try_from(value).expect("a shade"))
            .collect();
        let mut whole = vec![0; i420_bytes(width, height)];
        bgrx_rows(&pixels, (width, height), width * 4, (0, height), &mut whole)
            .expect("it converts");
        let mut parts = vec![0; i420_bytes(width, height)];
        for top in (0..height).step_by(16) {
            let from = plane_bytes(width * 4, top);
            bgrx_rows(
                &pixels[from..],
                (width, height),
                width * 4,
                (top, 16),
                &mut parts,
            )
            .expect("it converts");
        }
        assert_eq!(whole, parts);
    }
}
