//! Reading a chunk that came over the network.
//!
//! The parser accepts exactly what [`frames_of`] documents and refuses the rest: an unknown
//! box, a missing field, a byte of `mdat` that belongs to no sample, or two samples that overlap.

use core::time::Duration;

use super::error::MediaError;
use super::reader::Reader;
use crate::limits::CHUNK_BYTES_MAX;

/// The most samples of one track in one chunk; half a second of sound has 25.
pub const CHUNK_SAMPLES_MAX: usize = 256;

/// The flag of a sample that cannot be decoded alone.
pub const SAMPLE_IS_NON_SYNC: u32 = 0x0001_0000;

/// The tracks of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Track {
    /// Video of a camera or a display.
    Video,
    /// Sound of the microphone.
    Sound,
}

impl Track {
    /// Returns the number of the track in the file.
    #[must_use]
    pub const fn id(self) -> u32 {
        match self {
            Self::Video => 1,
            Self::Sound => 2,
        }
    }

    /// Returns the ticks in a second of the track.
    #[must_use]
    pub const fn timescale(self) -> u32 {
        match self {
            Self::Video => 90_000,
            Self::Sound => 48_000,
        }
    }

    /// Returns the span of `ticks` of the track, rounded down to nanoseconds.
    #[must_use]
    pub fn span_of(self, ticks: u64) -> Duration {
        let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(self.timescale());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    pub(super) const fn of(id: u32) -> Result<Self, MediaError> {
        match id {
            1 => Ok(Self::Video),
            2 => Ok(Self::Sound),
            id => Err(MediaError::UnknownTrack { id }),
        }
    }
}

/// One frame or packet in a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample<'a> {
    /// The track that it belongs to.
    pub track: Track,
    /// Its start, in ticks of the track since the stream's origin.
    pub time_ticks: u64,
    /// Its length, in ticks of the track.
    pub duration_ticks: u32,
    /// Whether its flags call it a sync sample.
    pub sync: bool,
    /// Its bytes: length-prefixed NAL units, or one Opus packet.
    pub bytes: &'a [u8],
}

impl Sample<'_> {
    /// Returns its start since the stream's origin.
    #[must_use]
    pub fn start(&self) -> Duration {
        self.track.span_of(self.time_ticks)
    }

    /// Returns its length.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.track.span_of(u64::from(self.duration_ticks))
    }
}

/// Returns the samples of a chunk, in the order of their bytes.
///
/// A chunk is one `moof` (one `mfhd`; one `traf` a track, each with `tfhd`, `tfdt` and `trun`) and
/// one `mdat` whose bytes the samples cover exactly, and nothing else.
///
/// # Errors
///
/// [`MediaError`] names the first thing that is not so.
pub fn frames_of(chunk: &[u8]) -> Result<Vec<Sample<'_>>, MediaError> {
    let mut rest = Reader::new(chunk);
    let mut samples = Vec::new();
    read_chunk(&mut rest, &mut samples)?;
    rest.finish()?;
    Ok(samples)
}

/// Reads the next chunk of a file into `samples`.
pub(super) fn read_chunk<'a>(
    file: &mut Reader<'a>,
    samples: &mut Vec<Sample<'a>>,
) -> Result<(), MediaError> {
    let before = file.left();
    let mut moof = file.expect_box(*b"moof")?;
    let moof_bytes = before - file.left();
    let mdat = file.expect_box(*b"mdat")?;
    let bytes = before - file.left();
    if bytes > CHUNK_BYTES_MAX {
        return Err(MediaError::TooLong { bytes });
    }

    let mut mfhd = moof.expect_box(*b"mfhd")?;
    plain(mfhd.version_flags()?, *b"mfhd")?;
    mfhd.u32()?;
    mfhd.finish()?;

    let mut data = Data {
        base: moof_bytes + 8,
        rest: mdat,
        done: 0,
    };
    let mut last = None;
    while moof.left() > 0 {
        let traf = moof.expect_box(*b"traf")?;
        let track = read_traf(traf, &mut data, samples)?;
        if last.is_some_and(|last| last >= track) {
            return Err(MediaError::Unexpected { kind: *b"traf" });
        }
        last = Some(track);
    }
    if last.is_none() {
        return Err(MediaError::Missing { kind: *b"traf" });
    }
    data.rest.finish().map_err(|_left| MediaError::Cover)
}

/// The bytes of `mdat` that no sample has claimed yet.
struct Data<'a> {
    base: usize,
    rest: Reader<'a>,
    done: usize,
}

impl<'a> Data<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], MediaError> {
        let bytes = self.rest.take(count).map_err(|_cut| MediaError::Cover)?;
        self.done += count;
        Ok(bytes)
    }
}

/// The values of a `tfhd` that stand in where a `trun` leaves them out.
struct Defaults {
    track: Track,
    duration: Option<u32>,
    size: Option<u32>,
    flags: Option<u32>,
}

