//! Receipts that the agent kept: what the server signed for must be in the recording.

use std::collections::BTreeMap;

use super::{Check, FileSource, When};
use crate::crypto::{self, Sha256, SignedBytes, StreamHasher, Verifier};
use crate::evidence::{ChunkSeq, ReceiptBatch};
use crate::ids::{AttemptId, Epoch};
use crate::stream::StreamId;

/// What the server signed for, and what of it was found.
#[derive(Debug, Default)]
pub(super) struct Promises {
    chunks: BTreeMap<(AttemptId, Epoch, StreamId, ChunkSeq), Promise>,
}

#[derive(Debug)]
struct Promise {
    header: Sha256,
    kept: bool,
}

impl<V: Verifier + StreamHasher, S: FileSource> Check<'_, V, S> {
    /// Takes in receipts; one that no trusted key signed is a fault.
    pub(super) fn take_receipts(&mut self, receipts: &[SignedBytes]) {
        for signed in receipts {
            let opened = self.trusted(signed).and_then(|(key, institution)| {
                crypto::open::<ReceiptBatch>(self.verifier, &key, institution, signed)
                    .map_err(|error| error.to_string())
            });
            match opened {
                Ok(batch) => self.promised.add(&batch),
                Err(why) => self.report.fault(
                    RECEIPTS,
                    0..0,
                    When::Whole,
                    format!("a receipt is bad: {why}"),
                ),
            }
        }
    }

    /// Notes that a chunk with this header is in the recording, whole.
    pub(super) fn found_chunk(
        &mut self,
        (attempt, epoch, stream, seq): (AttemptId, Epoch, StreamId, ChunkSeq),
        header: Sha256,
    ) {
        if let Some(promise) = self.promised.chunks.get_mut(&(attempt, epoch, stream, seq)) {
            promise.kept = promise.header == header;
        }
    }

    /// Tells of every receipted chunk that is not in the recording.
    pub(super) fn broken_promises(&mut self) {
        for ((attempt, epoch, stream, seq), promise) in &self.promised.chunks {
            if promise.kept {
                self.report.receipts += 1;
                continue;
            }
            let what = if self.report.attempt == Some(*attempt) {
                format!("chunk {seq} of {stream} {epoch} was receipted and is not here")
            } else {
                "a receipt is of another recording".to_owned()
            };
            self.report.fault(RECEIPTS, 0..0, When::Whole, what);
        }
    }
}

impl Promises {
    fn add(&mut self, batch: &ReceiptBatch) {
        for receipt in &batch.receipts {
            let place = (batch.attempt, batch.epoch, receipt.stream, receipt.seq);
            let promise = Promise {
                header: receipt.header,
                kept: false,
            };
            self.chunks.insert(place, promise);
        }
    }
}

/// Stands where a fault names a file.
const RECEIPTS: &str = "receipts";
