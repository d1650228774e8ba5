//! Looks into CMAF chunks as far as the gate and freshness need: which tracks a chunk has samples
//! of, and the first picture's bytes. Every length is checked against what is there.

use std::collections::BTreeMap;

/// What a track carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Track {
    /// H.264 with its `avcC` record.
    Video(Vec<u8>),
    /// Sound.
    Audio,
}

/// The tracks of a stream, by track id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tracks(BTreeMap<u32, Track>);

/// What a chunk has samples of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Samples<'a> {
    /// Whether there is sound.
    pub(crate) audio: bool,
    /// Whether there are pictures.
    pub(crate) video: bool,
    /// The first picture, as the track stores it.
    pub(crate) first_picture: Option<&'a [u8]>,
}

impl Tracks {
    /// Reads an initialisation segment; `None` where it is none.
    pub(crate) fn read(init: &[u8]) -> Option<Self> {
        let moov = find(init, b"moov")?;
        let mut tracks = BTreeMap::new();
        for trak in boxes(moov).filter(|part| part.kind == *b"trak") {
            let id = track_id(find(trak.body, b"tkhd")?)?;
            let mdia = find(trak.body, b"mdia")?;
            let handler = find(mdia, b"hdlr")?.get(8..12)?;
            let track = match handler {
                b"vide" => Track::Video(avcc(mdia)?.to_vec()),
                b"soun" => Track::Audio,
                _ => return None,
            };
            tracks.insert(id, track);
        }
        (!tracks.is_empty()).then_some(Self(tracks))
    }

    /// Returns the `avcC` record of the first video track.
    pub(crate) fn avcc(&self) -> Option<&[u8]> {
        self.0.values().find_map(|track| match track {
            Track::Video(avcc) => Some(avcc.as_slice()),
            Track::Audio => None,
        })
    }

    /// Reads a chunk (moof and mdat, one or more times); `None` where it is none, names an unknown
    /// track, or says of samples that are not in it.
    pub(crate) fn samples<'a>(&self, chunk: &'a [u8]) -> Option<Samples<'a>> {
        let mut found = Samples::default();
        self.runs(chunk, |track, data, run| {
            match track {
                Track::Audio => found.audio = true,
                Track::Video(_) => {
                    found.video = true;
                    found.first_picture = found.first_picture.or_else(|| data.get(..run.first));
                }
            }
            Some(())
        })?;
        Some(found)
    }

    /// Returns every picture of a chunk in order, as the track stores it; `None` as above.
    pub(crate) fn pictures<'a>(&self, chunk: &'a [u8]) -> Option<Vec<&'a [u8]>> {
        let mut pictures = Vec::new();
        self.runs(chunk, |track, mut data, run| {
            if matches!(track, Track::Audio) {
                return Some(());
            }
            for number in 0..run.count {
                let (picture, rest) = data.split_at_checked(run.size(number)?)?;
                pictures.push(picture);
                data = rest;
            }
            Some(())
        })?;
        Some(pictures)
    }

    /// Visits every run of samples that is not empty, with its bytes.
    fn runs<'a>(
        &self,
        chunk: &'a [u8],
        mut visit: impl FnMut(&Track, &'a [u8], &Run<'a>) -> Option<()>,
    ) -> Option<()> {
        let mut offset = 0;
        let mut moofs = 0;
        while offset < chunk.len() {
            let part = next_box(chunk.get(offset..)?)?;
            if part.kind == *b"moof" {
                moofs += 1;
                self.moof(part.body, chunk.get(offset..)?, &mut visit)?;
            }
            offset += part.len;
        }
        (moofs > 0).then_some(())
    }

    fn moof<'a>(
        &self,
        moof: &'a [u8],
        from_moof: &'a [u8],
        visit: &mut impl FnMut(&Track, &'a [u8], &Run<'a>) -> Option<()>,
    ) -> Option<()> {
        for traf in boxes(moof).filter(|part| part.kind == *b"traf") {
            let header = TrackFragment::read(find(traf.body, b"tfhd")?)?;
            let track = self.0.get(&header.track)?;
            for trun in boxes(traf.body).filter(|part| part.kind == *b"trun") {
                let run = Run::read(trun.body, header.sample_size)?;
                if run.bytes == 0 {
                    continue;
                }
                let data = from_moof.get(run.offset..run.offset.checked_add(run.bytes)?)?;
                visit(track, data, &run)?;
            }
        }
        Some(())
    }
}

