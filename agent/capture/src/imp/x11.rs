//! A display's stream on X11.
//!
//! The server copies the display into shared memory, or sends it where it shares none; only bands of
//! rows that differ from the picture before are converted. Between changes nothing is copied at all:
//! the server's damage reports say when to look, and every [`LOOK_ANYWAY`] the display is compared
//! without one. The pointer, which the server leaves out, is drawn over a copy.

#![expect(unsafe_code, reason = "the server's shared memory is mapped")]

mod pointer;

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use memmap2::{Mmap, MmapOptions};
use qorgan_seat::display::Area;
use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::Event;
use x11rb::protocol::damage::{ConnectionExt as _, ReportLevel};
use x11rb::protocol::randr::{self, ConnectionExt as _};
use x11rb::protocol::shm::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat, ImageOrder, Window};
use x11rb::rust_connection::RustConnection;
use yuv::{BufferStoreMut, YuvPlanarImageMut, YuvRange, bgra_to_yuv420};

use self::pointer::Pointer;
use crate::convert;
use crate::device::DisplayDescription;
use crate::source::{I420Frame, LossCause, SourceDescription, SourceKind, plane_bytes};
use crate::supervise::Sink;

/// Returns what the server scans out; monitors that clients define play no part.
pub(super) fn displays() -> Result<Vec<DisplayDescription>, LossCause> {
    let (connection, screen) =
        RustConnection::connect(None).map_err(|_error| LossCause::Missing)?;
    let setup = connection.setup();
    let root = setup.roots.get(screen).ok_or(LossCause::Missing)?.root;
    let primary = connection
        .randr_get_output_primary(root)
        .ok()
        .and_then(|cookie| cookie.reply().ok())
        .and_then(|primary| {
            let info = connection.randr_get_output_info(primary.output, 0).ok()?;
            Some(String::from_utf8_lossy(&info.reply().ok()?.name).into_owned())
        });
    let layout = qorgan_seat::platform::layout(&connection, root)
        .map_err(|error| LossCause::unsupported(format!("displays cannot be listed: {error}")))?;
    let recorded = layout.recorded();
    let described = recorded.into_iter().map(|recorded| DisplayDescription {
        primary: primary.as_ref() == Some(&recorded.name),
        name: recorded.name,
        x: recorded.area.x,
        y: recorded.area.y,
        width: recorded.area.width,
        height: recorded.area.height,
    });
    Ok(described.collect())
}

