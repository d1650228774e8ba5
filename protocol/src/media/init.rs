//! Reading an initialisation segment that came over the network.

use super::chunk::{Sample, Track, frames_of, read_chunk};
use super::error::MediaError;
use super::nal::ParameterSets;
use super::reader::Reader;

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
    /// The `avcC` record as it stands in the segment; [`parameter_sets`] reads it.
    pub avcc: Vec<u8>,
}

impl InitSummary {
    /// Returns the samples of a chunk of this stream, in the order of their bytes.
    ///
    /// # Errors
    ///
    /// [`MediaError`] as for [`frames_of`], and where a sample is of a track that the stream has not.
    pub fn frames_of<'a>(&self, chunk: &'a [u8]) -> Result<Vec<Sample<'a>>, MediaError> {
        let samples = frames_of(chunk)?;
        self.check(&samples)?;
        Ok(samples)
    }

    /// Returns the samples of chunks of this stream that follow one another without a gap.
    ///
    /// # Errors
    ///
    /// [`MediaError`] as for [`InitSummary::frames_of`], also where there is no chunk.
    pub fn frames_of_all<'a>(&self, chunks: &'a [u8]) -> Result<Vec<Sample<'a>>, MediaError> {
        let mut rest = Reader::new(chunks);
        let mut samples = Vec::new();
        read_chunk(&mut rest, &mut samples)?;
        while rest.left() > 0 {
            read_chunk(&mut rest, &mut samples)?;
        }
        self.check(&samples)?;
        Ok(samples)
    }

    fn check(&self, samples: &[Sample<'_>]) -> Result<(), MediaError> {
        let has = |track| match track {
            Track::Video => self.video.is_some(),
            Track::Sound => self.sound,
        };
        match samples.iter().find(|sample| !has(sample.track)) {
            Some(Sample { track, .. }) => Err(MediaError::NoSuchTrack { id: track.id() }),
            None => Ok(()),
        }
    }
}

/// Returns what an initialisation segment (`ftyp`, `moov`) says about its tracks.
///
/// # Errors
///
/// [`MediaError`] names the first thing that is not as the muxer writes it.
pub fn summary_of(init: &[u8]) -> Result<InitSummary, MediaError> {
    if init.len() > INIT_BYTES_MAX {
        return Err(MediaError::TooLong { bytes: init.len() });
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
        return Err(MediaError::Missing { kind: *b"trak" });
    }
    Ok(summary)
}

fn read_trak(trak: Reader<'_>, summary: &mut InitSummary) -> Result<(), MediaError> {
    let mut tkhd = trak.only_child(*b"tkhd")?;
    let skip = match tkhd.version_flags()? {
        (0, _flags) => 8,
        (1, _flags) => 16,
        (_version, _flags) => return Err(MediaError::Form { kind: *b"tkhd" }),
    };
    tkhd.take(skip)?;
    let track = Track::of(tkhd.u32()?)?;
    let mdia = trak.only_child(*b"mdia")?;
    read_hdlr(mdia.only_child(*b"hdlr")?, track)?;
    let mut stsd = mdia
        .only_child(*b"minf")?
        .only_child(*b"stbl")?
        .only_child(*b"stsd")?;
    stsd.version_flags()?;
    if stsd.u32()? != 1 {
        return Err(MediaError::Form { kind: *b"stsd" });
    }
    match track {
        Track::Video => {
            let video = read_avc1(stsd.expect_box(*b"avc1")?)?;
            if summary.video.replace(video).is_some() {
                return Err(MediaError::Unexpected { kind: *b"trak" });
            }
        }
        Track::Sound => {
            stsd.expect_box(*b"Opus")?;
            if std::mem::replace(&mut summary.sound, true) {
                return Err(MediaError::Unexpected { kind: *b"trak" });
            }
        }
    }
    stsd.finish()
}

fn read_hdlr(mut hdlr: Reader<'_>, track: Track) -> Result<(), MediaError> {
    hdlr.take(8)?;
    let expected = match track {
        Track::Video => *b"vide",
        Track::Sound => *b"soun",
    };
    if hdlr.array()? == expected {
        Ok(())
    } else {
        Err(MediaError::Handler { id: track.id() })
    }
}

