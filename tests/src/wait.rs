//! Waiting for what other programs do, never longer than said.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Looks until `look` finds something, at most `limit` long.
///
/// # Errors
/// Fails with `what` when the time is over, and at once where looking fails.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if start.elapsed() >= limit {
            bail!("waited {} s for {what}", limit.as_secs());
        }
        thread::sleep(LOOK_EVERY);
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_what_was_found() {
        let mut looks = 0;

        let found = until("the third look", Duration::from_secs(5), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });

        assert_eq!(found.expect("it is found"), 3);
    }

    #[test]
    fn waiting_in_vain_says_for_what() {
        let error = until::<()>("godot", Duration::ZERO, || Ok(None)).expect_err("nobody comes");

        assert!(error.to_string().contains("godot"));
    }
}
