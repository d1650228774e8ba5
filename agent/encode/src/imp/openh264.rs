//! openh264 by its C interface.
//!
//! The safe wrapper cannot choose arithmetic coding, set the quantiser of a stream without rate
//! control, or hand out the parameter sets before the first picture.

#![expect(unsafe_code, reason = "openh264 is a C library")]

use std::os::raw::{c_int, c_void};
use std::ptr::{self, NonNull};

use openh264_sys2 as sys;
use openh264_sys2::API as _;

use crate::picture::I420Ref;
use crate::profile::{Entropy, Rate};
use crate::settings::{Content, EncodeError, VideoSettings};

/// One encoder and the buffer it describes its output in.
pub(crate) struct RawEncoder {
    api: sys::DynamicAPI,
    encoder: NonNull<sys::ISVCEncoder>,
    calls: Calls,
    parameters: sys::SEncParamExt,
    output: Box<sys::SFrameBSInfo>,
}

/// What kind of picture came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A picture was written.
    Written,
    /// The encoder left the picture out.
    Skipped,
}

/// The functions of the encoder's table that are used.
#[derive(Clone, Copy)]
struct Calls {
    initialize: unsafe extern "C" fn(*mut sys::ISVCEncoder, *const sys::SEncParamExt) -> c_int,
    defaults: unsafe extern "C" fn(*mut sys::ISVCEncoder, *mut sys::SEncParamExt) -> c_int,
    uninitialize: unsafe extern "C" fn(*mut sys::ISVCEncoder) -> c_int,
    encode: unsafe extern "C" fn(
        *mut sys::ISVCEncoder,
        *const sys::SSourcePicture,
        *mut sys::SFrameBSInfo,
    ) -> c_int,
    parameter_sets: unsafe extern "C" fn(*mut sys::ISVCEncoder, *mut sys::SFrameBSInfo) -> c_int,
    force_intra: unsafe extern "C" fn(*mut sys::ISVCEncoder, bool) -> c_int,
    set_option:
        unsafe extern "C" fn(*mut sys::ISVCEncoder, sys::ENCODER_OPTION, *mut c_void) -> c_int,
}

impl RawEncoder {
    /// Creates and initialises an encoder.
    pub(crate) fn new(settings: &VideoSettings) -> Result<Self, EncodeError> {
        let api = sys::DynamicAPI::from_source();
        let mut created: *mut sys::ISVCEncoder = ptr::null_mut();
        // SAFETY: `created` outlives the call, which writes one pointer to it.
        let code = unsafe { api.WelsCreateSVCEncoder(&raw mut created) };
        check("create", code)?;
        let missing = EncodeError::Library {
            call: "create",
            code: -1,
        };
        let encoder = NonNull::new(created).ok_or(missing)?;
        let Some(calls) = Calls::of(encoder) else {
            // SAFETY: the pointer came from `WelsCreateSVCEncoder` and is not used again.
            unsafe { api.WelsDestroySVCEncoder(encoder.as_ptr()) };
            return Err(missing);
        };
        let parameters = sys::SEncParamExt::default();
        let output = Box::<sys::SFrameBSInfo>::default();
        // From here on `drop` destroys the encoder; it may be uninitialised before it is initialised.
        let mut this = Self {
            api,
            encoder,
            calls,
            parameters,
            output,
        };
        this.initialize(settings)?;
        Ok(this)
    }

    fn initialize(&mut self, settings: &VideoSettings) -> Result<(), EncodeError> {
        let mut quiet: c_int = sys::WELS_LOG_QUIET;
        self.set_option(
            "trace",
            sys::ENCODER_OPTION_TRACE_LEVEL,
            (&raw mut quiet).cast(),
        )?;
        // SAFETY: the encoder is alive, and the call fills the structure it is given.
        let code =
            unsafe { (self.calls.defaults)(self.encoder.as_ptr(), &raw mut self.parameters) };
        check("defaults", code)?;
        apply(settings, &mut self.parameters)?;
        // SAFETY: the encoder is alive, and the call only reads the structure.
        let code =
            unsafe { (self.calls.initialize)(self.encoder.as_ptr(), &raw const self.parameters) };
        check("initialize", code)?;
        let mut format: c_int = sys::videoFormatI420;
        self.set_option(
            "format",
            sys::ENCODER_OPTION_DATAFORMAT,
            (&raw mut format).cast(),
        )
    }

    /// Hands the stream's parameter sets to `sink`, one NAL unit at a time.
    pub(crate) fn parameter_sets(
        &mut self,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), EncodeError> {
        // SAFETY: the encoder is initialised, and the output structure is ours alone.
        let code =
            unsafe { (self.calls.parameter_sets)(self.encoder.as_ptr(), &raw mut *self.output) };
        check("parameter sets", code)?;
        self.drain(sink)
    }