fn read_traf<'a>(
    mut traf: Reader<'a>,
    data: &mut Data<'a>,
    samples: &mut Vec<Sample<'a>>,
) -> Result<Track, MediaError> {
    let defaults = read_tfhd(traf.expect_box(*b"tfhd")?)?;
    let start = read_tfdt(traf.expect_box(*b"tfdt")?)?;
    read_trun(traf.expect_box(*b"trun")?, &defaults, start, data, samples)?;
    traf.finish()?;
    Ok(defaults.track)
}

fn read_tfhd(mut tfhd: Reader<'_>) -> Result<Defaults, MediaError> {
    let (version, flags) = tfhd.version_flags()?;
    let known = TFHD_DURATION | TFHD_SIZE | TFHD_FLAGS | TFHD_BASE_IS_MOOF;
    if version != 0 || flags & !known != 0 || flags & TFHD_BASE_IS_MOOF == 0 {
        return Err(MediaError::Form { kind: *b"tfhd" });
    }
    let track = Track::of(tfhd.u32()?)?;
    let mut field = |bit: u32| (flags & bit != 0).then(|| tfhd.u32()).transpose();
    let defaults = Defaults {
        track,
        duration: field(TFHD_DURATION)?,
        size: field(TFHD_SIZE)?,
        flags: field(TFHD_FLAGS)?,
    };
    tfhd.finish()?;
    Ok(defaults)
}

fn read_tfdt(mut tfdt: Reader<'_>) -> Result<u64, MediaError> {
    let start = match tfdt.version_flags()? {
        (0, 0) => u64::from(tfdt.u32()?),
        (1, 0) => tfdt.u64()?,
        (_version, _flags) => return Err(MediaError::Form { kind: *b"tfdt" }),
    };
    tfdt.finish()?;
    Ok(start)
}

fn read_trun<'a>(
    mut trun: Reader<'a>,
    defaults: &Defaults,
    start: u64,
    data: &mut Data<'a>,
    samples: &mut Vec<Sample<'a>>,
) -> Result<(), MediaError> {
    let form = MediaError::Form { kind: *b"trun" };
    let (version, flags) = trun.version_flags()?;
    let known = TRUN_OFFSET | TRUN_FIRST_FLAGS | TRUN_DURATION | TRUN_SIZE | TRUN_FLAGS;
    if version > 1 || flags & !known != 0 || flags & TRUN_OFFSET == 0 {
        return Err(form);
    }
    let count = trun.u32()?;
    let room = usize::try_from(count).is_ok_and(|count| (1..=CHUNK_SAMPLES_MAX).contains(&count));
    if !room {
        return Err(MediaError::Samples { count });
    }
    let offset = usize::try_from(trun.u32()?).map_err(|_too_long| MediaError::Cover)?;
    if Some(offset) != data.base.checked_add(data.done) {
        return Err(MediaError::Cover);
    }
    let first_flags = (flags & TRUN_FIRST_FLAGS != 0)
        .then(|| trun.u32())
        .transpose()?;
    let mut time = start;
    for index in 0..count {
        let mut field = |bit: u32| (flags & bit != 0).then(|| trun.u32()).transpose();
        let duration = field(TRUN_DURATION)?.or(defaults.duration).ok_or(form)?;
        let size = field(TRUN_SIZE)?.or(defaults.size).ok_or(form)?;
        let own_flags = field(TRUN_FLAGS)?;
        let first = first_flags.filter(|_| index == 0);
        let sample_flags = first.or(own_flags).or(defaults.flags).ok_or(form)?;
        let size = usize::try_from(size).map_err(|_too_long| MediaError::Cover)?;
        samples.push(Sample {
            track: defaults.track,
            time_ticks: time,
            duration_ticks: duration,
            sync: sample_flags & SAMPLE_IS_NON_SYNC == 0,
            bytes: data.take(size)?,
        });
        time = time
            .checked_add(u64::from(duration))
            .ok_or(MediaError::Time)?;
    }
    trun.finish()
}

fn plain(version_flags: (u8, u32), kind: [u8; 4]) -> Result<(), MediaError> {
    if version_flags == (0, 0) {
        Ok(())
    } else {
        Err(MediaError::Form { kind })
    }
}

