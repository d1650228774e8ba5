//! Stills: what the recording shows of an incident, as a JPEG.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use openh264::decoder::{DecodeOptions, DecodedYUV, Decoder, Flush};
use openh264::formats::YUVSource as _;
use qorgan_documents::Still;
use qorgan_protocol::evidence::{StreamId, StreamKind};
use qorgan_protocol::ids::{AttemptId, Epoch};

use super::ActError;
use crate::console::store::IncidentRow;
use crate::ingest::cmaf::{Tracks, annex_b};
use crate::recordings::RecordingError;
use crate::state::AppState;

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
    let jpeg = tokio::task::spawn_blocking(move || jpeg(&init, &chunks)).await?;
    Ok(jpeg.map(Still::new).transpose()?)
}

/// Returns the last picture of chunks that begin with a key frame.
fn jpeg(init: &[u8], chunks: &[u8]) -> Option<Vec<u8>> {
    let tracks = Tracks::read(init)?;
    let mut decoder = Decoder::new().ok()?;
    let pictures = tracks.pictures(chunks)?;
    let (last, before) = pictures.split_last()?;
    for sample in before {
        // Whether it is given out now or later, the pictures after it build on it.
        let _shown = decode(&mut decoder, &tracks, sample, Flush::NoFlush);
    }
    let picture = decode(&mut decoder, &tracks, last, Flush::Flush)?;
    let (width, height) = picture.dimensions();
    let mut rgb = vec![0; width.checked_mul(height)?.checked_mul(3)?];
    picture.write_rgb8(&mut rgb);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .write_image(
            &rgb,
            u32::try_from(width).ok()?,
            u32::try_from(height).ok()?,
            ExtendedColorType::Rgb8,
        )
        .ok()?;
    Some(jpeg)
}

fn decode<'a>(
    decoder: &'a mut Decoder,
    tracks: &Tracks,
    sample: &[u8],
    flush: Flush,
) -> Option<DecodedYUV<'a>> {
    let stream = annex_b(tracks.avcc()?, sample)?;
    let options = DecodeOptions::new().flush_after_decode(flush);
    decoder.decode_with_options(&stream, options).ok()?
}

fn unreadable(error: RecordingError) -> ActError {
    ActError::Recording(Box::new(error))
}

/// A window that was just opened is drawn and captured by then.
const SHOWN_AFTER_MS: u64 = 400;
/// Half seconds from one key frame to the next, with room.
const CHUNKS_MAX: usize = 64;
/// JPEG's quality: text of a screen stays readable.
const QUALITY: u8 = 85;
