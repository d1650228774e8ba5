//! A sound server of our own: PulseAudio with a microphone that plays a file.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::program::{Program, run};
use crate::wait::until;

/// The name of the microphone that programs see.
pub const MICROPHONE: &str = "qorgan_microphone";

/// A running PulseAudio whose default source plays a file; ended when dropped.
#[derive(Debug)]
pub struct Sound {
    socket: PathBuf,
    player: Option<Program>,
    folder: PathBuf,
    _server: Program,
}

impl Sound {
    /// Starts the sound server; its microphone is silent until something plays.
    ///
    /// # Errors
    /// Fails where PulseAudio is missing or does not come up in time.
    pub fn start(folder: &Path) -> Result<Self> {
        let socket = folder.join("pulse.socket");
        let mut pulse = Command::new("pulseaudio");
        pulse
            .args([
                "-n",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--use-pid-file=no",
            ])
            .args(["--disable-shm=yes", "--log-target=stderr"])
            .arg("-L")
            .arg(format!(
                "module-native-protocol-unix auth-anonymous=1 socket={}",
                socket.display()
            ))
            .args([
                "-L",
                "module-null-sink sink_name=qorgan_room rate=48000 channels=1",
            ])
            .arg("-L")
            .arg(format!(
                "module-remap-source master=qorgan_room.monitor source_name={MICROPHONE}"
            ))
            .env("XDG_RUNTIME_DIR", folder)
            .env("PULSE_RUNTIME_PATH", folder)
            .env("PULSE_STATE_PATH", folder)
            .env_remove("PULSE_SERVER");
        let server = Program::start("pulseaudio", pulse, folder)?;
        let sound = Self {
            socket,
            player: None,
            folder: folder.to_path_buf(),
            _server: server,
        };
        until("the sound server", START_LIMIT, || {
            Ok(sound.control(&["set-default-source", MICROPHONE]).ok())
        })?;
        Ok(sound)
    }

    /// Returns the variables by which programs find this sound server.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        let mut server = OsString::from("unix:");
        server.push(&self.socket);
        vec![
            ("PULSE_SERVER", server),
            ("PULSE_SOURCE", MICROPHONE.into()),
        ]
    }

    /// Plays `file` before the microphone, over and over.
    ///
    /// # Errors
    /// Fails where the player cannot be started.
    pub fn play(&mut self, file: &Path) -> Result<()> {
        self.player = Some(player(file, &self.variables(), &self.folder)?);
        Ok(())
    }

    /// Takes the microphone away, as pulling its plug would.
    ///
    /// # Errors
    /// Fails where the sound server refuses.
    pub fn unplug(&self) -> Result<()> {
        self.control(&["unload-module", "module-remap-source"])
    }

    fn control(&self, words: &[&str]) -> Result<()> {
        run(Command::new("pactl").args(words).envs(self.variables())).map(drop)
    }
}

/// Plays `file` over and over in the room of the sound server that `variables` name, beside what
/// else plays there.
///
/// # Errors
/// Fails where the player cannot be started.
pub fn player(
    file: &Path,
    variables: &[(impl AsRef<OsStr>, OsString)],
    folder: &Path,
) -> Result<Program> {
    let mut player = Command::new("sh");
    player
        .args(["-c", "while paplay --device=qorgan_room \"$0\"; do :; done"])
        .arg(file);
    for (name, value) in variables {
        player.env(name, value);
    }
    Program::start("player", player, folder)
}

const START_LIMIT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_plays_in_the_room_is_heard_by_the_microphone() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let tone = folder.path().join("tone.wav");
        run(Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i", "sine=440:d=4"])
            .arg(&tone))
        .expect("ffmpeg makes a tone");
        let mut sound = Sound::start(folder.path()).expect("PulseAudio starts");
        sound.play(&tone).expect("the player starts");

        let heard = folder.path().join("heard.raw");
        let mut record = Command::new("parecord");
        record.args(["--raw", "--format=s16le", "--rate=48000", "--channels=1"]);
        record
            .args(["--device", MICROPHONE])
            .arg(&heard)
            .envs(sound.variables());
        let mut recorder =
            Program::start("parecord", record, folder.path()).expect("parecord starts");

        recorder
            .until("a loud second", START_LIMIT, || {
                let bytes = std::fs::read(&heard).unwrap_or_default();
                let loud = bytes.chunks_exact(2).filter(|pair| is_loud(pair)).count();
                Ok((loud > 24_000).then_some(()))
            })
            .expect("the tone is heard");
    }

    fn is_loud(pair: &[u8]) -> bool {
        let sample = pair
            .try_into()
            .map(i16::from_le_bytes)
            .expect("a pair is two bytes");
        sample.unsigned_abs() > 1_000
    }
}