fn read_avc1(mut avc1: Reader<'_>) -> Result<VideoSummary, MediaError> {
    avc1.take(24)?;
    let width = avc1.u16()?;
    let height = avc1.u16()?;
    avc1.take(50)?;
    let avcc = avc1.only_child(*b"avcC")?.rest();
    parameter_sets(avcc)?;
    Ok(VideoSummary {
        width,
        height,
        avcc: avcc.to_vec(),
    })
}

/// Returns the parameter sets of an `avcC` record: one of each kind, and lengths of four bytes.
///
/// # Errors
///
/// [`MediaError`] if the record has another form or is cut off.
pub fn parameter_sets(avcc: &[u8]) -> Result<ParameterSets, MediaError> {
    let mut avcc = Reader::new(avcc);
    let form = MediaError::Form { kind: *b"avcC" };
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

fn read_set(avcc: &mut Reader<'_>) -> Result<Vec<u8>, MediaError> {
    let length = usize::from(avcc.u16()?);
    if length == 0 {
        return Err(MediaError::Form { kind: *b"avcC" });
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
        assert_eq!(summary_of(b""), Err(MediaError::Missing { kind: *b"ftyp" }));
        assert_eq!(
            summary_of(b"\0\0\0\x07ftyp"),
            Err(MediaError::Size { kind: *b"ftyp" })
        );
        assert_eq!(
            summary_of(b"\0\0\0\x08ftyp\0\0\0\x08moov"),
            Err(MediaError::Missing { kind: *b"trak" })
        );
    }

    #[test]
    fn a_segment_of_the_muxer_tells_its_tracks_and_reads_its_own_chunks_alone() {
        let init = include_bytes!("data/camera-init.mp4");
        let chunk = include_bytes!("data/camera-chunk.m4s");
        let summary = summary_of(init).expect("an old segment");
        let video = summary.video.clone().expect("a camera has video");
        assert_eq!((video.width, video.height, summary.sound), (64, 48, true));
        parameter_sets(&video.avcc).expect("settings of a decoder");
        assert_eq!(summary.frames_of(chunk).map(|found| found.len()), Ok(30));
        for id in [1, 2] {
            let less = InitSummary {
                video: summary.video.clone().filter(|_| id != 1),
                sound: id != 2,
            };
            assert_eq!(less.frames_of(chunk), Err(MediaError::NoSuchTrack { id }));
        }
    }

    #[test]
    fn chunks_that_follow_one_another_are_read_as_one() {
        let summary = summary_of(include_bytes!("data/camera-init.mp4")).expect("an old segment");
        let chunk = include_bytes!("data/camera-chunk.m4s");
        let two = [chunk.as_slice(), chunk].concat();
        assert_eq!(summary.frames_of_all(&two).map(|found| found.len()), Ok(60));
        assert_eq!(summary.frames_of(&two), Err(MediaError::Trailing));
        let cut = summary.frames_of_all(&two[..two.len() - 1]);
        assert_eq!(cut, Err(MediaError::Cut));
        let none = summary.frames_of_all(b"");
        assert_eq!(none, Err(MediaError::Missing { kind: *b"moof" }));
    }

    #[test]
    fn a_track_whose_handler_is_of_another_kind_is_refused() {
        let mut init = include_bytes!("data/camera-init.mp4").to_vec();
        let at = init.windows(4).position(|four| four == b"vide");
        let at = at.expect("there is a handler");
        init[at..at + 4].copy_from_slice(b"soun");
        assert_eq!(summary_of(&init), Err(MediaError::Handler { id: 1 }));
    }

    #[test]
    fn parameter_sets_in_a_form_that_the_muxer_does_not_write_are_refused() {
        let good = [1, 66, 0, 30, 0xff, 0xe1, 0, 1, 0x67, 1, 0, 1, 0x68];
        parameter_sets(&good).expect("the form of the muxer");
        for len in 0..good.len() {
            assert!(parameter_sets(&good[..len]).is_err(), "cut at {len}");
        }
        for (at, to) in [(0, 2), (4, 0xfe), (5, 0xe0), (5, 0xe2), (7, 0), (9, 2)] {
            let mut bad = good;
            bad[at] = to;
            assert!(parameter_sets(&bad).is_err(), "{to} at {at}");
        }
    }
}