    /// Makes the next picture a key frame.
    pub(crate) fn force_key(&mut self) -> Result<(), EncodeError> {
        // SAFETY: the encoder is initialised; the call takes no pointer of ours.
        let code = unsafe { (self.calls.force_intra)(self.encoder.as_ptr(), true) };
        check("key frame", code)
    }

    /// Sets the quantiser of a stream without rate control, from the next picture on.
    pub(crate) fn set_qp(&mut self, qp: u8) -> Result<(), EncodeError> {
        if self.parameters.sSpatialLayers[0].iDLayerQp == c_int::from(qp) {
            return Ok(());
        }
        self.parameters.sSpatialLayers[0].iDLayerQp = c_int::from(qp);
        let mut copy = self.parameters;
        self.set_option(
            "quantiser",
            sys::ENCODER_OPTION_SVC_ENCODE_PARAM_EXT,
            (&raw mut copy).cast(),
        )
    }

    /// Encodes one picture and hands its NAL units to `sink`.
    pub(crate) fn encode(
        &mut self,
        picture: &I420Ref<'_>,
        at_ms: i64,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<Outcome, EncodeError> {
        let [y, u, v] = picture.planes().map(|plane| plane.as_ptr().cast_mut());
        let [y_stride, u_stride, v_stride] = picture.strides();
        let source = sys::SSourcePicture {
            iColorFormat: sys::videoFormatI420,
            iStride: [int(y_stride)?, int(u_stride)?, int(v_stride)?, 0],
            pData: [y, u, v, ptr::null_mut()],
            iPicWidth: int(picture.width())?,
            iPicHeight: int(picture.height())?,
            uiTimeStamp: at_ms,
            bPsnrY: false,
            bPsnrU: false,
            bPsnrV: false,
        };
        // SAFETY: the encoder is initialised for this size (the caller checked it), `I420Ref` holds
        // that the planes have all rows, the encoder only reads them, and the output is ours alone.
        let code = unsafe {
            (self.calls.encode)(
                self.encoder.as_ptr(),
                &raw const source,
                &raw mut *self.output,
            )
        };
        check("encode", code)?;
        if self.output.eFrameType == sys::videoFrameTypeSkip {
            return Ok(Outcome::Skipped);
        }
        self.drain(sink)?;
        Ok(Outcome::Written)
    }

    fn drain(&self, sink: &mut dyn FnMut(&[u8])) -> Result<(), EncodeError> {
        let layers = usize::try_from(self.output.iLayerNum).unwrap_or(0);
        for layer in self.output.sLayerInfo.iter().take(layers) {
            let count = usize::try_from(layer.iNalCount).unwrap_or(0);
            if count == 0 || layer.pNalLengthInByte.is_null() || layer.pBsBuf.is_null() {
                continue;
            }
            // SAFETY: the library gives `iNalCount` lengths, valid until the next call to it.
            let lengths = unsafe { std::slice::from_raw_parts(layer.pNalLengthInByte, count) };
            let mut offset = 0;
            for &length in lengths {
                let bad = EncodeError::Library {
                    call: "output",
                    code: length,
                };
                let length = usize::try_from(length).map_err(|_negative| bad)?;
                // SAFETY: the buffer holds the units one after another, so `offset`, the sum of the
                // lengths before this one, lies inside it.
                let start = unsafe { layer.pBsBuf.add(offset) };
                // SAFETY: this unit's bytes follow `start`, and nothing writes them until the next call.
                let nal = unsafe { std::slice::from_raw_parts(start, length) };
                sink(nal);
                offset += length;
            }
        }
        Ok(())
    }

    fn set_option(
        &mut self,
        call: &'static str,
        option: sys::ENCODER_OPTION,
        value: *mut c_void,
    ) -> Result<(), EncodeError> {
        // SAFETY: the encoder is alive, and every caller passes a value of the option's type that
        // outlives the call.
        let code = unsafe { (self.calls.set_option)(self.encoder.as_ptr(), option, value) };
        check(call, code)
    }
}

impl Drop for RawEncoder {
    fn drop(&mut self) {
        // SAFETY: the encoder is alive; uninitialising one that never was initialised does nothing.
        let _code = unsafe { (self.calls.uninitialize)(self.encoder.as_ptr()) };
        // SAFETY: the pointer came from `WelsCreateSVCEncoder` and is not used after this.
        unsafe { self.api.WelsDestroySVCEncoder(self.encoder.as_ptr()) };
    }
}

// SAFETY: the encoder is owned by this value alone, runs no thread of its own (one thread is set)
// and keeps nothing in thread-local storage, so it may move to another thread between calls.
unsafe impl Send for RawEncoder {}

impl std::fmt::Debug for RawEncoder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RawEncoder").finish_non_exhaustive()
    }
}

