//! Looks for a freshness code on the screen that is recorded.

use qorgan_protocol::evidence::StreamId;
use qorgan_protocol::ids::AttemptId;
use tokio::time::{Instant, sleep};

use crate::registry::{AgentCommand, RegistryError};
use crate::state::AppState;
use qorgan_decoding::{DecodeError, Turn, rest_after};

/// Looks for the code on one key frame and asks for another one where it is not there. The attempt's
/// turn ends with its rest.
pub(super) async fn look_for_code(
    state: &AppState,
    turn: Turn,
    (attempt, stream): (AttemptId, StreamId),
    avcc: Vec<u8>,
    picture: Vec<u8>,
) -> Result<(), RegistryError> {
    let began = Instant::now();
    let code = match state.decoders.code(avcc, picture).await {
        Ok(code) => code,
        // Told once by the decoders themselves, for all attempts.
        Err(DecodeError::Resting | DecodeError::Start(_) | DecodeError::NoProgram) => None,
        Err(
            error @ (DecodeError::TooLong
            | DecodeError::Ended
            | DecodeError::TooSlow
            | DecodeError::Busy),
        ) => {
            tracing::warn!(%attempt, %error, "A picture of the screen could not be decoded");
            None
        }
    };
    let found = match code {
        Some(code) => state.registry.freshness_found(attempt, &code).await?,
        None => false,
    };
    sleep(rest_after(began.elapsed())).await;
    drop(turn);
    if !found && state.registry.freshness_expected(attempt).await?.is_some() {
        let command = AgentCommand::KeyFrame { stream };
        state.registry.command(attempt, command).await?;
    }
    Ok(())
}
