//! Stills: what the recording shows of an incident, as a JPEG.

use qorgan_documents::Still;
use qorgan_protocol::evidence::{StreamId, StreamKind};
use qorgan_protocol::ids::{AttemptId, Epoch};

use super::ActError;
use crate::console::store::IncidentRow;
use crate::state::AppState;
use qorgan_decoding::DecodeError;
use qorgan_recordings::RecordingError;

/// Returns the recorded streams of an attempt, sorted.
pub(crate) async fn streams(
    state: &AppState,
    attempt: AttemptId,
) -> Result<Vec<(Epoch, StreamId)>, ActError> {
    state.recordings.streams(attempt).await.map_err(unreadable)
}

/// Returns the root of a sealed recording.
pub(super) async fn root(
    state: &AppState,
    attempt: AttemptId,
) -> Result<Option<[u8; 32]>, ActError> {
    let root = crate::evidence::recording_root(state, attempt)
        .await
        .map_err(|error| ActError::Recording(Box::new(error)))?;
    Ok(root.map(|root| root.0))
}

/// Returns the picture that shows an incident: its own stream's, else the screen's for what the
/// system saw and the camera's for the rest; `None` where nothing was recorded there.
pub(super) async fn at(
    state: &AppState,
    attempt: AttemptId,
    row: &IncidentRow,
) -> Result<Option<Still>, ActError> {
    let streams = streams(state, attempt).await?;
    let named = row.stream.as_deref().and_then(StreamId::from_word);
    let wanted = match named.map(|stream| stream.kind) {
        Some(kind @ (StreamKind::Camera | StreamKind::Screen)) => kind,
        Some(StreamKind::Microphone) => StreamKind::Camera,
        Some(StreamKind::Events) | None => StreamKind::Screen,
    };
    for (epoch, stream) in streams.into_iter().rev() {
        // Each epoch's recording has a timeline of its own.
        let fits = epoch == row.epoch
            && named.map_or(stream.kind == wanted, |named| {
                stream == named || (named.kind != wanted && stream.kind == wanted)
            });
        if !fits {
            continue;
        }
        if let Some(still) = picture(state, (attempt, epoch, stream), shown_at_us(row)).await? {
            return Ok(Some(still));
        }
    }
    Ok(None)
}

/// Returns when a picture shows the incident: what began must have been drawn and captured, and
/// must not be over again.
fn shown_at_us(row: &IncidentRow) -> u64 {
    let lasted_ms = row
        .ended_ms
        .and_then(|ended| u64::try_from(ended.saturating_sub(row.began_ms)).ok())
        .filter(|lasted| *lasted > 0);
    let after_ms = lasted_ms.map_or(SHOWN_AFTER_MS, |lasted| SHOWN_AFTER_MS.min(lasted / 2));
    row.began_us.saturating_add(after_ms.saturating_mul(1_000))
}

/// Decodes from the key frame before a moment on, as far as that moment's chunk goes.
async fn picture(
    state: &AppState,
    (attempt, epoch, stream): (AttemptId, Epoch, StreamId),
    at_us: u64,
) -> Result<Option<Still>, ActError> {
    let recordings = &state.recordings;
    let index = recordings
        .index(attempt, epoch, stream)
        .await
        .map_err(unreadable)?;
    let keys = || (0..).zip(&index.chunks).filter(|(_, chunk)| chunk.3 == 1);
    let before = keys().take_while(|(_, chunk)| chunk.0 <= at_us).last();
    let Some((key, first)) = before.or_else(|| keys().next()) else {
        return Ok(None);
    };
    let shown = index.chunks.iter().skip(key).take(CHUNKS_MAX);
    let last = shown
        .take_while(|chunk| chunk.0 <= at_us)
        .last()
        .unwrap_or(first);
    let init = recordings
        .media(attempt, epoch, stream, 0..index.init)
        .await
        .map_err(unreadable)?;
    let bytes = first.1..last.1.saturating_add(last.2);
    let chunks = recordings
        .media(attempt, epoch, stream, bytes)
        .await
        .map_err(unreadable)?;
    let jpeg = match state.decoders.still(init, chunks).await {
        Ok(jpeg) => jpeg,
        // What took the worker down will do so again: the act is made without this picture.
        Err(error @ (DecodeError::TooLong | DecodeError::Ended | DecodeError::TooSlow)) => {
            tracing::warn!(%attempt, %error, "A still could not be decoded");
            None
        }
        Err(DecodeError::Busy) => return Err(ActError::Busy),
        Err(error @ (DecodeError::NoProgram | DecodeError::Resting | DecodeError::Start(_))) => {
            return Err(ActError::Decoding(error));
        }
    };
    Ok(jpeg.map(Still::new).transpose()?)
}

fn unreadable(error: RecordingError) -> ActError {
    ActError::Recording(Box::new(error))
}

/// A window that was just opened is drawn and captured by then.
const SHOWN_AFTER_MS: u64 = 400;
/// Half seconds from one key frame to the next, with room.
const CHUNKS_MAX: usize = 64;
