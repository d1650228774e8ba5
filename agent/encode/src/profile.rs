//! The bandwidth profiles: one table of every setting that costs bytes.

use std::time::Duration;

/// How much of the network an attempt may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// At most 150 kbit/s on average for all streams together.
    Economy,
    /// At most 300 kbit/s on average for all streams together.
    Standard,
    /// The best picture; the average follows what is seen.
    Rich,
}

impl Profile {
    /// All profiles, the smallest first.
    pub const ALL: [Self; 3] = [Self::Economy, Self::Standard, Self::Rich];

    /// Returns the settings of the profile.
    #[must_use]
    pub const fn settings(self) -> &'static ProfileSettings {
        match self {
            Self::Economy => &ECONOMY,
            Self::Standard => &STANDARD,
            Self::Rich => &RICH,
        }
    }
}

/// Every setting of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileSettings {
    /// The camera's video.
    pub camera: CameraSettings,
    /// Each display's video.
    pub screen: ScreenSettings,
    /// The microphone's sound.
    pub sound: SoundSettings,
    /// The stills that are always on.
    pub thumbnail: ThumbnailSettings,
    /// The average that all streams together stay below, where there is one.
    pub total_bits_per_s_max: Option<u32>,
}

/// How a camera is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CameraSettings {
    /// Picture width asked of the device, in pixels.
    pub width: u32,
    /// Picture height asked of the device, in pixels.
    pub height: u32,
    /// Frames encoded in a second at most.
    pub frames_per_s: u32,
    /// What holds the bytes down.
    pub rate: Rate,
    /// How symbols are written.
    pub entropy: Entropy,
    /// The longest time between two key frames.
    pub key_interval: Duration,
}

/// How a display is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScreenSettings {
    /// Frames looked at in a second at most; unchanged ones are not encoded.
    pub frames_per_s: u32,
    /// What holds the bytes down.
    pub rate: Rate,
    /// How symbols are written.
    pub entropy: Entropy,
    /// The longest time between two key frames while the picture changes.
    pub key_interval: Duration,
}

/// How sound is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoundSettings {
    /// Bits in a second, while somebody speaks.
    pub bits_per_s: u32,
    /// Whether silence is sent as almost nothing.
    pub silence_suppressed: bool,
    /// How hard the encoder tries, 0 to 10.
    pub complexity: u8,
}

/// How the always-on stills are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThumbnailSettings {
    /// Picture width in pixels; the height follows the source.
    pub width: u32,
    /// JPEG quality, 1 to 100.
    pub jpeg_quality: u8,
    /// Time between two stills of one stream.
    pub period: Duration,
}

/// What holds a stream's bytes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// The encoder's own control aims at an average.
    Average {
        /// Bits in a second aimed at.
        bits_per_s: u32,
        /// The finest quantiser.
        qp_min: u8,
        /// The coarsest quantiser.
        qp_max: u8,
    },
    /// One quantiser for every frame.
    Quality {
        /// The quantiser.
        qp: u8,
    },
    /// A quantiser that gets coarser while more is spent than the budget gives, then fewer frames.
    Budget {
        /// Bits in a second that may be spent on average.
        bits_per_s: u32,
        /// The quantiser of a stream with nothing spent.
        qp_min: u8,
        /// The coarsest quantiser.
        qp_max: u8,
    },
}

/// How H.264 symbols are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entropy {
    /// Variable length codes: less work.
    Cavlc,
    /// Arithmetic coding: fewer bytes.
    Cabac,
}

const ECONOMY: ProfileSettings = ProfileSettings {
    camera: CameraSettings {
        width: 640,
        height: 480,
        frames_per_s: 10,
        rate: Rate::Average {
            bits_per_s: 66_000,
            qp_min: 20,
            qp_max: 44,
        },
        entropy: Entropy::Cabac,
        key_interval: Duration::from_secs(4),
    },
    screen: ScreenSettings {
        frames_per_s: 2,
        rate: Rate::Budget {
            bits_per_s: 30_000,
            qp_min: 30,
            qp_max: 40,
        },
        entropy: Entropy::Cabac,
        key_interval: Duration::from_secs(10),
    },
    sound: SoundSettings {
        bits_per_s: 14_000,
        silence_suppressed: true,
        complexity: 5,
    },
    thumbnail: ThumbnailSettings {
        width: 128,
        jpeg_quality: 40,
        period: Duration::from_secs(4),
    },
    total_bits_per_s_max: Some(150_000),
};

const STANDARD: ProfileSettings = ProfileSettings {
    camera: CameraSettings {
        width: 640,
        height: 480,
        frames_per_s: 15,
        rate: Rate::Average {
            bits_per_s: 130_000,
            qp_min: 18,
            qp_max: 42,
        },
        entropy: Entropy::Cabac,
        key_interval: Duration::from_secs(2),
    },
    screen: ScreenSettings {
        frames_per_s: 4,
        rate: Rate::Budget {
            bits_per_s: 70_000,
            qp_min: 28,
            qp_max: 38,
        },
        entropy: Entropy::Cabac,
        key_interval: Duration::from_secs(10),
    },
    sound: SoundSettings {
        bits_per_s: 18_000,
        silence_suppressed: true,
        complexity: 5,
    },
    thumbnail: ThumbnailSettings {
        width: 160,
        jpeg_quality: 50,
        period: Duration::from_secs(2),
    },
    total_bits_per_s_max: Some(300_000),
};

const RICH: ProfileSettings = ProfileSettings {
    camera: CameraSettings {
        width: 640,
        height: 480,
        frames_per_s: 15,
        rate: Rate::Average {
            bits_per_s: 300_000,
            qp_min: 16,
            qp_max: 40,
        },
        entropy: Entropy::Cavlc,
        key_interval: Duration::from_secs(2),
    },
    screen: ScreenSettings {
        frames_per_s: 5,
        rate: Rate::Quality { qp: 28 },
        entropy: Entropy::Cavlc,
        key_interval: Duration::from_secs(10),
    },
    sound: SoundSettings {
        bits_per_s: 24_000,
        silence_suppressed: false,
        complexity: 5,
    },
    thumbnail: ThumbnailSettings {
        width: 192,
        jpeg_quality: 60,
        period: Duration::from_secs(1),
    },
    total_bits_per_s_max: None,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_streams_may_spend_leaves_room_for_stills_and_container() {
        for profile in [Profile::Economy, Profile::Standard] {
            let settings = profile.settings();
            let spent = bits_of(settings.camera.rate)
                + bits_of(settings.screen.rate)
                + settings.sound.bits_per_s;
            let most = settings
                .total_bits_per_s_max
                .expect("these two have a bound");
            assert!(
                spent * 10 <= most * 8,
                "{profile:?} plans {spent} of {most} bit/s"
            );
        }
    }

    fn bits_of(rate: Rate) -> u32 {
        match rate {
            Rate::Average { bits_per_s, .. } | Rate::Budget { bits_per_s, .. } => bits_per_s,
            Rate::Quality { .. } => panic!("a bounded profile bounds every stream"),
        }
    }
}
