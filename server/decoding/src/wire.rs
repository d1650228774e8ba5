//! What server and worker say to each other over the worker's standard input and output.
//!
//! The worker says [`READY`] once it is confined. The server sends one request: its kind, two lengths
//! (big endian) and two byte strings. The worker answers with one byte that says whether there is
//! something, a length and the bytes; then it ends.

use std::io::{self, Read, Write};

/// What the worker says before it reads.
pub(super) const READY: u8 = b'R';

/// What is to be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// The code on one key frame of the screen.
    Code,
    /// The last picture of chunks, as a JPEG.
    Still,
}

impl Task {
    const fn byte(self) -> u8 {
        match self {
            Self::Code => b'C',
            Self::Still => b'S',
        }
    }

    fn from_byte(byte: u8) -> io::Result<Self> {
        match byte {
            b'C' => Ok(Self::Code),
            b'S' => Ok(Self::Still),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Returns the most bytes of an answer.
    pub(super) const fn answer_bytes_max(self) -> usize {
        match self {
            Self::Code => 64,
            Self::Still => STILL_BYTES_MAX,
        }
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) task: Task,
    /// The decoder's settings: an `avcC` record, or a recording's first chunk.
    pub(super) settings: Vec<u8>,
    /// What is decoded: one sample, or chunks.
    pub(super) media: Vec<u8>,
}

impl Request {
    /// Returns the bytes of the head; settings and media follow. `None` where they are too long.
    pub(super) fn head(&self) -> Option<[u8; HEAD_BYTES]> {
        let len = |bytes: &[u8], max: usize| {
            let len = Some(bytes.len()).filter(|len| *len <= max)?;
            Some(u32::try_from(len).ok()?.to_be_bytes())
        };
        let settings = len(&self.settings, SETTINGS_BYTES_MAX)?;
        let media = len(&self.media, MEDIA_BYTES_MAX)?;
        let mut head = [self.task.byte(); HEAD_BYTES];
        head[1..5].copy_from_slice(&settings);
        head[5..].copy_from_slice(&media);
        Some(head)
    }

    /// Reads a request.
    ///
    /// # Errors
    /// Where it ends early or is too long.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut task = [0];
        from.read_exact(&mut task)?;
        let task = Task::from_byte(task[0])?;
        let settings = length(from, SETTINGS_BYTES_MAX)?;
        let media = length(from, MEDIA_BYTES_MAX)?;
        Ok(Self {
            task,
            settings: exact(from, settings)?,
            media: exact(from, media)?,
        })
    }
}

/// Writes an answer.
///
/// # Errors
/// Where the server does not listen, or the answer is too long.
pub(super) fn answer(to: &mut impl Write, task: Task, found: Option<&[u8]>) -> io::Result<()> {
    let bytes = found.unwrap_or_default();
    if bytes.len() > task.answer_bytes_max() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    to.write_all(&[u8::from(found.is_some())])?;
    to.write_all(&len.to_be_bytes())?;
    to.write_all(bytes)?;
    to.flush()
}

/// Reads the bytes of an answer; `None` inside where nothing was found, and outside where they are
/// no answer.
pub(super) fn answered(task: Task, bytes: &[u8]) -> Option<Option<Vec<u8>>> {
    let (head, found) = bytes.split_at_checked(ANSWER_HEAD_BYTES)?;
    let len = u32::from_be_bytes(head[1..].try_into().ok()?);
    let whole = usize::try_from(len).ok()? == found.len();
    if !whole || found.len() > task.answer_bytes_max() {
        return None;
    }
    match head[0] {
        0 if found.is_empty() => Some(None),
        1 => Some(Some(found.to_vec())),
        _ => None,
    }
}

fn length(from: &mut impl Read, max: usize) -> io::Result<usize> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    let len = usize::try_from(u32::from_be_bytes(bytes)).map_err(io::Error::other)?;
    if len > max {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(len)
}

fn exact(from: &mut impl Read, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

const HEAD_BYTES: usize = 9;
pub(super) const ANSWER_HEAD_BYTES: usize = 5;
/// The longest settings.
const SETTINGS_BYTES_MAX: usize = 64 * 1024;
/// The most media: half a minute of a screen full of noise.
const MEDIA_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The largest JPEG of an 8K display.
const STILL_BYTES_MAX: usize = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_are_read_as_they_were_written() {
        let request = Request {
            task: Task::Code,
            settings: vec![1, 2],
            media: vec![3; 300],
        };
        let head = request.head().expect("short");
        let bytes = [&head[..], &request.settings, &request.media].concat();
        assert_eq!(Request::read(&mut &bytes[..]).expect("whole"), request);
        Request::read(&mut &bytes[..bytes.len() - 1]).expect_err("it ends early");
        for found in [None, Some(&b"code"[..])] {
            let mut bytes = Vec::new();
            answer(&mut bytes, Task::Code, found).expect("short");
            let read = answered(Task::Code, &bytes).expect("an answer");
            assert_eq!(read.as_deref(), found);
        }
    }

    #[test]
    fn what_is_longer_than_its_bound_is_refused_before_it_is_kept() {
        let huge = [b'C', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        Request::read(&mut &huge[..]).expect_err("settings are too long");
        let huge = [b'S', 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        Request::read(&mut &huge[..]).expect_err("media is too long");
        answer(&mut Vec::new(), Task::Code, Some(&[0; 65])).expect_err("no code is as long");
        assert_eq!(answered(Task::Code, &[1, 0, 0, 0, 9, b'x']), None);
        assert_eq!(answered(Task::Code, &[2, 0, 0, 0, 0]), None);
        assert_eq!(answered(Task::Code, &[]), None);
    }
}
