//! Pictures to H.264.

use std::time::Duration;

use thiserror::Error;

use crate::imp::openh264::{Outcome, RawEncoder};
use crate::nal::{self, NAL_IDR, NAL_PPS, NAL_SLICE, NAL_SPS, ParameterSets};
use crate::picture::I420Ref;
use crate::profile::{CameraSettings, Entropy, Rate, ScreenSettings};
use crate::time::MediaTime;

/// What a stream shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A camera.
    Camera,
    /// A display.
    Screen,
}

/// How one video stream is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoSettings {
    /// What the stream shows.
    pub content: Content,
    /// Picture width in pixels, even.
    pub width: u32,
    /// Picture height in pixels, even.
    pub height: u32,
    /// Frames in a second at most.
    pub frames_per_s: u32,
    /// What holds the bytes down.
    pub rate: Rate,
    /// How symbols are written.
    pub entropy: Entropy,
    /// The longest time between two key frames.
    pub key_interval: Duration,
}

impl VideoSettings {
    /// Returns the settings of a camera that gives pictures of this size.
    #[must_use]
    pub const fn camera(settings: &CameraSettings, width: u32, height: u32) -> Self {
        Self {
            content: Content::Camera,
            width,
            height,
            frames_per_s: settings.frames_per_s,
            rate: settings.rate,
            entropy: settings.entropy,
            key_interval: settings.key_interval,
        }
    }

    /// Returns the settings of a display of this size.
    #[must_use]
    pub const fn screen(settings: &ScreenSettings, width: u32, height: u32) -> Self {
        Self {
            content: Content::Screen,
            width,
            height,
            frames_per_s: settings.frames_per_s,
            rate: settings.rate,
            entropy: settings.entropy,
            key_interval: settings.key_interval,
        }
    }
}

/// Why a picture could not be encoded.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum EncodeError {
    /// A setting is out of the encoder's range.
    #[error("a setting is out of the encoder's range")]
    Settings,
    /// The library refused a call.
    #[error("openh264 refused `{call}` with {code}")]
    Library {
        /// What was asked.
        call: &'static str,
        /// What it answered.
        code: i32,
    },
    /// The encoder gave no usable parameter sets.
    #[error("openh264 gave no parameter sets")]
    NoParameterSets,
    /// The picture has another size than the stream: begin a new stream.
    #[error("a picture of {width}x{height} came into a stream of another size")]
    SizeChanged {
        /// Width of the picture.
        width: u32,
        /// Height of the picture.
        height: u32,
    },
    /// The picture is not later than the one before.
    #[error("a picture is not later than the one before")]
    TimeWentBack,
}

/// One encoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    /// When it was captured.
    pub at: MediaTime,
    /// Whether it can be decoded alone.
    pub key: bool,
    /// Its NAL units, length-prefixed, without parameter sets.
    pub data: Vec<u8>,
}

/// Encodes one stream of pictures of one size.
#[derive(Debug)]
pub struct VideoEncoder {
    raw: RawEncoder,
    settings: VideoSettings,
    sets: ParameterSets,
    budget: Option<QpBudget>,
    last: Option<MediaTime>,
    last_key: Option<MediaTime>,
}

impl VideoEncoder {
    /// Opens an encoder; the parameter sets are known at once.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the library refuses the settings.
    pub fn new(settings: VideoSettings) -> Result<Self, EncodeError> {
        let mut raw = RawEncoder::new(&settings)?;
        let mut sps = Vec::new();
        let mut pps = Vec::new();
        raw.parameter_sets(&mut |unit| {
            let unit = nal::without_start_code(unit);
            match nal::kind_of(unit) {
                Some(NAL_SPS) => sps = unit.to_vec(),
                Some(NAL_PPS) => pps = unit.to_vec(),
                Some(_) | None => {}
            }
        })?;
        if sps.len() < 4 || pps.is_empty() {
            return Err(EncodeError::NoParameterSets);
        }
        let sets = ParameterSets { sps, pps };
        let budget = match settings.rate {
            Rate::Budget {
                bits_per_s,
                qp_min,
                qp_max,
            } => Some(QpBudget::new(bits_per_s, qp_min, qp_max)),
            Rate::Average { .. } | Rate::Quality { .. } => None,
        };
        Ok(Self {
            raw,
            settings,
            sets,
            budget,
            last: None,
            last_key: None,
        })
    }

    /// Returns the stream's parameter sets; they never change.
    #[must_use]
    pub const fn parameter_sets(&self) -> &ParameterSets {
        &self.sets
    }

    /// Returns the settings that the encoder was opened with.
    #[must_use]
    pub const fn settings(&self) -> &VideoSettings {
        &self.settings
    }

