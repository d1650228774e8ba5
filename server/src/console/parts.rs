//! The parts of a recording: one an epoch, for a candidate who moved to another machine has more.

use qorgan_protocol::evidence::{StreamId, StreamKind};
use qorgan_protocol::ids::{AttemptId, Epoch};

use super::candidate::source_words;
use super::error::ConsoleError;
use super::page::Page;
use crate::acts;
use crate::state::AppState;
use qorgan_store::StoreError;

/// One part.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) epoch: u32,
    /// Whether it is shown before another is chosen.
    pub(super) first: bool,
    /// When it began, in seconds after the first part did.
    pub(super) began_s: String,
    pub(super) label: String,
    pub(super) streams: Vec<PartStream>,
}

/// One stream of a part.
#[derive(Debug)]
pub(super) struct PartStream {
    pub(super) url: String,
    pub(super) words: String,
    pub(super) has_sound: bool,
}

/// Returns the parts of an attempt's recording, oldest first.
pub(super) async fn parts(
    state: &AppState,
    page: &Page,
    attempt: AttemptId,
) -> Result<Vec<Part>, ConsoleError> {
    let began: Vec<(i64, i64)> = qorgan_store::query_as(
        "SELECT epoch, began_ms FROM recordings WHERE attempt_id = $1 ORDER BY epoch",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await
    .map_err(StoreError::from)?;
    let first = began.first().map_or(0, |(_, ms)| *ms);
    let mut parts: Vec<Part> = Vec::new();
    let deleted: Option<Option<i64>> =
        qorgan_store::query_scalar("SELECT deleted_ms FROM attempts WHERE id = $1")
            .bind(attempt.to_string())
            .fetch_optional(state.store.read())
            .await?;
    if deleted.flatten().is_some() {
        return Ok(Vec::new());
    }
    for (epoch, stream) in acts::streams(state, attempt).await? {
        if stream.kind == StreamKind::Events {
            continue;
        }
        if parts.last().is_none_or(|part| part.epoch != epoch.0) {
            let known = began.iter().find(|(of, _)| *of == i64::from(epoch.0));
            let ms = known.map_or(first, |(_, ms)| *ms);
            let number = parts.len() + 1;
            parts.push(Part {
                epoch: epoch.0,
                first: parts.is_empty(),
                began_s: seconds(ms.saturating_sub(first)),
                label: format!(
                    "{} · {}",
                    page.t1("recording-part", "number", number),
                    page.clock(Some(ms))
                ),
                streams: Vec::new(),
            });
        }
        if let Some(part) = parts.last_mut() {
            part.streams.push(part_stream(page, attempt, epoch, stream));
        }
    }
    Ok(parts)
}

fn part_stream(page: &Page, attempt: AttemptId, epoch: Epoch, stream: StreamId) -> PartStream {
    PartStream {
        url: format!("/console/attempts/{attempt}/recording/{}/{stream}", epoch.0),
        words: source_words(page, stream),
        has_sound: stream.kind != StreamKind::Screen,
    }
}

/// Writes milliseconds as seconds with a point, as scripts read them.
fn seconds(ms: i64) -> String {
    let ms = ms.max(0);
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_written_as_scripts_read_them() {
        assert_eq!(seconds(0), "0.000");
        assert_eq!(seconds(61_007), "61.007");
        assert_eq!(seconds(-5), "0.000");
    }
}