/// Gives a display's pictures to `sink` until it is closed or the display is lost.
pub(super) fn run(
    display: &DisplayDescription,
    frames_per_s: u32,
    sink: &Sink<I420Frame>,
) -> LossCause {
    let mut grabber = match Grabber::open(display) {
        Ok(grabber) => grabber,
        Err(cause) => return cause,
    };
    let period = Duration::from_secs(1) / frames_per_s.max(1);
    if !sink.opened(grabber.description(display, frames_per_s)) {
        return LossCause::Stalled;
    }
    let mut due = Instant::now();
    loop {
        match grabber.next() {
            Ok(frame) => {
                if !sink.sample(frame) {
                    return LossCause::Stalled;
                }
            }
            Err(cause) => return cause,
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

/// Where the server puts its copy.
enum Memory {
    /// Shared by the server.
    Shared(shm::Seg, Mmap),
    /// Sent by the server.
    Sent(Vec<u8>),
}

impl Memory {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(_, map) => map,
            Self::Sent(bytes) => bytes,
        }
    }
}

struct Grabber {
    connection: RustConnection,
    root: Window,
    name: String,
    place: Place,
    memory: Memory,
    damage: Option<u32>,
    pointer: Pointer,
    before: Vec<u8>,
    planes: Arc<Vec<u8>>,
    looked: Option<Instant>,
}

impl Grabber {
    fn open(display: &DisplayDescription) -> Result<Self, LossCause> {
        let (connection, screen) =
            RustConnection::connect(None).map_err(|_error| LossCause::Missing)?;
        let setup = connection.setup();
        let screen = setup.roots.get(screen).ok_or(LossCause::Missing)?;
        let (root, depth) = (screen.root, screen.root_depth);
        let four_bytes = setup
            .pixmap_formats
            .iter()
            .any(|format| format.depth == depth && format.bits_per_pixel == 32);
        if !four_bytes || setup.image_byte_order != ImageOrder::LSB_FIRST {
            return Err(LossCause::unsupported(format!(
                "a display of {depth} bits a pixel cannot be recorded: set it to 24"
            )));
        }
        let place = place_of(&connection, root, &display.name)?;
        let bytes = convert_bytes(place);
        let memory = shared(&connection, place).map_or_else(
            || Memory::Sent(vec![0; bytes]),
            |(segment, map)| Memory::Shared(segment, map),
        );
        let damage = watch(&connection, root);
        let pointer = Pointer::open(&connection, root);
        let (width, height) = even(place);
        Ok(Self {
            connection,
            root,
            name: display.name.clone(),
            place,
            memory,
            damage,
            pointer,
            before: vec![0; bytes],
            planes: Arc::new(vec![0; convert::i420_bytes(width, height)]),
            looked: None,
        })
    }

    fn description(&self, display: &DisplayDescription, frames_per_s: u32) -> SourceDescription {
        let (width, height) = even(self.place);
        let driver = match self.memory {
            Memory::Shared(..) => "x11-shm",
            Memory::Sent(_) => "x11-image",
        };
        SourceDescription {
            kind: SourceKind::Device,
            driver: driver.to_owned(),
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
        let moved = self
            .pointer
            .follow(&self.connection, self.root, self.place)
            .map_err(|_gone| LossCause::Unplugged)?;
        if damaged || stale {
            self.fetch()?;
        }
        let mut changed = false;
        if damaged || stale || moved.is_some() {
            changed = self.convert(first, moved.as_ref())?;
        }
        let (width, height) = even(self.place);
        let planes = Arc::clone(&self.planes);
        Ok(I420Frame {
            width,
            height,
            planes,
            captured_ns,
            unchanged: !changed && !first,
            pointer: self.pointer.area(self.place),
        })
    }

    /// Reads what the server reported; true if something may have been drawn.
    fn heed_events(&mut self) -> Result<bool, LossCause> {
        let mut drawn = self.damage.is_none();
        let gone = |_error| LossCause::Unplugged;
        while let Some(event) = self.connection.poll_for_event().map_err(gone)? {
            if matches!(event, Event::DamageNotify(_)) {
                drawn = true;
            } else if matches!(event, Event::XfixesCursorNotify(_)) {
                self.pointer.replaced();
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

    /// Has the server copy the display.
    fn fetch(&mut self) -> Result<(), LossCause> {
        let Place {
            x,
            y,
            width,
            height,
        } = self.place;
        let gone = || LossCause::Unplugged;
        match &mut self.memory {
            Memory::Shared(segment, _) => {
                let format = u8::from(ImageFormat::Z_PIXMAP);
                let root = self.root;
                let asked = self
                    .connection
                    .shm_get_image(root, x, y, width, height, ALL_PLANES, format, *segment, 0);
                asked
                    .ok()
                    .and_then(|cookie| cookie.reply().ok())
                    .map(drop)
                    .ok_or_else(gone)?;
            }
            Memory::Sent(bytes) => {
                let format = ImageFormat::Z_PIXMAP;
                let asked = self
                    .connection
                    .get_image(format, self.root, x, y, width, height, ALL_PLANES);
                let image = asked.ok().and_then(|cookie| cookie.reply().ok());
                *bytes = image.ok_or_else(gone)?.data;
            }
        }
        self.looked = Some(Instant::now());
        Ok(())
    }

    /// Converts the bands that differ, and those that the pointer left or came to; true if any did.
    fn convert(&mut self, first: bool, moved: Option<&Range<u32>>) -> Result<bool, LossCause> {
        let width = self.place.width;
        let stride = usize::from(width) * 4;
        let (even_width, even_height) = even(self.place);
        let pointer = self.pointer.area(self.place);
        let mut scratch = Vec::new();
        let mut changed = false;
        let mut top = 0;
        while top < even_height {
            let rows = BAND_ROWS.min(even_height - top);
            let from = stride * usize::try_from(top).unwrap_or(0);
            let range = from..from + stride * usize::try_from(rows).unwrap_or(0);
            let short = || LossCause::unsupported("the picture of the display is too short");
            let seen = self.memory.bytes().get(range.clone()).ok_or_else(short)?;
            let kept = self.before.get_mut(range).ok_or_else(short)?;
            let differs = first || seen != kept;
            let touched = moved.is_some_and(|moved| moved.start < top + rows && top < moved.end);
            if differs || touched {
                kept.copy_from_slice(seen);
                let mut band: &[u8] = kept;
                if pointer.is_some_and(|area| area.top < top + rows && top < area.top + area.height)
                {
                    scratch.clear();
                    scratch.extend_from_slice(kept);
                    self.pointer.draw(self.place, (top, rows), &mut scratch);
                    band = &scratch;
                }
                let planes = Arc::make_mut(&mut self.planes);
                let size = (even_width, even_height);
                bgrx_rows(band, size, u32::from(width) * 4, (top, rows), planes)?;
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
    let layout =
        qorgan_seat::platform::layout(connection, root).map_err(|_gone| LossCause::Missing)?;
    let recorded = layout.recorded();
    let found = recorded.into_iter().find(|display| display.name == name);
    let Area {
        x,
        y,
        width,
        height,
    } = found.ok_or(LossCause::Missing)?.area;
    let far = |_error| LossCause::unsupported("a display lies outside of what X11 can name");
    Ok(Place {
        x: i16::try_from(x).map_err(far)?,
        y: i16::try_from(y).map_err(far)?,
        width: u16::try_from(width).map_err(far)?,
        height: u16::try_from(height).map_err(far)?,
    })
}

/// Returns the bytes of the server's copy.
fn convert_bytes(place: Place) -> usize {
    usize::from(place.width) * usize::from(place.height) * 4
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