impl Calls {
    fn of(encoder: NonNull<sys::ISVCEncoder>) -> Option<Self> {
        // SAFETY: a created encoder starts with the pointer to its table.
        let table = unsafe { *encoder.as_ptr() };
        // SAFETY: the table is a constant of the library and lives as long as the program.
        let table = unsafe { table.as_ref() }?;
        Some(Self {
            initialize: table.InitializeExt?,
            defaults: table.GetDefaultParams?,
            uninitialize: table.Uninitialize?,
            encode: table.EncodeFrame?,
            parameter_sets: table.EncodeParameterSets?,
            force_intra: table.ForceIntraFrame?,
            set_option: table.SetOption?,
        })
    }
}

fn apply(settings: &VideoSettings, to: &mut sys::SEncParamExt) -> Result<(), EncodeError> {
    to.iUsageType = match settings.content {
        Content::Camera => sys::CAMERA_VIDEO_REAL_TIME,
        Content::Screen => sys::SCREEN_CONTENT_REAL_TIME,
    };
    to.iPicWidth = int(settings.width)?;
    to.iPicHeight = int(settings.height)?;
    let frames_per_s = f32::from(u16::try_from(settings.frames_per_s).unwrap_or(u16::MAX));
    to.fMaxFrameRate = frames_per_s;
    to.iTemporalLayerNum = 1;
    to.iSpatialLayerNum = 1;
    to.iComplexityMode = sys::MEDIUM_COMPLEXITY;
    // Key frames are asked for by time: the encoder can only count frames.
    to.uiIntraPeriod = 0;
    to.eSpsPpsIdStrategy = sys::CONSTANT_ID;
    to.bEnableFrameSkip = false;
    to.iMultipleThreadIdc = 1;
    to.bEnableDenoise = false;
    to.bEnableLongTermReference = false;
    to.bEnableSceneChangeDetect = matches!(settings.content, Content::Screen);
    to.bEnableBackgroundDetection = matches!(settings.content, Content::Camera);
    let (profile, entropy) = match settings.entropy {
        Entropy::Cavlc => (sys::PRO_BASELINE, 0),
        Entropy::Cabac => (sys::PRO_HIGH, 1),
    };
    to.iEntropyCodingModeFlag = entropy;
    let layer = &mut to.sSpatialLayers[0];
    layer.iVideoWidth = to.iPicWidth;
    layer.iVideoHeight = to.iPicHeight;
    layer.fFrameRate = frames_per_s;
    layer.uiProfileIdc = profile;
    layer.sSliceArgument.uiSliceMode = sys::SM_SINGLE_SLICE;
    layer.sSliceArgument.uiSliceNum = 1;
    // Cameras speak BT.601, displays are converted by BT.709; both in limited range.
    let colours = match settings.content {
        Content::Camera => 6,
        Content::Screen => 1,
    };
    layer.bVideoSignalTypePresent = true;
    layer.bColorDescriptionPresent = true;
    layer.bFullRange = false;
    layer.uiColorPrimaries = colours;
    layer.uiTransferCharacteristics = colours;
    layer.uiColorMatrix = colours;
    apply_rate(settings.rate, to)
}

fn apply_rate(rate: Rate, to: &mut sys::SEncParamExt) -> Result<(), EncodeError> {
    match rate {
        Rate::Average {
            bits_per_s,
            qp_min,
            qp_max,
        } => {
            to.iRCMode = sys::RC_BITRATE_MODE;
            to.iTargetBitrate = int(bits_per_s)?;
            to.sSpatialLayers[0].iSpatialBitrate = int(bits_per_s)?;
            to.iMinQp = c_int::from(qp_min);
            to.iMaxQp = c_int::from(qp_max);
        }
        Rate::Quality { qp } | Rate::Budget { qp_min: qp, .. } => {
            to.iRCMode = sys::RC_OFF_MODE;
            to.iMinQp = 0;
            to.iMaxQp = 51;
            to.sSpatialLayers[0].iDLayerQp = c_int::from(qp);
        }
    }
    Ok(())
}

fn int(value: u32) -> Result<c_int, EncodeError> {
    c_int::try_from(value).map_err(|_too_large| EncodeError::Settings)
}

const fn check(call: &'static str, code: c_int) -> Result<(), EncodeError> {
    if code == 0 {
        Ok(())
    } else {
        Err(EncodeError::Library { call, code })
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_assembly_of_the_encoder_is_linked() {
        unsafe extern "C" {
            fn WelsSampleSad16x16_sse2();
        }
        let address = std::hint::black_box(WelsSampleSad16x16_sse2 as *const ());
        assert!(!address.is_null());
    }
}