    /// Encodes one picture taken at `at`.
    ///
    /// The first picture, one after the key interval, and one with `force_key` is a key frame.
    /// Returns nothing where a stream with a budget has spent it: the caller shows the picture
    /// again a little later. Only a forced key frame is never left out: what is due by time alone
    /// waits like any other picture, for on a screen that never rests key frames cost most.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the size or time does not fit, or the library refuses.
    pub fn encode(
        &mut self,
        picture: &I420Ref<'_>,
        at: MediaTime,
        force_key: bool,
    ) -> Result<Option<EncodedFrame>, EncodeError> {
        let (width, height) = (picture.width(), picture.height());
        if (width, height) != (self.settings.width, self.settings.height) {
            return Err(EncodeError::SizeChanged { width, height });
        }
        if self.last.is_some_and(|last| at <= last) {
            return Err(EncodeError::TimeWentBack);
        }
        let key = force_key || self.key_is_due(at);
        if let Some(budget) = &mut self.budget {
            budget.pass_to(at);
            if !force_key && budget.asks_to_wait(self.last, at) {
                return Ok(None);
            }
            self.raw.set_qp(budget.qp())?;
        }
        if key {
            self.raw.force_key()?;
        }
        let at_ms = i64::try_from(at.as_nanos() / NANOS_PER_MS).unwrap_or(i64::MAX);
        let mut data = Vec::new();
        let mut is_key = false;
        let outcome = self.raw.encode(picture, at_ms, &mut |unit| {
            let unit = nal::without_start_code(unit);
            let kind = nal::kind_of(unit);
            if let (Some(NAL_IDR | NAL_SLICE), Ok(length)) = (kind, u32::try_from(unit.len())) {
                data.extend_from_slice(&length.to_be_bytes());
                data.extend_from_slice(unit);
                is_key |= kind == Some(NAL_IDR);
            }
        })?;
        if outcome == Outcome::Skipped || data.is_empty() {
            return Ok(None);
        }
        if let Some(budget) = &mut self.budget {
            budget.spend(data.len());
        }
        self.last = Some(at);
        if is_key {
            self.last_key = Some(at);
        }
        Ok(Some(EncodedFrame {
            at,
            key: is_key,
            data,
        }))
    }

    fn key_is_due(&self, at: MediaTime) -> bool {
        self.last_key
            .and_then(|last| at.since(last))
            .is_none_or(|since| since >= self.settings.key_interval)
    }
}

/// A quantiser that follows what was spent.
///
/// What is spent becomes debt, the budget pays it back over time. The quantiser goes from the
/// finest to the coarsest of the profile as the debt grows to what the budget gives in [`WINDOW`],
/// and on to [`QP_LAST`] as it grows to twice that; then pictures get fewer, down to one in
/// [`SPENT_PERIOD_MAX`].
#[derive(Debug)]
struct QpBudget {
    bits_per_s: u64,
    qp_min: u8,
    qp_max: u8,
    debt_bits: u64,
    paid_to: Option<MediaTime>,
}

impl QpBudget {
    fn new(bits_per_s: u32, qp_min: u8, qp_max: u8) -> Self {
        let bits_per_s = u64::from(bits_per_s);
        Self {
            bits_per_s,
            qp_min,
            qp_max,
            debt_bits: 0,
            paid_to: None,
        }
    }

    fn pass_to(&mut self, at: MediaTime) {
        let since = self
            .paid_to
            .and_then(|before| at.since(before))
            .unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.debt_bits = self
            .debt_bits
            .saturating_sub(self.bits_per_s.saturating_mul(millis) / 1_000);
        self.paid_to = Some(at);
    }

    fn spend(&mut self, bytes: usize) {
        let bits = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(8);
        self.debt_bits = self.debt_bits.saturating_add(bits);
    }

    fn qp(&self) -> u8 {
        let over_bits = self.debt_bits.saturating_sub(self.window_bits());
        if over_bits == 0 {
            self.between(self.qp_min, self.qp_max, self.debt_bits)
        } else {
            self.between(self.qp_max, self.qp_max.max(QP_LAST), over_bits)
        }
    }

    /// Returns the quantiser at a share of the window between two others.
    fn between(&self, from: u8, to: u8, bits: u64) -> u8 {
        let window_bits = self.window_bits();
        let range = u64::from(to.saturating_sub(from));
        let step = (bits.min(window_bits) * range).div_ceil(window_bits);
        from.saturating_add(u8::try_from(step).unwrap_or(u8::MAX))
            .min(to)
    }

    fn asks_to_wait(&self, last: Option<MediaTime>, at: MediaTime) -> bool {
        let limit_bits = self.window_bits() * 2;
        if self.debt_bits <= limit_bits {
            return false;
        }
        let millis = self.debt_bits.saturating_mul(1_000) / limit_bits;
        let period = Duration::from_millis(millis).min(SPENT_PERIOD_MAX);
        last.and_then(|last| at.since(last))
            .is_some_and(|since| since < period)
    }

    fn window_bits(&self) -> u64 {
        (self.bits_per_s * WINDOW.as_secs()).max(1)
    }
}

const WINDOW: Duration = Duration::from_secs(10);
/// A proctor sees a screen that never rests at least this often, whatever it costs.
const SPENT_PERIOD_MAX: Duration = Duration::from_secs(3);
/// The coarsest quantiser at which large text is still made out.
const QP_LAST: u8 = 48;
const NANOS_PER_MS: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantiser_follows_the_debt_and_recovers() {
        let mut budget = QpBudget::new(30_000, 30, 40);
        budget.pass_to(MediaTime::ZERO);
        assert_eq!(budget.qp(), 30);
        budget.spend(300_000 / 8);
        assert_eq!(budget.qp(), 40);
        budget.pass_to(MediaTime::from_millis(5_000));
        assert_eq!(budget.qp(), 35);
        budget.pass_to(MediaTime::from_millis(10_000));
        assert_eq!(budget.qp(), 30);
    }

    #[test]
    fn the_more_is_owed_the_longer_the_next_picture_waits() {
        let last = Some(MediaTime::ZERO);
        for (owed_bits, wait_ms) in [(600_000, 0), (900_000, 1_500), (60_000_000, 3_000)] {
            let mut budget = QpBudget::new(30_000, 30, 40);
            budget.pass_to(MediaTime::ZERO);
            budget.spend(owed_bits / 8);
            let before = MediaTime::from_millis(u64::saturating_sub(wait_ms, 1));
            assert_eq!(budget.asks_to_wait(last, before), wait_ms > 0);
            assert!(!budget.asks_to_wait(last, MediaTime::from_millis(wait_ms)));
        }
    }
}
