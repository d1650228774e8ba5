//! What sources are, what they give, and how they are lost.

use std::sync::Arc;

/// Samples in a second of every [`PcmBlock`].
pub const SAMPLES_PER_S: u32 = 48_000;

/// Whether a source is what it seems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// The operating system presents it as a device.
    Device,
    /// This program plays files.
    Simulated,
}

/// What a source says about itself, to be passed on to the server as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDescription {
    /// Whether it is a device.
    pub kind: SourceKind,
    /// The driver or the interface that it is read through.
    pub driver: String,
    /// Its name.
    pub name: String,
    /// The bus that it hangs on, where the system tells.
    pub bus: Option<String>,
    /// Picture width in pixels; zero for sound.
    pub width: u32,
    /// Picture height in pixels; zero for sound.
    pub height: u32,
    /// Pictures in a second at most; zero for sound.
    pub frames_per_s: u32,
    /// Samples in a second as the device gives them; zero for pictures.
    pub samples_per_s: u32,
}

/// Something that happened at a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptureEvent<T> {
    /// The source gives pictures or samples from here on.
    Opened(SourceDescription),
    /// A picture or a block of samples.
    Sample(T),
    /// The source gives nothing from here on; it is being opened again.
    Lost(LossCause),
}

/// Why a source gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LossCause {
    /// There is no such device.
    Missing,
    /// Another program holds it.
    Busy,
    /// The system does not let this program use it.
    Denied,
    /// It was there and is gone, or has changed so that it must be opened again.
    Unplugged,
    /// It is there but gives nothing.
    Stalled,
    /// It cannot be used here.
    Unsupported {
        /// What a person can be told.
        reason: String,
    },
}

impl LossCause {
    /// Makes the cause for something that cannot be used here.
    pub(crate) fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported {
            reason: reason.into(),
        }
    }

    /// Finds the cause in an error text that quotes the system's error number.
    pub(crate) fn of_text(text: &str) -> Self {
        let quotes = |number: &str| text.contains(&format!("os error {number})"));
        if quotes("2") || quotes("6") {
            Self::Missing
        } else if quotes("1") || quotes("13") {
            Self::Denied
        } else if quotes("16") {
            Self::Busy
        } else if quotes("19") || quotes("5") {
            Self::Unplugged
        } else {
            Self::unsupported(text)
        }
    }
}

/// A picture in planar 4:2:0 without padding: Y, then U, then V.
///
/// A camera's picture is BT.601, a display's BT.709, both in limited range. Both sides are even.
#[derive(Clone, PartialEq, Eq)]
pub struct I420Frame {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The three planes one after another; shared with the frame before where nothing changed.
    pub planes: Arc<Vec<u8>>,
    /// When it was captured, by [`crate::clock`].
    pub captured_ns: u64,
    /// Whether it is the same picture as the frame before.
    pub unchanged: bool,
    /// Where the pointer was drawn into a display's picture; a capture without pointers has none.
    pub pointer: Option<PointerArea>,
}

/// Where a pointer was drawn into a picture, in the picture's own pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointerArea {
    /// Its left edge.
    pub left: u32,
    /// Its upper edge.
    pub top: u32,
    /// Its width, within the picture.
    pub width: u32,
    /// Its height, within the picture.
    pub height: u32,
}

impl I420Frame {
    /// Returns Y, U and V.
    #[must_use]
    pub fn yuv(&self) -> [&[u8]; 3] {
        let luma = plane_bytes(self.width, self.height);
        let (y, chroma) = self
            .planes
            .split_at_checked(luma)
            .unwrap_or((&self.planes, &[]));
        let (u, v) = chroma.split_at(chroma.len() / 2);
        [y, u, v]
    }
}

impl std::fmt::Debug for I420Frame {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("I420Frame")
            .field("width", &self.width)
            .field("height", &self.height)
            .field("captured_ns", &self.captured_ns)
            .field("unchanged", &self.unchanged)
            .finish_non_exhaustive()
    }
}

/// A run of mono samples at [`SAMPLES_PER_S`].
#[derive(Clone, PartialEq, Eq)]
pub struct PcmBlock {
    /// The samples.
    pub samples: Vec<i16>,
    /// When the first was captured, by [`crate::clock`].
    pub captured_ns: u64,
}

impl std::fmt::Debug for PcmBlock {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("PcmBlock")
            .field("samples", &self.samples.len())
            .field("captured_ns", &self.captured_ns)
            .finish_non_exhaustive()
    }
}

/// Returns the bytes of a plane.
pub(crate) fn plane_bytes(width: u32, height: u32) -> usize {
    usize::try_from(u64::from(width) * u64::from(height)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_numbers_become_causes() {
        let of = |number: u32| LossCause::of_text(&format!("V4L2 Error: x (os error {number})"));
        assert_eq!(of(2), LossCause::Missing);
        assert_eq!(of(13), LossCause::Denied);
        assert_eq!(of(16), LossCause::Busy);
        assert_eq!(of(19), LossCause::Unplugged);
        assert!(matches!(of(22), LossCause::Unsupported { .. }));
    }

    #[test]
    fn pictures_and_samples_never_reach_a_debug_text() {
        let frame = I420Frame {
            width: 2,
            height: 2,
            planes: Arc::new(vec![201; 6]),
            captured_ns: 1,
            unchanged: false,
            pointer: None,
        };
        assert!(!format!("{frame:?}").contains("201"));
        assert_eq!(frame.yuv().map(<[u8]>::len), [4, 1, 1]);
    }
}
