//! Playback for the console: an index of chunks, and the file by HTTP range.
//!
//! No byte leaves before the view stands in the custody record.

use std::ops::Range;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use qorgan_protocol::evidence::StreamId;
use qorgan_protocol::ids::{AttemptId, Epoch};

use qorgan_recordings::{RANGE_BYTES_MAX, RecordingError, Viewer};

use crate::auth::{Proctor, Staff, StaffSession};
use crate::state::AppState;

/// Returns the routes of playback: `…/recording/{epoch}/{stream}.json` and `.mp4`.
pub(super) fn routes() -> Router<AppState> {
    Router::new().route(
        "/console/attempts/{attempt}/recording/{epoch}/{file}",
        get(file),
    )
}

/// Enters a view in the custody record.
pub(crate) async fn note_view(
    state: &AppState,
    session: &StaffSession,
    attempt: AttemptId,
    view: (&'static str, String),
) -> Result<(), RecordingError> {
    let viewer = Viewer {
        institution: state.institution(),
        person: session.person,
        token: session.token.as_str(),
        at: state.clock.wall(),
    };
    state.recordings.note_view(&viewer, attempt, view).await
}

async fn file(
    State(state): State<AppState>,
    staff: Staff<Proctor>,
    Path((attempt, epoch, file)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let Some((attempt, epoch, stream, kind)) = named(&attempt, &epoch, &file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let which = (attempt, epoch, stream);
    let answer = match kind {
        Kind::Index => index(&state, which).await,
        Kind::Media => media(&state, which, &headers).await,
    };
    let noted = match answer {
        Ok(answer) => {
            let seen = ("viewed_recording", format!("{epoch}/{stream}"));
            note_view(&state, &staff.session, attempt, seen)
                .await
                .map(|()| answer)
        }
        Err(error) => Err(error),
    };
    noted.unwrap_or_else(|error| {
        let status = match error {
            RecordingError::NoStream | RecordingError::NoKey => StatusCode::NOT_FOUND,
            RecordingError::File { .. }
            | RecordingError::Corrupt { .. }
            | RecordingError::TooLong
            | RecordingError::Failed
            | RecordingError::NoRoom
            | RecordingError::Busy
            | RecordingError::Closed
            | RecordingError::Superseded
            | RecordingError::Seal(_)
            | RecordingError::Codec(_)
            | RecordingError::Store(_)
            | RecordingError::Objects(_)
            | RecordingError::Task(_) => {
                tracing::error!(%attempt, %error, "Could not read a recording");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        status.into_response()
    })
}

#[derive(Clone, Copy)]
enum Kind {
    Index,
    Media,
}

type Which = (AttemptId, Epoch, StreamId);

fn named(attempt: &str, epoch: &str, file: &str) -> Option<(AttemptId, Epoch, StreamId, Kind)> {
    let (stream, ending) = file.rsplit_once('.')?;
    let kind = match ending {
        "json" => Kind::Index,
        "mp4" => Kind::Media,
        _ => return None,
    };
    let epoch = epoch.trim_start_matches('e').parse().ok()?;
    Some((
        attempt.parse().ok()?,
        Epoch(epoch),
        StreamId::from_word(stream)?,
        kind,
    ))
}

async fn index(
    state: &AppState,
    (attempt, epoch, stream): Which,
) -> Result<Response, RecordingError> {
    let index = state.recordings.index(attempt, epoch, stream).await?;
    Ok(([NO_STORE], Json(index)).into_response())
}

async fn media(
    state: &AppState,
    (attempt, epoch, stream): Which,
    headers: &HeaderMap,
) -> Result<Response, RecordingError> {
    let len = state.recordings.media_len(attempt, epoch, stream).await?;
    let asked = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok());
    let range = match asked.map(|text| parse_range(text, len)) {
        Some(Some(range)) => range,
        Some(None) => {
            let all = [(header::CONTENT_RANGE, format!("bytes */{len}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, all).into_response());
        }
        // A browser that asks for all gets the first piece and goes on with ranges.
        None => 0..len.min(RANGE_BYTES_MAX),
    };
    let whole = range == (0..len) && asked.is_none();
    let bytes = state
        .recordings
        .media(attempt, epoch, stream, range.clone())
        .await?;
    let given = range.start + u64::try_from(bytes.len()).unwrap_or(0);
    let content_range = format!("bytes {}-{}/{len}", range.start, given.saturating_sub(1));
    let common = [
        (header::CONTENT_TYPE, "video/mp4"),
        (header::ACCEPT_RANGES, "bytes"),
        NO_STORE,
    ];
    Ok(if whole {
        (common, bytes).into_response()
    } else {
        let partial = [(header::CONTENT_RANGE, content_range)];
        (StatusCode::PARTIAL_CONTENT, common, partial, bytes).into_response()
    })
}

/// Reads a single range, cut to the file and to what one answer holds; `None` where it holds
/// nothing of the file.
fn parse_range(text: &str, len: u64) -> Option<Range<u64>> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = match (from.trim(), to.trim()) {
        ("", last) => (len.saturating_sub(last.parse().ok()?), len),
        (from, "") => (from.parse().ok()?, len),
        (from, to) => (from.parse().ok()?, to.parse::<u64>().ok()?.checked_add(1)?),
    };
    let to = to.min(len).min(from.saturating_add(RANGE_BYTES_MAX));
    (from < to).then_some(from..to)
}

const NO_STORE: (HeaderName, &str) = (header::CACHE_CONTROL, "private, no-store");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        assert_eq!(parse_range("bytes=0-0", 10), Some(0..1));
        assert_eq!(parse_range("bytes=5-", 10), Some(5..10));
        assert_eq!(parse_range("bytes=-3", 10), Some(7..10));
        assert_eq!(parse_range("bytes=8-99", 10), Some(8..10));
        assert_eq!(parse_range("bytes=10-", 10), None);
        assert_eq!(parse_range("bytes=4-2", 10), None);
        assert_eq!(parse_range("items=0-1", 10), None);
    }
}
