//! Candidates' video is decoded in a process of its own that holds no key, and can open, send and
//! start nothing.
//!
//! # Invariants
//! * The server's own process decodes no video.
//! * A worker lives for one job; what took it over sees one attempt's picture and no other.
//! * A slot is held by the job itself until its process has ended; no slot is shared with sign-in
//!   or anything else, and an act's stills wait for a slot of their own.
//! * One job an attempt; after it the attempt rests for a multiple of what it cost.
//! * Where a worker fails, nothing was found: that closes and never opens.

mod code;
mod picture;
mod platform;
mod wire;
mod worker;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use qorgan_protocol::ids::AttemptId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

pub use picture::code_on_picture;
pub use platform::own_program;
pub use worker::work;

use wire::{ANSWER_HEAD_BYTES, READY, Request, Task};

/// Says why nothing was decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// This process has no program that decodes.
    #[error("no program decodes here")]
    NoProgram,
    /// Workers cannot be started; the next one is tried later.
    #[error("decoding rests, for no worker could be started")]
    Resting,
    /// A worker could not be started or confined.
    #[error("a worker cannot be started")]
    Start(#[source] std::io::Error),
    /// What is to be decoded is too long.
    #[error("too much to decode at once")]
    TooLong,
    /// A worker ended early or broke the wire's rules.
    #[error("a worker ended without an answer")]
    Ended,
    /// A worker took too long and was killed.
    #[error("a worker took too long")]
    TooSlow,
    /// Others are decoded first, for longer than anybody waits.
    #[error("too much waits to be decoded")]
    Busy,
}

/// Has video decoded; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Decoders {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    program: Option<PathBuf>,
    codes: Slots,
    stills: Slots,
    busy: Mutex<BTreeSet<AttemptId>>,
    health: Mutex<Health>,
}

/// How many jobs of a kind are done at once, and how long another one waits for its turn.
#[derive(Debug)]
struct Slots {
    free: Semaphore,
    wait_max: Duration,
}

impl Slots {
    const fn new(at_once: usize, wait_max: Duration) -> Self {
        Self {
            free: Semaphore::const_new(at_once),
            wait_max,
        }
    }

    /// Waits for a slot, first come, first served.
    async fn take(&self) -> Result<SemaphorePermit<'_>, DecodeError> {
        match timeout(self.wait_max, self.free.acquire()).await {
            Ok(Ok(slot)) => Ok(slot),
            // Never closed, so that the only way not to get one is to wait too long.
            Ok(Err(_)) | Err(_) => Err(DecodeError::Busy),
        }
    }
}

/// Whether workers can be started.
#[derive(Debug, Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
}

/// The one job of an attempt; another begins once this is dropped.
#[derive(Debug)]
pub struct Turn {
    decoders: Decoders,
    attempt: AttemptId,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.decoders.busy().remove(&self.attempt);
    }
}

impl Decoders {
    /// Decodes nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::new(None)
    }

    /// Has `program decode-worker` decode.
    #[must_use]
    pub fn of(program: PathBuf) -> Self {
        Self::new(Some(program))
    }

    fn new(program: Option<PathBuf>) -> Self {
        Self {
            inner: Arc::new(Inner {
                program,
                codes: Slots::new(CODES_AT_ONCE, CODE_WAIT_MAX),
                stills: Slots::new(STILLS_AT_ONCE, STILL_WAIT_MAX),
                busy: Mutex::default(),
                health: Mutex::default(),
            }),
        }
    }

    /// Takes the turn of an attempt; `None` while its last job or the rest after it lasts.
    #[must_use]
    pub fn turn(&self, attempt: AttemptId) -> Option<Turn> {
        let free = self.busy().insert(attempt);
        free.then(|| Turn {
            decoders: self.clone(),
            attempt,
        })
    }

    /// Returns the text of the code on a key frame of the screen; `None` where there is none in its
    /// place.
    ///
    /// # Errors
    /// [`DecodeError`] where a worker could not say.
    pub async fn code(
        &self,
        avcc: Vec<u8>,
        sample: Vec<u8>,
    ) -> Result<Option<String>, DecodeError> {
        let request = Request {
            task: Task::Code,
            settings: avcc,
            media: sample,
        };
        let found = self.job(&self.inner.codes, &request, CODE_TIME_MAX).await?;
        let text = found.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(text.filter(|text| code::is_code(text)))
    }

    /// Returns the last picture of chunks that begin with a key frame, as a JPEG.
    ///
    /// # Errors
    /// [`DecodeError`] where a worker could not say.
    pub async fn still(
        &self,
        init: Vec<u8>,
        chunks: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, DecodeError> {
        let request = Request {
            task: Task::Still,
            settings: init,
            media: chunks,
        };
        let jpeg = self
            .job(&self.inner.stills, &request, STILL_TIME_MAX)
            .await?;
        Ok(jpeg.filter(|jpeg| jpeg.starts_with(&[0xff, 0xd8])))
    }

    /// Has one request done by a worker of its own, which is killed when its time is over or nobody
    /// waits for it any more.
    async fn job(
        &self,
        slots: &Slots,
        request: &Request,
        time_max: Duration,
    ) -> Result<Option<Vec<u8>>, DecodeError> {
        let program = self.inner.program.as_ref().ok_or(DecodeError::NoProgram)?;
        let head = request.head().ok_or(DecodeError::TooLong)?;
        self.rested()?;
        // Held until the worker has ended.
        let _slot = slots.take().await?;
        self.rested()?;
        let mut child = match started(program).await {
            Ok(child) => child,
            Err(error) => {
                self.failed(&error);
                return Err(DecodeError::Start(error));
            }
        };
        self.started();
        let answer = timeout(time_max, ask(&mut child, &head, request)).await;
        // Killed and waited for, so that the slot is free only once the work has ended.
        let _ended_already = child.kill().await;
        answer.unwrap_or(Err(DecodeError::TooSlow))
    }

    fn rested(&self) -> Result<(), DecodeError> {
        let rests = self.health().rests_until;
        if rests.is_some_and(|until| Instant::now() < until) {
            return Err(DecodeError::Resting);
        }
        Ok(())
    }

    fn started(&self) {
        let mut health = self.health();
        if health.failures > 0 {
            tracing::info!("Video is decoded again");
        }
        *health = Health::default();
    }

    fn failed(&self, error: &std::io::Error) {
        let mut health = self.health();
        health.failures = health.failures.saturating_add(1);
        let doubled = 1_u32.checked_shl(health.failures.min(6)).unwrap_or(1);
        let rest = START_REST.saturating_mul(doubled).min(START_REST_MAX);
        health.rests_until = Some(Instant::now() + rest);
        tracing::error!(
            %error,
            failures = health.failures,
            rest_ms = rest.as_millis(),
            "No video can be decoded: freshness codes will not be found and items be covered"
        );
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        lock(&self.inner.health)
    }

    fn busy(&self) -> MutexGuard<'_, BTreeSet<AttemptId>> {
        lock(&self.inner.busy)
    }
}

