//! NAL units as the encoder gives them out.

/// Returns a NAL unit's type.
pub(crate) fn kind_of(nal: &[u8]) -> Option<u8> {
    nal.first().map(|byte| byte & 0x1f)
}

/// Strips the three or four byte start code that an encoder puts before a NAL unit.
pub(crate) fn without_start_code(nal: &[u8]) -> &[u8] {
    nal.strip_prefix(&[0, 0, 0, 1])
        .or_else(|| nal.strip_prefix(&[0, 0, 1]))
        .unwrap_or(nal)
}

pub(crate) const NAL_IDR: u8 = 5;
pub(crate) const NAL_SLICE: u8 = 1;
pub(crate) const NAL_SPS: u8 = 7;
pub(crate) const NAL_PPS: u8 = 8;
