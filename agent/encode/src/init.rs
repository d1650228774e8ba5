//! Reading an initialisation segment that came over the network.

use crate::chunk::{ChunkError, Track};
use crate::nal::ParameterSets;
use crate::reader::Reader;

/// What an initialisation segment says about its tracks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitSummary {
    /// The video track.
    pub video: Option<VideoSummary>,
    /// Whether there is a sound track.
    pub sound: bool,
}

/// What an initialisation segment says about its video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoSummary {
    /// Picture width in pixels.
    pub width: u16,
    /// Picture height in pixels.
    pub height: u16,
    /// What a decoder needs before the first frame.
    pub sets: ParameterSets,
}

/// Returns what an initialisation segment (`ftyp`, `moov`) says about its tracks.
///
/// # Errors
///
/// [`ChunkError`] names the first thing that is not as the muxer writes it.
pub fn summary_of(init: &[u8]) -> Result<InitSummary, ChunkError> {
    if init.len() > INIT_BYTES_MAX {
        return Err(ChunkError::TooLong { bytes: init.len() });
    }
    let mut top = Reader::new(init);
    top.expect_box(*b"ftyp")?;
    let mut moov = top.expect_box(*b"moov")?;
    top.finish()?;
    let mut summary = InitSummary {
        video: None,
        sound: false,
    };
    while let Some(child) = moov.next_box()? {
        if child.kind == *b"trak" {
            read_trak(child.body, &mut summary)?;
        }
    }
    if summary.video.is_none() && !summary.sound {
        return Err(ChunkError::Missing { kind: *b"trak" });
    }
    Ok(summary)
}

fn read_trak(trak: Reader<'_>, summary: &mut InitSummary) -> Result<(), ChunkError> {
    let mut tkhd = trak.only_child(*b"tkhd")?;
    let skip = match tkhd.version_flags()? {
        (0, _flags) => 8,
        (1, _flags) => 16,
        (_version, _flags) => return Err(ChunkError::Form { kind: *b"tkhd" }),
    };
    tkhd.take(skip)?;
    let track = Track::of(tkhd.u32()?)?;
    let minf = trak.only_child(*b"mdia")?.only_child(*b"minf")?;
    let mut stsd = minf.only_child(*b"stbl")?.only_child(*b"stsd")?;
    stsd.version_flags()?;
    if stsd.u32()? != 1 {
        return Err(ChunkError::Form { kind: *b"stsd" });
    }
    match track {
        Track::Video => {
            let video = read_avc1(stsd.expect_box(*b"avc1")?)?;
            if summary.video.replace(video).is_some() {
                return Err(ChunkError::Unexpected { kind: *b"trak" });
            }
        }
        Track::Sound => {
            stsd.expect_box(*b"Opus")?;
            if std::mem::replace(&mut summary.sound, true) {
                return Err(ChunkError::Unexpected { kind: *b"trak" });
            }
        }
    }
    stsd.finish()
}

fn read_avc1(mut avc1: Reader<'_>) -> Result<VideoSummary, ChunkError> {
    avc1.take(24)?;
    let width = avc1.u16()?;
    let height = avc1.u16()?;
    avc1.take(50)?;
    let sets = read_avcc(avc1.only_child(*b"avcC")?)?;
    Ok(VideoSummary {
        width,
        height,
        sets,
    })
}

fn read_avcc(mut avcc: Reader<'_>) -> Result<ParameterSets, ChunkError> {
    let form = ChunkError::Form { kind: *b"avcC" };
    let [
        version,
        _profile,
        _compatibility,
        _level,
        length_size,
        sps_count,
    ] = avcc.array()?;
    if version != 1 || length_size & 0x03 != 3 || sps_count & 0x1f != 1 {
        return Err(form);
    }
    let sps = read_set(&mut avcc)?;
    if avcc.u8()? != 1 {
        return Err(form);
    }
    let pps = read_set(&mut avcc)?;
    Ok(ParameterSets { sps, pps })
}

fn read_set(avcc: &mut Reader<'_>) -> Result<Vec<u8>, ChunkError> {
    let length = usize::from(avcc.u16()?);
    if length == 0 {
        return Err(ChunkError::Form { kind: *b"avcC" });
    }
    Ok(avcc.take(length)?.to_vec())
}

/// The most bytes of an initialisation segment; ours have about a thousand.
const INIT_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_segment_are_refused() {
        assert_eq!(summary_of(b""), Err(ChunkError::Missing { kind: *b"ftyp" }));
        assert_eq!(
            summary_of(b"\0\0\0\x07ftyp"),
            Err(ChunkError::Size { kind: *b"ftyp" })
        );
        assert_eq!(
            summary_of(b"\0\0\0\x08ftyp\0\0\0\x08moov"),
            Err(ChunkError::Missing { kind: *b"trak" })
        );
    }
}
