//! Speech or not: Silero's voice activity, 32 ms at a time.

use crate::model::{Model, ModelError, ModelFile, NamedInput};

/// Samples of a frame at 16 kHz: 32 ms.
pub const SPEECH_FRAME_SAMPLES: usize = 512;

/// Hears whether somebody speaks; carries the model's state from frame to frame.
///
/// Of speech in English read aloud it finds at least four fifths of the frames; of keyboards it
/// takes 0.8 % for speech and of music 2.9 % (`models/README.md`), so that one frame proves nothing.
#[derive(Debug)]
pub struct VoiceActivity {
    model: Model,
    state: Vec<f32>,
    /// The end of the frame before, ahead of the frame: what the model's first filter needs.
    input: Vec<f32>,
}

impl VoiceActivity {
    /// Loads the model.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load() -> Result<Self, ModelError> {
        Ok(Self {
            model: Model::load(ModelFile::Speech)?,
            state: vec![0.0; STATE],
            input: vec![0.0; CONTEXT + SPEECH_FRAME_SAMPLES],
        })
    }

    /// Forgets what it heard.
    pub fn reset(&mut self) {
        self.state.fill(0.0);
        self.input.fill(0.0);
    }

    /// Takes the next frame of mono sound at 16 kHz and returns how likely it is speech, 0.0 to
    /// 1.0. 0.2 ms of work.
    ///
    /// # Errors
    /// Where the model cannot be run; the state is as before then.
    pub fn probability(&mut self, frame: &[i16; SPEECH_FRAME_SAMPLES]) -> Result<f32, ModelError> {
        self.input.copy_within(SPEECH_FRAME_SAMPLES.., 0);
        let fresh = self.input.iter_mut().skip(CONTEXT);
        for (slot, sample) in fresh.zip(frame) {
            *slot = f32::from(*sample) / FULL_SCALE;
        }
        let inputs = [
            NamedInput::real("input", &[1, CONTEXT + SPEECH_FRAME_SAMPLES], &self.input),
            NamedInput::real("state", &[2, 1, STATE / 2], &self.state),
            NamedInput::whole("sr", &[], &[16_000]),
        ];
        let outputs = self.model.run(&inputs, &["output", "stateN"])?;
        let [probability, state] = outputs.as_slice() else {
            return Err(self.unexpected("output"));
        };
        if state.values.len() != STATE {
            return Err(self.unexpected("stateN"));
        }
        self.state.copy_from_slice(&state.values);
        let first = probability.values.first().copied();
        first.ok_or_else(|| self.unexpected("output"))
    }

    fn unexpected(&self, output: &str) -> ModelError {
        ModelError::Output {
            file: self.model.file().name(),
            output: output.to_owned(),
        }
    }
}

const CONTEXT: usize = 64;
const STATE: usize = 2 * 128;
const FULL_SCALE: f32 = 32_768.0;
