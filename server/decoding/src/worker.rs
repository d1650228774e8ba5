//! The worker process: confines itself, decodes one thing, ends.

use std::io::{self, Write as _};

use super::picture::{code_on_picture, still};
use super::wire::{READY, Request, Task, answer};

/// Does one request from standard input.
///
/// # Errors
/// Where the process cannot be confined, or the server does not keep to the wire.
pub fn work() -> io::Result<()> {
    crate::platform::confine()?;
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    output.write_all(&[READY])?;
    output.flush()?;
    let request = Request::read(&mut input)?;
    let found = match request.task {
        Task::Code => code_on_picture(&request.settings, &request.media).map(String::into_bytes),
        Task::Still => still(&request.settings, &request.media),
    };
    answer(&mut output, request.task, found.as_deref())
}
