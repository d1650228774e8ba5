//! The records of an open recording as a bounded stream, read on a blocking thread.

use std::path::PathBuf;
use std::sync::Arc;

use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_signing::SecretKey;
use tokio::sync::mpsc;

use qorgan_recordings::{Part, RecordingError, Walk, Whose};

/// One record: the head's bytes and the body's.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// Reads one part from its beginning; at most [`RECORDS_AHEAD_MAX`] records wait.
pub(super) fn stream(
    folder: PathBuf,
    part: Part,
    (attempt, epoch): (AttemptId, Epoch),
    key: Arc<SecretKey>,
) -> mpsc::Receiver<Result<Pair, RecordingError>> {
    let (sender, receiver) = mpsc::channel(RECORDS_AHEAD_MAX);
    tokio::task::spawn_blocking(move || {
        let whose = Whose {
            attempt,
            epoch,
            key: &key,
        };
        let mut walk = match Walk::open(&folder, part, (0, 0)) {
            Ok(Some(walk)) => walk,
            Ok(None) => return,
            Err(error) => {
                // The reader may have gone already.
                let _gone = sender.blocking_send(Err(error));
                return;
            }
        };
        loop {
            let pair = match walk.next(whose) {
                Ok(Some(record)) => Ok((record.head().to_vec(), record.body().to_vec())),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            let failed = pair.is_err();
            if sender.blocking_send(pair).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

const RECORDS_AHEAD_MAX: usize = 8;