struct TrackFragment {
    track: u32,
    sample_size: usize,
}

impl TrackFragment {
    fn read(tfhd: &[u8]) -> Option<Self> {
        let flags = flags(tfhd)?;
        let track = u32_at(tfhd, 4)?;
        // Base data offset (8), sample description index (4), sample duration (4), sample size.
        let mut at = 8;
        at += if flags & 0x1 == 0 { 0 } else { 8 };
        at += if flags & 0x2 == 0 { 0 } else { 4 };
        at += if flags & 0x8 == 0 { 0 } else { 4 };
        let sample_size = if flags & 0x10 == 0 {
            0
        } else {
            usize::try_from(u32_at(tfhd, at)?).ok()?
        };
        (flags & 0x1 == 0).then_some(Self { track, sample_size })
    }
}

struct Run<'a> {
    /// From the beginning of the moof.
    offset: usize,
    /// How many samples.
    count: usize,
    /// Length of the first sample.
    first: usize,
    /// Length of all samples.
    bytes: usize,
    /// One entry a sample, and where in it the length stands.
    entries: &'a [u8],
    entry: usize,
    size_at: Option<usize>,
    default_size: usize,
}

impl<'a> Run<'a> {
    fn read(trun: &'a [u8], default_size: usize) -> Option<Self> {
        let flags = flags(trun)?;
        let count = usize::try_from(u32_at(trun, 4)?).ok()?;
        if count > SAMPLES_MAX || flags & 0x1 == 0 {
            return None;
        }
        let offset = usize::try_from(u32_at(trun, 8)?).ok()?;
        let fields = [0x100, 0x200, 0x400, 0x800];
        let before_size = if flags & 0x100 == 0 { 0 } else { 4 };
        let mut run = Self {
            offset,
            count,
            first: 0,
            bytes: 0,
            entries: trun.get(12 + if flags & 0x4 == 0 { 0 } else { 4 }..)?,
            entry: 4 * fields.iter().filter(|field| flags & **field != 0).count(),
            size_at: (flags & 0x200 != 0).then_some(before_size),
            default_size,
        };
        for number in 0..count {
            run.bytes = run.bytes.checked_add(run.size(number)?)?;
        }
        run.first = if count == 0 { 0 } else { run.size(0)? };
        Some(run)
    }

    /// Returns the length of one sample.
    fn size(&self, number: usize) -> Option<usize> {
        let Some(size_at) = self.size_at else {
            return Some(self.default_size);
        };
        let at = number.checked_mul(self.entry)?.checked_add(size_at)?;
        usize::try_from(u32_at(self.entries, at)?).ok()
    }
}

struct Part<'a> {
    kind: [u8; 4],
    body: &'a [u8],
    len: usize,
}

fn next_box(bytes: &[u8]) -> Option<Part<'_>> {
    let len = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let kind = bytes.get(4..8)?.try_into().ok()?;
    let body = bytes.get(8..len)?;
    Some(Part { kind, body, len })
}

fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = Part<'_>> {
    std::iter::from_fn(move || {
        let part = next_box(bytes)?;
        bytes = bytes.get(part.len..)?;
        Some(part)
    })
}

fn find<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes)
        .find(|part| part.kind == *kind)
        .map(|part| part.body)
}

fn track_id(tkhd: &[u8]) -> Option<u32> {
    // Creation and modification time are 4 bytes each in version 0, 8 in version 1.
    match tkhd.first()? {
        0 => u32_at(tkhd, 12),
        1 => u32_at(tkhd, 20),
        _ => None,
    }
}

/// Finds the `avcC` record of a track.
fn avcc(mdia: &[u8]) -> Option<&[u8]> {
    let stbl = find(find(mdia, b"minf")?, b"stbl")?;
    let entry = next_box(find(stbl, b"stsd")?.get(8..)?)?;
    if !matches!(&entry.kind, b"avc1" | b"avc3") {
        return None;
    }
    // A visual sample entry has 78 bytes before its boxes.
    find(entry.body.get(78..)?, b"avcC")
}

