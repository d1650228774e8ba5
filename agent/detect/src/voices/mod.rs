//! Voices: what is said is never asked, only whether somebody speaks and whether it is the
//! candidate.
//!
//! A [`Listener`] is no detector: it turns sound into [`Voices`], and detectors of several kinds are
//! given the same ones as [`crate::Input::Voices`], so that the models run once for all.

mod another;
mod apart;
mod fbank;
mod floor;
mod kept;
mod listener;
mod phrases;
mod print;
mod resample;
#[cfg(test)]
mod samples;
mod speaker;
mod speech;
mod talking;
mod undertone;
mod voiced;
mod whisper;

pub(crate) use another::{ANOTHER, SEVERAL, another_again, several_again};
pub use another::{AnotherVoice, SeveralVoices};
pub use fbank::{BINS, FRAME_SAMPLES, FilterBank, SHIFT_SAMPLES};
pub(crate) use kept::KeptVoices;
pub(crate) use listener::Sound;
pub use listener::{Listener, Voices};
pub use print::{PRINT_BYTES, PRINT_PIECES_MIN, PrintError, VoicePrint};
pub use resample::Decimator;
pub use speaker::{Manner, Speaker, VOICE_NUMBERS, VoiceEmbedding};
pub use speech::{SPEECH_FRAME_SAMPLES, VoiceActivity};
pub use talking::Talking;
pub(crate) use talking::{TALKING, talking_again, to_bytes as minute_bytes};
pub use whisper::Whisper;
pub(crate) use whisper::{WHISPER, whisper_again};