const TFHD_DURATION: u32 = 0x08;
const TFHD_SIZE: u32 = 0x10;
const TFHD_FLAGS: u32 = 0x20;
const TFHD_BASE_IS_MOOF: u32 = 0x02_0000;
const TRUN_OFFSET: u32 = 0x001;
const TRUN_FIRST_FLAGS: u32 = 0x004;
const TRUN_DURATION: u32 = 0x100;
const TRUN_SIZE: u32 = 0x200;
const TRUN_FLAGS: u32 = 0x400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_made_chunk_is_read() {
        let chunk = chunk_of(&[b"abc", b"de"]);
        let samples = frames_of(&chunk).expect("the chunk is whole");
        assert_eq!(samples.len(), 2);
        assert_eq!(samples[0].bytes, b"abc");
        assert_eq!(samples[1].bytes, b"de");
        assert_eq!(samples[1].time_ticks, 90_000 + 6_000);
        assert!(samples[0].sync && !samples[1].sync);
        assert_eq!(samples[0].start(), Duration::from_secs(1));
    }

    #[test]
    fn ticks_become_spans() {
        assert_eq!(Track::Video.span_of(45_000), Duration::from_millis(500));
        assert_eq!(Track::Sound.span_of(960), Duration::from_millis(20));
    }

    #[test]
    fn a_chunk_that_is_longer_than_the_link_takes_is_refused() {
        let chunk = chunk_of(&[&vec![1; CHUNK_BYTES_MAX]]);
        let bytes = chunk.len();
        assert_eq!(frames_of(&chunk), Err(MediaError::TooLong { bytes }));
    }

    #[test]
    fn every_cut_is_refused() {
        let chunk = chunk_of(&[b"abc", b"de"]);
        for end in 0..chunk.len() {
            assert!(frames_of(&chunk[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_trailing_byte_is_refused() {
        let mut chunk = chunk_of(&[b"abc"]);
        chunk.push(0);
        assert_eq!(frames_of(&chunk), Err(MediaError::Trailing));
        let mut chunk = chunk_of(&[b"abc"]);
        chunk.extend_from_slice(&[0, 0, 0, 8, b'f', b'r', b'e', b'e']);
        assert_eq!(frames_of(&chunk), Err(MediaError::Trailing));
    }

    #[test]
    fn no_changed_bit_panics_and_no_sample_leaves_the_data() {
        let chunk = chunk_of(&[b"abc", b"de"]);
        for bit in 0..chunk.len() * 8 {
            let mut bad = chunk.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            if let Ok(samples) = frames_of(&bad) {
                let covered: usize = samples.iter().map(|sample| sample.bytes.len()).sum();
                assert_eq!(covered, 5);
            }
        }
    }

    #[test]
    fn a_huge_sample_count_is_refused_before_anything_is_kept() {
        let mut chunk = chunk_of(&[b"abc"]);
        let at = chunk
            .windows(4)
            .position(|four| four == b"trun")
            .expect("there is a trun")
            + 8;
        chunk[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(
            frames_of(&chunk),
            Err(MediaError::Samples { count: u32::MAX })
        );
    }

    #[test]
    fn committed_bytes_stay_readable() {
        let samples = frames_of(include_bytes!("data/camera-chunk.m4s")).expect("an old chunk");
        let count = |track| {
            samples
                .iter()
                .filter(|sample| sample.track == track)
                .count()
        };
        assert_eq!((count(Track::Video), count(Track::Sound)), (5, 25));
        let syncs: Vec<bool> = samples.iter().take(5).map(|sample| sample.sync).collect();
        assert_eq!(syncs, [true, false, false, false, false]);
    }

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut out = u32::try_from(body.len() + 8)
            .expect("small")
            .to_be_bytes()
            .to_vec();
        out.extend_from_slice(kind);
        out.extend_from_slice(body);
        out
    }

    fn chunk_of(frames: &[&[u8]]) -> Vec<u8> {
        let build = |offset: u32| {
            let mut trun = (TRUN_OFFSET | TRUN_FIRST_FLAGS | TRUN_DURATION | TRUN_SIZE)
                .to_be_bytes()
                .to_vec();
            trun.extend(u32::try_from(frames.len()).expect("few").to_be_bytes());
            trun.extend(offset.to_be_bytes());
            trun.extend(0x0200_0000_u32.to_be_bytes());
            for frame in frames {
                trun.extend(6_000_u32.to_be_bytes());
                trun.extend(u32::try_from(frame.len()).expect("small").to_be_bytes());
            }
            let mut tfhd = (TFHD_FLAGS | TFHD_BASE_IS_MOOF).to_be_bytes().to_vec();
            tfhd.extend(1_u32.to_be_bytes());
            tfhd.extend(0x0101_0000_u32.to_be_bytes());
            let mut tfdt = 0x0100_0000_u32.to_be_bytes().to_vec();
            tfdt.extend(90_000_u64.to_be_bytes());
            let traf = [
                boxed(b"tfhd", &tfhd),
                boxed(b"tfdt", &tfdt),
                boxed(b"trun", &trun),
            ];
            let mfhd = boxed(b"mfhd", &[0, 0, 0, 0, 0, 0, 0, 1]);
            boxed(b"moof", &[mfhd, boxed(b"traf", &traf.concat())].concat())
        };
        let offset = u32::try_from(build(0).len() + 8).expect("small");
        [build(offset), boxed(b"mdat", &frames.concat())].concat()
    }
}
