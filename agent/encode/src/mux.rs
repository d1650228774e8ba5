//! Frames and packets to a standard CMAF track file.

use mp4_atom::{
    Audio, Avc1, Avcc, AvccExt, Codec, Dinf, Dops, Dref, DrefEntry, Encode as _, FixedPoint,
    FourCC, Ftyp, Hdlr, Mdhd, Mdia, Mfhd, Minf, Moof, Moov, Mvex, Mvhd, Opus, Smhd, Stbl, Stco,
    Stsd, Tfdt, Tfhd, Tkhd, Traf, Trak, Trex, Trun, TrunEntry, Url, Visual, Vmhd,
};
use qorgan_protocol::limits::CHUNK_BYTES_MAX;
use qorgan_protocol::media::{CHUNK_SAMPLES_MAX, ParameterSets, SAMPLE_IS_NON_SYNC, Track};
use std::time::Duration;
use thiserror::Error;

use crate::CHUNK_SPAN_MAX;
use crate::sound::{PACKET_TICKS, SoundPacket};
use crate::time::MediaTime;
use crate::video::EncodedFrame;

/// The tracks of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The video track.
    pub video: Option<VideoLayout>,
    /// The sound track's samples that a player drops at the beginning, where there is one.
    pub sound_pre_skip: Option<u16>,
}

/// The video track of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoLayout {
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
    /// What a decoder needs before the first frame.
    pub sets: ParameterSets,
}

/// Why frames could not be muxed.
#[derive(Debug, Error)]
pub enum MuxError {
    /// There is neither video nor sound.
    #[error("the stream has no track")]
    NoTrack,
    /// The chunk would be empty.
    #[error("a chunk needs a frame or a packet")]
    Empty,
    /// A frame or packet came for a track that the stream has not.
    #[error("the stream has no {0:?} track")]
    NoSuchTrack(Track),
    /// A frame or packet is not later than the one before, or is before the origin.
    #[error("a sample of the {0:?} track is not later than the one before")]
    TimeWentBack(Track),
    /// The chunk would span more than a chunk may.
    #[error("a chunk of {0:?} is too long")]
    TooLong(Duration),
    /// The chunk would hold more than a chunk may.
    #[error("a chunk of {bytes} bytes and {samples} samples is too large")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// Its samples.
        samples: usize,
    },
    /// A size or time does not fit its field.
    #[error("a value does not fit its field")]
    Range,
    /// The box writer refused.
    #[error("a box could not be written")]
    Box(#[source] mp4_atom::Error),
}

/// One finished chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// `moof` and `mdat`.
    pub bytes: Vec<u8>,
    /// When its first sample begins.
    pub start: MediaTime,
    /// From there to the end of its last sample.
    pub duration: Duration,
    /// Whether its first video frame can be decoded alone; true for sound alone.
    pub sync: bool,
}

/// Writes one stream; one muxer a stream.
///
/// Times in the file count from `origin`. A muxer made again with the same layout and origin, after
/// the agent was started again, continues the file; the pause shows as a longer last frame.
#[derive(Debug)]
pub struct CmafMuxer {
    layout: Layout,
    origin: MediaTime,
    sequence: u32,
    video_next: u64,
    sound_next: u64,
}

impl CmafMuxer {
    /// Makes a muxer whose first chunk has the number `first_sequence`.
    ///
    /// # Errors
    ///
    /// [`MuxError::NoTrack`] if the layout is empty.
    pub fn new(layout: Layout, origin: MediaTime, first_sequence: u32) -> Result<Self, MuxError> {
        if layout.video.is_none() && layout.sound_pre_skip.is_none() {
            return Err(MuxError::NoTrack);
        }
        Ok(Self {
            layout,
            origin,
            sequence: first_sequence,
            video_next: 0,
            sound_next: 0,
        })
    }

    /// Returns the stream's origin.
    #[must_use]
    pub const fn origin(&self) -> MediaTime {
        self.origin
    }