fn flags(full_box: &[u8]) -> Option<u32> {
    Some(u32_at(full_box, 0)? & 0x00ff_ffff)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

/// Rewrites a sample from lengths before each NAL to start codes, with the parameter sets first.
pub(crate) fn annex_b(avcc: &[u8], sample: &[u8]) -> Option<Vec<u8>> {
    let width = usize::from(avcc.get(4)? & 3) + 1;
    let mut out = Vec::with_capacity(avcc.len() + sample.len() + 64);
    let mut at = 6;
    for count_at in [5, usize::MAX] {
        let count = if count_at == 5 {
            avcc.get(5)? & 0x1f
        } else {
            at += 1;
            *avcc.get(at - 1)?
        };
        for _ in 0..count {
            let len = usize::from(u16::from_be_bytes(avcc.get(at..at + 2)?.try_into().ok()?));
            out.extend_from_slice(&START_CODE);
            out.extend_from_slice(avcc.get(at + 2..at + 2 + len)?);
            at += 2 + len;
        }
    }
    let mut rest = sample;
    while !rest.is_empty() {
        let (len, tail) = rest.split_at_checked(width)?;
        let len = len
            .iter()
            .fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
        let (nal, tail) = tail.split_at_checked(len)?;
        out.extend_from_slice(&START_CODE);
        out.extend_from_slice(nal);
        rest = tail;
    }
    Some(out)
}

const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// The most samples of one run; half a second of sound has 25.
const SAMPLES_MAX: usize = 4_096;

#[cfg(test)]
#[path = "../../tests/common/cmaf.rs"]
mod made;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AVCC: [u8; 7] = [1, 66, 0, 30, 255, 224, 0];

    #[test]
    fn samples_of_pictures_and_sound_are_told_apart() {
        let tracks = Tracks::read(&made::init(&AVCC)).expect("an init segment");
        assert_eq!(tracks.avcc(), Some(AVCC.as_slice()));
        let both = made::chunk(b"picture", b"sound");
        let found = tracks.samples(&both).expect("a chunk");
        assert!(found.audio && found.video);
        assert_eq!(found.first_picture, Some(b"picture".as_slice()));
        assert_eq!(tracks.pictures(&both), Some(vec![b"picture".as_slice()]));
        let sound = made::chunk(b"", b"sound");
        let found = tracks.samples(&sound).expect("a chunk");
        assert!(found.audio && !found.video);
        let nothing = made::chunk(b"", b"");
        let found = tracks.samples(&nothing).expect("a chunk");
        assert!(!found.audio && !found.video);
    }

    #[test]
    fn a_chunk_that_speaks_of_more_than_it_holds_counts_for_nothing() {
        let tracks = Tracks::read(&made::init(&AVCC)).expect("an init segment");
        let both = made::chunk(b"picture", b"sound");
        for len in 0..both.len() {
            assert_eq!(tracks.samples(&both[..len]), None, "{len}");
        }
    }

    #[test]
    fn a_sample_becomes_a_stream_with_its_parameter_sets() {
        let avcc = [1, 66, 0, 30, 255, 0xe1, 0, 2, 0x67, 7, 1, 0, 1, 0x68];
        let sample = [0, 0, 0, 3, 0x65, 1, 2];
        let expected = [
            0, 0, 0, 1, 0x67, 7, 0, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x65, 1, 2,
        ];
        assert_eq!(
            annex_b(&avcc, &sample).as_deref(),
            Some(expected.as_slice())
        );
        assert_eq!(annex_b(&avcc, &sample[..5]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes: Vec<u8>, flip in 0usize..20_000) {
            let tracks = Tracks::read(&made::init(&AVCC)).expect("an init segment");
            tracks.samples(&bytes);
            Tracks::read(&bytes);
            annex_b(&bytes, &bytes);
            for good in [made::init(&AVCC), made::chunk(b"picture", b"sound")] {
                let mut bad = good;
                let bit = flip % (bad.len() * 8);
                bad[bit / 8] ^= 1 << (bit % 8);
                tracks.samples(&bad);
                Tracks::read(&bad);
            }
        }
    }
}