/// Returns how long an attempt rests after a job that took `spent`: a screen that is dear to decode
/// leaves the workers to the others.
#[must_use]
pub fn rest_after(spent: Duration) -> Duration {
    spent.saturating_mul(REST_TIMES).clamp(REST_MIN, REST_MAX)
}

/// Returns the command of a worker: nothing of the server's environment, folder or descriptors.
fn command(program: &PathBuf) -> Command {
    let mut command = Command::new(program);
    command
        .arg(WORKER)
        .env_clear()
        .current_dir(std::path::MAIN_SEPARATOR_STR)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Starts a worker and waits until it is confined.
async fn started(program: &PathBuf) -> std::io::Result<Child> {
    let mut child = command(program).spawn()?;
    let mut ready = [0];
    let output = child.stdout.as_mut().ok_or_else(broken)?;
    let said = timeout(START_TIME_MAX, output.read_exact(&mut ready)).await;
    said.map_err(|_late| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
    if ready == [READY] {
        Ok(child)
    } else {
        Err(broken())
    }
}

fn broken() -> std::io::Error {
    std::io::ErrorKind::BrokenPipe.into()
}

/// Sends a request and reads the answer, which may be no longer than its task allows.
async fn ask(
    child: &mut Child,
    head: &[u8],
    request: &Request,
) -> Result<Option<Vec<u8>>, DecodeError> {
    let ended = |_error: std::io::Error| DecodeError::Ended;
    let (input, output) = (child.stdin.take(), child.stdout.as_mut());
    let (Some(mut input), Some(output)) = (input, output) else {
        return Err(DecodeError::Ended);
    };
    for bytes in [head, &request.settings, &request.media] {
        input.write_all(bytes).await.map_err(ended)?;
    }
    input.shutdown().await.map_err(ended)?;
    drop(input);
    let most = request.task.answer_bytes_max() + ANSWER_HEAD_BYTES + 1;
    let mut answer = Vec::new();
    let mut output = output.take(u64::try_from(most).unwrap_or(u64::MAX));
    output.read_to_end(&mut answer).await.map_err(ended)?;
    wire::answered(request.task, &answer).ok_or(DecodeError::Ended)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The hidden command that makes the program a worker.
pub const WORKER: &str = "decode-worker";
/// Codes that are decoded at once; further ones wait.
const CODES_AT_ONCE: usize = 2;
/// Stills that are decoded at once.
const STILLS_AT_ONCE: usize = 1;
/// How long a picture waits to be looked at for a code: a later one shows it as well.
const CODE_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a still waits for those before it.
const STILL_WAIT_MAX: Duration = Duration::from_secs(60);
/// How long a worker may take to start.
const START_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a code may take.
const CODE_TIME_MAX: Duration = Duration::from_secs(3);
/// How long a still may take: up to half a minute of video is decoded for it.
const STILL_TIME_MAX: Duration = Duration::from_secs(30);
/// The rest after the first worker that could not be started; it doubles.
const START_REST: Duration = Duration::from_millis(250);
/// The longest rest.
const START_REST_MAX: Duration = Duration::from_secs(10);
/// An attempt rests for so many times what its job took.
const REST_TIMES: u32 = 4;
/// The shortest rest of an attempt.
const REST_MIN: Duration = Duration::from_millis(400);
/// The longest rest of an attempt.
const REST_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