    /// Returns `ftyp` and `moov`, with which every file and every live view begins.
    ///
    /// # Errors
    ///
    /// [`MuxError`] if a value does not fit its field.
    pub fn init_segment(&self) -> Result<Vec<u8>, MuxError> {
        let mut traks = Vec::new();
        if let Some(video) = &self.layout.video {
            traks.push(video_trak(video)?);
        }
        if let Some(pre_skip) = self.layout.sound_pre_skip {
            traks.push(sound_trak(pre_skip));
        }
        let trex = traks
            .iter()
            .map(|trak| Trex {
                track_id: trak.tkhd.track_id,
                default_sample_description_index: 1,
                ..Trex::default()
            })
            .collect();
        let moov = Moov {
            mvhd: Mvhd {
                creation_time: 0,
                modification_time: 0,
                timescale: 1_000,
                duration: 0,
                rate: 1.into(),
                volume: 1.into(),
                matrix: mp4_atom::Matrix::default(),
                next_track_id: 3,
            },
            mvex: Some(Mvex { mehd: None, trex }),
            trak: traks,
            ..Moov::default()
        };
        let ftyp = Ftyp {
            major_brand: FourCC::new(b"iso6"),
            minor_version: 0,
            compatible_brands: vec![
                FourCC::new(b"iso6"),
                FourCC::new(b"cmfc"),
                FourCC::new(b"mp41"),
            ],
        };
        let mut out = Vec::with_capacity(1_024);
        ftyp.encode(&mut out).map_err(MuxError::Box)?;
        moov.encode(&mut out).map_err(MuxError::Box)?;
        Ok(out)
    }

    /// Writes one chunk; its last frame is shown until `until`, at most to the chunk's longest span.
    ///
    /// # Errors
    ///
    /// [`MuxError`] if nothing is given, times go back, or the chunk is too long or large. The
    /// muxer is then as before.
    pub fn chunk(
        &mut self,
        video: &[EncodedFrame],
        sound: &[SoundPacket],
        until: MediaTime,
    ) -> Result<Chunk, MuxError> {
        let video_run = self.video_run(video, until)?;
        let sound_run = self.sound_run(sound)?;
        let bytes = self.write(video, &video_run, sound, &sound_run)?;
        let start = [
            video.first().map(|frame| frame.at),
            sound.first().map(|packet| packet.at),
        ]
        .into_iter()
        .flatten()
        .min()
        .ok_or(MuxError::Empty)?;
        let ends = [&video_run, &sound_run]
            .map(|run| run.end().map_or(start, |end| self.origin.plus(end)));
        let end = ends.into_iter().max().unwrap_or(start);
        if let Some(last) = video_run.starts.last() {
            self.video_next = last + 1;
        }
        if let Some(last) = sound_run.starts.last() {
            self.sound_next = last + PACKET_TICKS;
        }
        self.sequence = self.sequence.wrapping_add(1);
        Ok(Chunk {
            bytes,
            start,
            duration: end.since(start).unwrap_or_default(),
            sync: video.first().is_none_or(|frame| frame.key),
        })
    }

    fn video_run(&self, frames: &[EncodedFrame], until: MediaTime) -> Result<Run, MuxError> {
        let track = Track::Video;
        if !frames.is_empty() && self.layout.video.is_none() {
            return Err(MuxError::NoSuchTrack(track));
        }
        let starts = self.starts(
            track,
            frames.iter().map(|frame| frame.at),
            self.video_next,
            1,
        )?;
        let until = until
            .ticks_since(self.origin, track.timescale())
            .unwrap_or(0);
        let span_max = MediaTime::ZERO
            .plus(CHUNK_SPAN_MAX)
            .ticks_since(MediaTime::ZERO, track.timescale())
            .unwrap_or(0);
        let end = match (starts.first(), starts.last()) {
            (Some(first), Some(last)) => until.min(first + span_max).max(last + 1),
            (None | Some(_), _) => 0,
        };
        Run::new(track, starts, end)
    }

    fn sound_run(&self, packets: &[SoundPacket]) -> Result<Run, MuxError> {
        let track = Track::Sound;
        if !packets.is_empty() && self.layout.sound_pre_skip.is_none() {
            return Err(MuxError::NoSuchTrack(track));
        }
        let times = packets.iter().map(|packet| packet.at);
        let starts = self.starts(track, times, self.sound_next, PACKET_TICKS)?;
        let end = starts.last().map_or(0, |last| last + PACKET_TICKS);
        Run::new(track, starts, end)
    }

    /// Turns moments into ticks that are at least `apart` from each other.
    fn starts(
        &self,
        track: Track,
        times: impl Iterator<Item = MediaTime>,
        mut earliest: u64,
        apart: u64,
    ) -> Result<Vec<u64>, MuxError> {
        let mut starts = Vec::new();
        for at in times {
            let ticks = at
                .ticks_since(self.origin, track.timescale())
                // Rounding may put a packet one tick early; that is no step back.
                .map(|ticks| if apart > 1 && ticks + 1 == earliest { earliest } else { ticks })
                .filter(|ticks| *ticks >= earliest)
                .ok_or(MuxError::TimeWentBack(track))?;
            starts.push(ticks);
            earliest = ticks + apart;
        }
        let span = match (starts.first(), starts.last()) {
            (Some(first), Some(last)) => track.span_of(last - first),
            (None | Some(_), _) => Duration::ZERO,
        };
        if span > CHUNK_SPAN_MAX {
            return Err(MuxError::TooLong(span));
        }
        Ok(starts)
    }

