//! Incidents are read from the stored events stream, and from nothing else.

use qorgan_protocol::codec;
use qorgan_protocol::evidence::{ChunkSeq, StreamId};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::incident::Observation;
use qorgan_protocol::limits::{OBSERVATIONS_MAX, SCORED_INPUT_BYTES_MAX};
use qorgan_protocol::link::{LinkRefusal, RefusalReason};

use crate::registry::{EventsRead, RegistryError};
use crate::state::AppState;
use qorgan_recordings::{RecordingError, StoredPlace};

/// Says why the events could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The recording cannot be read.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The incidents cannot be stored.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// How far one reader came.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EventsPlace(StoredPlace);

/// Reads an epoch's stored events from a place on and makes incidents of what was not read before;
/// returns how far it came.
pub(crate) async fn read(
    state: &AppState,
    (attempt, epoch): (AttemptId, Epoch),
    place: EventsPlace,
) -> Result<EventsPlace, ReadError> {
    let mut place = place.0;
    let read = state.registry.events_read(attempt, epoch).await?;
    loop {
        let which = (attempt, epoch, StreamId::EVENTS);
        let first = place.number;
        let (bodies, next) = state.recordings.stored(which, place).await?;
        if bodies.is_empty() {
            return Ok(EventsPlace(next));
        }
        place = next;
        let known = match read {
            EventsRead::Before(read) => read,
            EventsRead::Unknown => {
                let registry = &state.registry;
                registry
                    .events_were_read(attempt, epoch, ChunkSeq(next.number))
                    .await?;
                continue;
            }
        };
        if ChunkSeq(next.number) <= known {
            continue;
        }
        let mut chunks = Vec::with_capacity(bodies.len());
        for (seq, body) in (first..).map(ChunkSeq).zip(&bodies) {
            match read_observations(body) {
                Ok(observations) => chunks.push((seq, observations)),
                // It was stored by a server that looked less closely.
                Err(error) => {
                    tracing::error!(%attempt, %error, "A stored chunk of events cannot be read");
                    chunks.push((seq, Vec::new()));
                }
            }
        }
        let registry = &state.registry;
        registry.observations(attempt, epoch, &chunks).await?;
    }
}

/// Reads a chunk of the events stream.
///
/// # Errors
/// `BadFrame` where it is none, holds too much, or speaks for the server.
pub(super) fn read_observations(payload: &[u8]) -> Result<Vec<Observation>, LinkRefusal> {
    let bad = |what: &str| Err(LinkRefusal::new(RefusalReason::BadFrame, what));
    let observations: Vec<Observation> = codec::decode("observations", payload)
        .map_err(|error| LinkRefusal::new(RefusalReason::BadFrame, error))?;
    if observations.len() > OBSERVATIONS_MAX {
        return bad("too many observations");
    }
    for seen in &observations {
        if seen.detector.len() > DETECTOR_BYTES_MAX || seen.detail.len() > DETAIL_BYTES_MAX {
            return bad("an observation says too much");
        }
        if seen.detector.contains('\0') || seen.detail.contains('\0') {
            return bad("an observation holds the character U+0000");
        }
        if seen.scored_input.len() > SCORED_INPUT_BYTES_MAX + SEALED_MORE {
            return bad("a scored input is too large");
        }
        let owner = seen.detector.split('/').next().unwrap_or_default();
        if RESERVED.contains(&owner) {
            return bad("an observation names a detector that is not the agent's");
        }
    }
    Ok(observations)
}

/// Detectors that no agent has: server and kiosk tell of their matters themselves.
const RESERVED: [&str; 3] = ["server", "kiosk", "ingest"];
const DETECTOR_BYTES_MAX: usize = 64;
const DETAIL_BYTES_MAX: usize = 4 * 1024;
/// The most bytes that sealing adds to a scored input.
const SEALED_MORE: usize = 64;

#[cfg(test)]
mod tests {
    use qorgan_protocol::incident::{Edge, IncidentKind, Severity};
    use qorgan_protocol::time::Now;

    use super::*;

    fn told(detector: &str, detail: usize) -> Vec<u8> {
        let seen = Observation {
            kind: IncidentKind::StreamLost,
            edge: Edge::Moment,
            at: Now::default(),
            at_us: 0,
            stream: None,
            score: Severity::clamped(1.0),
            threshold: Severity::clamped(0.5),
            detector: detector.to_owned(),
            detail: "x".repeat(detail),
            scored_input: Vec::new(),
        };
        codec::encode("observations", &vec![seen]).expect("plain data")
    }

    #[test]
    fn no_agent_speaks_for_the_server_or_the_kiosk() {
        for detector in ["server/1", "server/2", "kiosk/1", "ingest/1", "server"] {
            read_observations(&told(detector, 9)).expect_err(detector);
        }
        read_observations(&told("lost-stream/1", 4_096)).expect("an agent's");
        read_observations(&told("lost-stream/1", 4_097)).expect_err("too long");
        read_observations(&told(&"d".repeat(65), 1)).expect_err("too long");
        read_observations(&told("a\0b/1", 1)).expect_err("no database keeps it");
    }
}
