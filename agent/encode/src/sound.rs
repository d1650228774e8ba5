//! Samples to Opus.

use std::time::Duration;

use opus::{Application, Bitrate, Channels, Encoder};
use qorgan_protocol::media::Track;
use thiserror::Error;

use crate::profile::SoundSettings;
use crate::time::MediaTime;

/// Why sound could not be encoded.
#[derive(Debug, Error)]
#[error("opus refused `{call}`")]
pub struct SoundError {
    /// What was asked.
    pub call: &'static str,
    /// What it answered.
    #[source]
    pub source: opus::Error,
}

/// One encoded packet of [`AudioEncoder::PACKET_SPAN`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoundPacket {
    /// When its first sample was captured.
    pub at: MediaTime,
    /// The Opus packet.
    pub data: Vec<u8>,
}

/// Encodes one stream of mono sound at 48 kHz.
///
/// Time follows the count of samples, so packets join without gaps; when the blocks handed in are
/// further than [`AudioEncoder::DRIFT_MAX`] from that, what is gathered is given up and the time
/// is taken from the block.
#[derive(Debug)]
pub struct AudioEncoder {
    encoder: Encoder,
    pre_skip: u16,
    gathered: Vec<i16>,
    start: Option<MediaTime>,
    packets_since_start: u64,
}

impl AudioEncoder {
    /// The span of one packet.
    pub const PACKET_SPAN: Duration = Duration::from_millis(20);

    /// How far a block's time may be from the count of samples.
    pub const DRIFT_MAX: Duration = Duration::from_millis(60);

    /// Opens an encoder.
    ///
    /// # Errors
    ///
    /// [`SoundError`] if the library refuses the settings.
    pub fn new(settings: &SoundSettings) -> Result<Self, SoundError> {
        let mut encoder = Encoder::new(Track::Sound.timescale(), Channels::Mono, Application::Voip)
            .map_err(|source| SoundError {
                call: "create",
                source,
            })?;
        let bits_per_s = i32::try_from(settings.bits_per_s).unwrap_or(i32::MAX);
        encoder
            .set_bitrate(Bitrate::Bits(bits_per_s))
            .and_then(|()| encoder.set_complexity(i32::from(settings.complexity)))
            .and_then(|()| encoder.set_vbr(true))
            .and_then(|()| encoder.set_dtx(settings.silence_suppressed))
            .map_err(|source| SoundError {
                call: "set",
                source,
            })?;
        let lookahead = encoder.get_lookahead().map_err(|source| SoundError {
            call: "lookahead",
            source,
        })?;
        Ok(Self {
            encoder,
            pre_skip: u16::try_from(lookahead).unwrap_or(0),
            gathered: Vec::with_capacity(2 * PACKET_SAMPLES),
            start: None,
            packets_since_start: 0,
        })
    }

    /// Returns the samples that a player drops at the beginning.
    #[must_use]
    pub const fn pre_skip(&self) -> u16 {
        self.pre_skip
    }

    /// Takes samples whose first was captured at `at`, and returns the packets that are full.
    ///
    /// # Errors
    ///
    /// [`SoundError`] if the library refuses a packet.
    pub fn push(&mut self, samples: &[i16], at: MediaTime) -> Result<Vec<SoundPacket>, SoundError> {
        self.follow(at);
        self.gathered.extend_from_slice(samples);
        let mut packets = Vec::new();
        while self.gathered.len() >= PACKET_SAMPLES {
            let at = self.next_packet_at().unwrap_or(at);
            let (block, _) = self.gathered.split_at(PACKET_SAMPLES);
            let data = self
                .encoder
                .encode_vec(block, PACKET_BYTES_MAX)
                .map_err(|source| SoundError {
                    call: "encode",
                    source,
                })?;
            self.gathered.drain(..PACKET_SAMPLES);
            self.packets_since_start += 1;
            packets.push(SoundPacket { at, data });
        }
        Ok(packets)
    }

    fn follow(&mut self, at: MediaTime) {
        let gathered = u64::try_from(self.gathered.len()).unwrap_or(0);
        let expected = self
            .next_packet_at()
            .map(|next| next.plus(Track::Sound.span_of(gathered)));
        let joins = expected.is_some_and(|expected| {
            let apart = at
                .since(expected)
                .or_else(|| expected.since(at))
                .unwrap_or_default();
            apart <= Self::DRIFT_MAX
        });
        if joins {
            return;
        }
        // Packets may not overlap: a block from before the last packet's end begins at that end.
        let earliest = self.next_packet_at().unwrap_or(MediaTime::ZERO);
        self.gathered.clear();
        self.start = Some(at.max(earliest));
        self.packets_since_start = 0;
    }

    fn next_packet_at(&self) -> Option<MediaTime> {
        let ticks = self.packets_since_start * PACKET_TICKS;
        self.start
            .map(|start| start.plus(Track::Sound.span_of(ticks)))
    }
}

/// Samples in one packet.
pub(crate) const PACKET_SAMPLES: usize = 960;
/// Ticks of the sound track in one packet.
pub(crate) const PACKET_TICKS: u64 = 960;
const PACKET_BYTES_MAX: usize = 1_275;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Profile;

    #[test]
    fn packets_join_although_blocks_come_early_and_late() {
        let mut encoder = encoder();
        let mut packets = Vec::new();
        for n in 0..50_u64 {
            let wobble = if n % 2 == 0 { 0 } else { 9_000_000 };
            let at = MediaTime::from_nanos(1_000_000_000 + n * 10_000_000 + wobble);
            packets.extend(encoder.push(&[100; 480], at).expect("opus takes it"));
        }
        assert_eq!(packets.len(), 25);
        assert!(
            packets
                .windows(2)
                .all(|pair| { pair[1].at.since(pair[0].at) == Some(AudioEncoder::PACKET_SPAN) })
        );
    }

    #[test]
    fn a_gap_moves_the_time_and_never_back() {
        let mut encoder = encoder();
        let first = encoder
            .push(&[0; 1_000], MediaTime::from_millis(100))
            .expect("opus takes it");
        let later = encoder
            .push(&[0; 960], MediaTime::from_millis(900))
            .expect("opus takes it");
        let early = encoder
            .push(&[0; 960], MediaTime::from_millis(200))
            .expect("opus takes it");
        assert_eq!(first[0].at, MediaTime::from_millis(100));
        assert_eq!(later[0].at, MediaTime::from_millis(900));
        assert_eq!(early[0].at, MediaTime::from_millis(920));
    }

    #[test]
    fn silence_costs_almost_nothing_in_economy() {
        let mut encoder = encoder();
        let mut bytes = 0;
        for n in 0..500_u64 {
            let at = MediaTime::from_millis(20 * n);
            let packets = encoder.push(&[0; 960], at).expect("opus takes it");
            bytes += packets
                .iter()
                .map(|packet| packet.data.len())
                .sum::<usize>();
        }
        assert!(bytes < 500 * 6, "{bytes} bytes for ten seconds of silence");
    }

    fn encoder() -> AudioEncoder {
        AudioEncoder::new(&Profile::Economy.settings().sound).expect("opus opens")
    }
}