    fn write(
        &self,
        video: &[EncodedFrame],
        video_run: &Run,
        sound: &[SoundPacket],
        sound_run: &Run,
    ) -> Result<Vec<u8>, MuxError> {
        let video_bytes: usize = video.iter().map(|frame| frame.data.len()).sum();
        let sound_bytes: usize = sound.iter().map(|packet| packet.data.len()).sum();
        let samples = video.len().max(sound.len());
        let data_bytes = video_bytes + sound_bytes;
        if data_bytes > CHUNK_BYTES_MAX - HEADROOM_BYTES || samples > CHUNK_SAMPLES_MAX {
            return Err(MuxError::TooLarge {
                bytes: data_bytes,
                samples,
            });
        }
        let mut moof = Moof {
            mfhd: Mfhd {
                sequence_number: self.sequence,
            },
            traf: Vec::new(),
        };
        let mut offsets = Vec::new();
        if !video.is_empty() {
            moof.traf.push(video_traf(video, video_run)?);
            offsets.push(0);
        }
        if !sound.is_empty() {
            moof.traf.push(sound_traf(sound, sound_run)?);
            offsets.push(video_bytes);
        }
        let mut sized = Vec::new();
        moof.encode(&mut sized).map_err(MuxError::Box)?;
        for (traf, offset) in moof.traf.iter_mut().zip(offsets) {
            let offset =
                i32::try_from(sized.len() + 8 + offset).map_err(|_large| MuxError::Range)?;
            traf.trun
                .iter_mut()
                .for_each(|trun| trun.data_offset = Some(offset));
        }
        let mut out = Vec::with_capacity(sized.len() + 8 + data_bytes);
        moof.encode(&mut out).map_err(MuxError::Box)?;
        let mdat_bytes = u32::try_from(data_bytes + 8).map_err(|_large| MuxError::Range)?;
        out.extend_from_slice(&mdat_bytes.to_be_bytes());
        out.extend_from_slice(b"mdat");
        video
            .iter()
            .for_each(|frame| out.extend_from_slice(&frame.data));
        sound
            .iter()
            .for_each(|packet| out.extend_from_slice(&packet.data));
        Ok(out)
    }
}

/// The times of one track in one chunk.
struct Run {
    track: Track,
    starts: Vec<u64>,
    durations: Vec<u32>,
}

impl Run {
    fn new(track: Track, starts: Vec<u64>, end: u64) -> Result<Self, MuxError> {
        let ends = starts.iter().skip(1).chain(std::iter::once(&end));
        let durations = starts
            .iter()
            .zip(ends)
            .map(|(start, end)| u32::try_from(end.saturating_sub(*start)))
            .collect::<Result<_, _>>()
            .map_err(|_long| MuxError::Range)?;
        Ok(Self {
            track,
            starts,
            durations,
        })
    }

    fn end(&self) -> Option<Duration> {
        let start = *self.starts.last()?;
        let duration = u64::from(*self.durations.last()?);
        Some(self.track.span_of(start + duration))
    }

    fn tfdt(&self) -> Tfdt {
        Tfdt {
            base_media_decode_time: self.starts.first().copied().unwrap_or(0),
        }
    }
}

fn video_traf(frames: &[EncodedFrame], run: &Run) -> Result<Traf, MuxError> {
    let mut entries = Vec::with_capacity(frames.len());
    for (index, (frame, duration)) in frames.iter().zip(&run.durations).enumerate() {
        let flags = if frame.key {
            SYNC_FLAGS
        } else {
            NON_SYNC_FLAGS
        };
        entries.push(TrunEntry {
            duration: Some(*duration),
            size: Some(u32::try_from(frame.data.len()).map_err(|_large| MuxError::Range)?),
            // Only the first frame is a key frame in most chunks: then one field does.
            flags: (index == 0 || frame.key).then_some(flags),
            cts: None,
        });
    }
    if entries.iter().skip(1).any(|entry| entry.flags.is_some()) {
        entries
            .iter_mut()
            .for_each(|entry| entry.flags = entry.flags.or(Some(NON_SYNC_FLAGS)));
    }
    Ok(Traf {
        tfhd: Tfhd {
            track_id: Track::Video.id(),
            default_sample_flags: Some(NON_SYNC_FLAGS),
            default_base_is_moof: true,
            ..Tfhd::default()
        },
        tfdt: Some(run.tfdt()),
        trun: vec![Trun {
            data_offset: Some(0),
            samples: entries.into(),
        }],
        ..Traf::default()
    })
}

