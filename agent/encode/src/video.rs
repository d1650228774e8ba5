//! Pictures to H.264.

use qorgan_protocol::media::ParameterSets;

use crate::budget::{BLOCK_MAX, QP_LAST, QpBudget};
use crate::imp::openh264::{Outcome, RawEncoder};
use crate::nal::{self, NAL_IDR, NAL_PPS, NAL_SLICE, NAL_SPS};
use crate::picture::I420Ref;
use crate::profile::Rate;
use crate::settings::{EncodeError, VideoSettings};
use crate::time::MediaTime;

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
        // A forced key frame is for a code that must be read: it keeps every pixel.
        let block = match &self.budget {
            Some(budget) if !force_key => budget.block(),
            Some(_) | None => 1,
        };
        let mut written = self.write(picture, at, block)?;
        if !force_key && self.is_spike(&written) {
            // Nobody has it yet, so another one can be sent in its place that stands alone.
            self.raw.set_qp(QP_LAST)?;
            self.raw.force_key()?;
            written = self.write(picture, at, BLOCK_MAX)?;
        }
        let Some((data, is_key)) = written else {
            return Ok(None);
        };
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

    /// Encodes a picture, blocks of `block` pixels a side in one colour; nothing where it was left
    /// out. Tells with the bytes whether it can be decoded alone.
    fn write(
        &mut self,
        picture: &I420Ref<'_>,
        at: MediaTime,
        block: u32,
    ) -> Result<Option<(Vec<u8>, bool)>, EncodeError> {
        let coarse = (block > 1).then(|| picture.in_blocks(block));
        let (width, height) = (picture.width(), picture.height());
        let lent = match &coarse {
            Some(bytes) => I420Ref::tight(width, height, bytes)
                .map_err(|_size| EncodeError::SizeChanged { width, height })?,
            None => *picture,
        };
        let at_ms = i64::try_from(at.as_nanos() / NANOS_PER_MS).unwrap_or(i64::MAX);
        let mut data = Vec::new();
        let mut is_key = false;
        let outcome = self.raw.encode(&lent, at_ms, &mut |unit| {
            let unit = nal::without_start_code(unit);
            let kind = nal::kind_of(unit);
            if let (Some(NAL_IDR | NAL_SLICE), Ok(length)) = (kind, u32::try_from(unit.len())) {
                data.extend_from_slice(&length.to_be_bytes());
                data.extend_from_slice(unit);
                is_key |= kind == Some(NAL_IDR);
            }
        })?;
        let skipped = outcome == Outcome::Skipped || data.is_empty();
        Ok((!skipped).then_some((data, is_key)))
    }

    fn is_spike(&self, written: &Option<(Vec<u8>, bool)>) -> bool {
        match (&self.budget, written) {
            (Some(budget), Some((data, _))) => budget.is_spike(data.len()),
            (Some(_) | None, Some(_) | None) => false,
        }
    }

    fn key_is_due(&self, at: MediaTime) -> bool {
        self.last_key
            .and_then(|last| at.since(last))
            .is_none_or(|since| since >= self.settings.key_interval)
    }
}

const NANOS_PER_MS: u64 = 1_000_000;
