//! A program under test: started with its own log, ended with its children.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::wait::until;

/// A running program; dropping it ends it and all it started.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `command`, its words going to `FOLDER/NAME.log`.
    ///
    /// # Errors
    /// Fails where the log cannot be made or the program not started.
    pub fn start(name: &str, command: Command, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let log = folder.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log)?;
        let child = bound_to_us(&command)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .env("QORGAN_LOG", log_filter())
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {name}: {command:?}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Returns the program's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns all that the program has said.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Returns how the program ended, if it has.
    ///
    /// # Errors
    /// Fails where the system does not tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Looks until `look` finds something, and fails at once if the program ends.
    ///
    /// # Errors
    /// Fails with the end of the program's log when it ends or the time is over.
    pub fn until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let found = until(what, limit, || {
            if let Some(found) = look()? {
                return Ok(Some(found));
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status} before {what}", self.name);
            }
            Ok(None)
        });
        found.with_context(|| format!("{} said:\n{}", self.name, end_of(&self.said())))
    }

    /// Waits until the program ends by itself.
    ///
    /// # Errors
    /// Fails when the time is over.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let child = &mut self.child;
        until(&format!("{} to end", self.name), limit, || {
            Ok(child.try_wait()?)
        })
    }

    /// Sends a signal to the program alone, by its name such as `KILL`.
    ///
    /// # Errors
    /// Fails where the signal cannot be sent.
    pub fn signal(&self, signal: &str) -> Result<()> {
        send(signal, &self.id().to_string())
    }

    /// Ends the program and all it started, at once, as a power cut would.
    ///
    /// # Errors
    /// Fails where the system does not tell that it ended.
    pub fn kill(&mut self) -> Result<()> {
        if self.ended()?.is_none() {
            send("KILL", &format!("-{}", self.id()))?;
            self.child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Children that outlived their parent are still in its group; nobody is left to tell.
        drop(send("KILL", &format!("-{}", self.id())));
        drop(self.child.wait());
    }
}

/// Returns what a program logs: all that its own crates say above TRACE, so that tests see what may
/// stand in a log, or what the caller's environment asks for.
fn log_filter() -> OsString {
    env::var_os("QORGAN_LOG").unwrap_or_else(|| "info,zbus=warn,qorgan=debug".into())
}

/// Returns the command that the system ends when this process ends, however it does.
fn bound_to_us(command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    bound
        .args(["--pdeathsig", "KILL", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    bound
}

/// Sends a signal to a process, or to a group where `target` starts with `-`.
///
/// # Errors
/// Fails where there is no such process.
pub fn send(signal: &str, target: &str) -> Result<()> {
    run(Command::new("kill").args(["-s", signal, "--", target])).map(drop)
}

/// Runs a command to its end and returns what it wrote to standard output.
///
/// # Errors
/// Fails with what it said where it reports failure.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let out = String::from_utf8_lossy(&output.stdout);
        bail!(
            "{command:?} failed with {}:\n{}{}",
            output.status,
            end_of(&out),
            end_of(&said)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Compiles one C file into a library that `LD_PRELOAD` loads.
///
/// # Errors
/// Fails where the compiler does.
pub fn shared_library(source: &Path, library: &Path) -> Result<()> {
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]);
    run(compiler.args([library, source]).arg("-ldl"))?;
    Ok(())
}

fn end_of(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(END_LINES)..)
        .unwrap_or_default()
        .join("\n")
}

const END_LINES: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_program_takes_its_children_with_it() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 60 & echo $!; wait"]);
        let mut program = Program::start("shell", shell, folder.path()).expect("the shell starts");
        let log = folder.path().join("shell.log");
        let child = program
            .until("the child's id", Duration::from_secs(5), || {
                let said = fs::read_to_string(&log)?;
                Ok(said.ends_with('\n').then(|| said.trim().to_owned()))
            })
            .expect("the shell prints it");

        drop(program);

        let gone = || Ok(send("0", &child).is_err().then_some(()));
        until("the child to end", Duration::from_secs(5), gone).expect("its group was ended");
    }

    #[test]
    fn a_program_that_ends_too_early_is_quoted() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo out of coffee; exit 3"]);
        let mut program = Program::start("shell", shell, folder.path()).expect("the shell starts");

        let error = program
            .until::<()>("never", Duration::from_secs(5), || Ok(None))
            .expect_err("the shell ends");

        assert!(format!("{error:#}").contains("out of coffee"), "{error:#}");
    }
}
