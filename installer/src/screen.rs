//! The only place of this program that writes to the terminal.

use std::io::{IsTerminal as _, Write as _, stdin, stdout};
use std::time::Duration;

/// Writes one line.
#[expect(
    clippy::print_stdout,
    reason = "this program's output is lines on the terminal"
)]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Writes one line of an error.
#[expect(
    clippy::print_stderr,
    reason = "this program's errors are lines on the terminal"
)]
pub(crate) fn complain(line: &str) {
    eprintln!("{line}");
}

/// Returns whether somebody is there to be asked.
pub(crate) fn has_person() -> bool {
    stdin().is_terminal() && stdout().is_terminal()
}

/// Asks a question whose plain answer is yes.
pub(crate) fn agrees(question: &str) -> bool {
    say(&format!("{question} [Y/n]"));
    if stdout().flush().is_err() {
        return false;
    }
    let mut reply = String::new();
    match stdin().read_line(&mut reply) {
        Ok(0) | Err(_) => false,
        Ok(_) => matches!(reply.trim(), "" | "y" | "Y" | "yes"),
    }
}

/// Returns a duration as a person reads it.
pub(crate) fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{seconds}.{} s", duration.subsec_millis() / 100)
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_seconds_below_a_minute_and_in_minutes_above() {
        assert_eq!(spoken(Duration::from_millis(1_940)), "1.9 s");
        assert_eq!(spoken(Duration::from_secs(125)), "2 min 05 s");
    }
}