fn sound_traf(packets: &[SoundPacket], run: &Run) -> Result<Traf, MuxError> {
    let even = run
        .durations
        .iter()
        .all(|duration| u64::from(*duration) == PACKET_TICKS);
    let mut entries = Vec::with_capacity(packets.len());
    for (packet, duration) in packets.iter().zip(&run.durations) {
        entries.push(TrunEntry {
            duration: (!even).then_some(*duration),
            size: Some(u32::try_from(packet.data.len()).map_err(|_large| MuxError::Range)?),
            flags: None,
            cts: None,
        });
    }
    Ok(Traf {
        tfhd: Tfhd {
            track_id: Track::Sound.id(),
            default_sample_duration: u32::try_from(PACKET_TICKS).ok(),
            default_sample_flags: Some(SYNC_FLAGS),
            default_base_is_moof: true,
            ..Tfhd::default()
        },
        tfdt: Some(run.tfdt()),
        trun: vec![Trun {
            data_offset: Some(0),
            samples: entries.into(),
        }],
        ..Traf::default()
    })
}

fn video_trak(video: &VideoLayout) -> Result<Trak, MuxError> {
    let width = u16::try_from(video.width).map_err(|_large| MuxError::Range)?;
    let height = u16::try_from(video.height).map_err(|_large| MuxError::Range)?;
    let mut avcc = Avcc::new(&video.sets.sps, &video.sets.pps).map_err(MuxError::Box)?;
    if avcc.avc_profile_indication >= PROFILE_HIGH {
        avcc.ext = Some(AvccExt::default());
    }
    let visual = Visual {
        data_reference_index: 1,
        width,
        height,
        ..Visual::default()
    };
    let codec = Codec::Avc1(Avc1 {
        visual,
        avcc,
        btrt: None,
        colr: None,
        pasp: None,
        taic: None,
        fiel: None,
        spatial: None,
    });
    let mut trak = trak(Track::Video, FourCC::new(b"vide"), codec);
    trak.tkhd.width = FixedPoint::from(width);
    trak.tkhd.height = FixedPoint::from(height);
    trak.mdia.minf.vmhd = Some(Vmhd::default());
    Ok(trak)
}

fn sound_trak(pre_skip: u16) -> Trak {
    let codec = Codec::Opus(Opus {
        audio: Audio {
            data_reference_index: 1,
            channel_count: 1,
            sample_size: 16,
            sample_rate: 48_000.into(),
        },
        dops: Dops {
            output_channel_count: 1,
            pre_skip,
            input_sample_rate: Track::Sound.timescale(),
            output_gain: 0,
            channel_mapping: None,
        },
        btrt: None,
    });
    let mut trak = trak(Track::Sound, FourCC::new(b"soun"), codec);
    trak.tkhd.volume = 1.into();
    trak.mdia.minf.smhd = Some(Smhd::default());
    trak
}

fn trak(track: Track, handler: FourCC, codec: Codec) -> Trak {
    Trak {
        tkhd: Tkhd {
            track_id: track.id(),
            enabled: true,
            in_movie: true,
            ..Tkhd::default()
        },
        mdia: Mdia {
            mdhd: Mdhd {
                timescale: track.timescale(),
                language: "und".to_owned(),
                ..Mdhd::default()
            },
            hdlr: Hdlr {
                handler,
                name: "qorgan".to_owned(),
            },
            minf: Minf {
                dinf: Dinf {
                    dref: Dref {
                        entries: vec![DrefEntry::Url(Url {
                            location: String::new(),
                        })],
                    },
                },
                stbl: Stbl {
                    stsd: Stsd {
                        codecs: vec![codec],
                    },
                    stco: Some(Stco::default()),
                    ..Stbl::default()
                },
                ..Minf::default()
            },
        },
        ..Trak::default()
    }
}

/// A sample that depends on no other.
const SYNC_FLAGS: u32 = 0x0200_0000;
/// A sample that depends on others.
const NON_SYNC_FLAGS: u32 = 0x0100_0000 | SAMPLE_IS_NON_SYNC;
/// From this profile on, `avcC` also tells chroma format and bit depth.
const PROFILE_HIGH: u8 = 100;
/// What `moof` and the box headers need at most.
const HEADROOM_BYTES: usize = 16 * 1024;
