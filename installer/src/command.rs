//! Runs commands: on the terminal, or into a log with a sign of life.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::SetUpError;
use crate::screen::{say, spoken};

/// A command with its arguments and variables, not yet started.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    words: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
}

impl Line {
    /// Makes a command line of words.
    pub(crate) fn new<W: Into<OsString>>(words: impl IntoIterator<Item = W>) -> Self {
        Self {
            words: words.into_iter().map(Into::into).collect(),
            variables: Vec::new(),
        }
    }

    /// Adds words to the end.
    #[must_use]
    pub(crate) fn with<W: Into<OsString>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    /// Sets a variable for the command.
    #[must_use]
    pub(crate) fn set(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Sets several variables for the command.
    #[must_use]
    pub(crate) fn set_all<N: Into<OsString>, V: Into<OsString>>(
        self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        variables
            .into_iter()
            .fold(self, |line, (name, value)| line.set(name, value))
    }

    /// Returns the line as a person would type it.
    pub(crate) fn text(&self) -> String {
        self.words
            .iter()
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Runs the command and returns what it wrote to standard output, or
    /// nothing where it cannot be started or fails.
    pub(crate) fn output(&self) -> Option<String> {
        let output = self.command().stdin(Stdio::null()).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs the command with this program's own terminal.
    ///
    /// # Errors
    /// Fails where it cannot be started or reports failure.
    pub(crate) fn run(&self) -> Result<(), SetUpError> {
        let status = self
            .command()
            .status()
            .map_err(|source| self.not_started(source))?;
        if status.success() {
            Ok(())
        } else {
            Err(SetUpError::Failed {
                line: self.text(),
                log: None,
            })
        }
    }

    /// Runs the command with all it says going to `log`, and says once a
    /// minute that it still runs.
    ///
    /// # Errors
    /// Fails where the log cannot be written or the command not started; its
    /// own failure is the returned status.
    pub(crate) fn run_into(&self, log: &Path) -> Result<ExitStatus, SetUpError> {
        let at_log = |source| SetUpError::File {
            path: log.to_path_buf(),
            source,
        };
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder).map_err(at_log)?;
        }
        let out = File::create(log).map_err(at_log)?;
        let err = out.try_clone().map_err(at_log)?;
        let mut child = self
            .command()
            .env("CARGO_TERM_COLOR", "never")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|source| self.not_started(source))?;
        self.wait(&mut child, log)
    }

    fn wait(&self, child: &mut Child, log: &Path) -> Result<ExitStatus, SetUpError> {
        let start = Instant::now();
        let mut next_sign = SIGN_OF_LIFE_EVERY;
        loop {
            let ended = child
                .try_wait()
                .map_err(|source| self.not_started(source))?;
            if let Some(status) = ended {
                return Ok(status);
            }
            if start.elapsed() >= next_sign {
                say(&format!(
                    "      … {} · {}",
                    spoken(start.elapsed()),
                    last_line(log)
                ));
                next_sign += SIGN_OF_LIFE_EVERY;
            }
            thread::sleep(POLL_EVERY);
        }
    }

    fn command(&self) -> Command {
        let mut words = self.words.iter();
        let mut command = Command::new(words.next().cloned().unwrap_or_default());
        command
            .args(words)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn not_started(&self, source: std::io::Error) -> SetUpError {
        SetUpError::Start {
            line: self.text(),
            source,
        }
    }
}

/// Returns the whole text of a log, damaged bytes replaced.
pub(crate) fn read_log(log: &Path) -> String {
    fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// Returns the last `count` lines of a log.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(count)..)
        .unwrap_or_default()
        .join("\n")
}

/// Returns the path of a command on the path, if there is one.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn last_line(log: &Path) -> String {
    let mut tail = String::new();
    if let Ok(mut file) = File::open(log) {
        let length = file.metadata().map_or(0, |data| data.len());
        let mut bytes = Vec::new();
        let read = file
            .seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))
            .and_then(|_| (&file).take(TAIL_BYTES).read_to_end(&mut bytes));
        if read.is_ok() {
            tail = String::from_utf8_lossy(&bytes).into_owned();
        }
    }
    tail.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("")
        .trim()
        .to_owned()
}

const POLL_EVERY: Duration = Duration::from_millis(100);
const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(60);
const TAIL_BYTES: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_leaves_all_it_said_in_its_log() {
        let log = std::env::temp_dir().join(format!("qorgan-log-{}", std::process::id()));

        let status = Line::new(["sh", "-c", "echo out; echo err >&2; exit 3"])
            .run_into(&log)
            .expect("the shell starts");

        assert_eq!(status.code(), Some(3));
        assert_eq!(read_log(&log), "out\nerr\n");
        assert_eq!(last_line(&log), "err");
        fs::remove_file(&log).expect("the log was written");
    }

    #[test]
    fn variables_reach_the_command() {
        let output = Line::new(["sh", "-c", "echo $QORGAN_TRIAL"])
            .set("QORGAN_TRIAL", "7")
            .output();

        assert_eq!(output.as_deref(), Some("7\n"));
    }

    #[test]
    fn a_command_that_does_not_exist_is_named() {
        let error = Line::new(["qorgan-no-such-command"])
            .run()
            .expect_err("it cannot start");

        assert!(error.to_string().contains("qorgan-no-such-command"));
    }

    #[test]
    fn the_last_lines_of_a_short_text_are_all_of_it() {
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
    }
}
