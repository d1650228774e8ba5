//! Stills: the key frame of the recording at the moment of an incident, as a JPEG.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use openh264::decoder::{DecodeOptions, Decoder, Flush};
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
        if let Some(still) = picture(state, (attempt, epoch, stream), row.began_us).await? {
            return Ok(Some(still));
        }
    }
    Ok(None)
}

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
    let keys = || index.chunks.iter().filter(|(_, _, _, sync)| *sync == 1);
    let before = keys().take_while(|(start, ..)| *start <= at_us).last();
    let Some((_, offset, len, _)) = before.or_else(|| keys().next()).copied() else {
        return Ok(None);
    };
    let init = recordings
        .media(attempt, epoch, stream, 0..index.init)
        .await
        .map_err(unreadable)?;
    let chunk = recordings
        .media(attempt, epoch, stream, offset..offset.saturating_add(len))
        .await
        .map_err(unreadable)?;
    let jpeg = tokio::task::spawn_blocking(move || jpeg(&init, &chunk)).await?;
    Ok(jpeg.map(Still::new).transpose()?)
}

fn jpeg(init: &[u8], chunk: &[u8]) -> Option<Vec<u8>> {
    let tracks = Tracks::read(init)?;
    let sample = tracks.samples(chunk)?.first_picture?;
    let stream = annex_b(tracks.avcc()?, sample)?;
    let mut decoder = Decoder::new().ok()?;
    let options = DecodeOptions::new().flush_after_decode(Flush::Flush);
    let picture = decoder.decode_with_options(&stream, options).ok()??;
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

fn unreadable(error: RecordingError) -> ActError {
    ActError::Recording(Box::new(error))
}

/// JPEG's quality: text of a screen stays readable.
const QUALITY: u8 = 85;
