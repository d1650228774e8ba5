//! Checks what there is of a recording that was never sealed.

use super::records::wide;
use super::streams::Expected;
use super::{Check, FileSource, LastReceipted, Seal, SourceError, When};
use crate::codec;
use crate::crypto::{self, StreamHasher, Verifier};
use crate::evidence::side_log::{
    INCIDENTS_FILE, RESPONSES_FILE, UNSEALED_FILE, beats_name, headers_name, media_name,
};
use crate::evidence::{ReceiptBatch, Unsealed, UnsealedEpoch};
use crate::ids::InstitutionId;

impl<V: Verifier + StreamHasher, S: FileSource> Check<'_, V, S> {
    pub(super) fn unsealed(&mut self) -> Result<(), SourceError> {
        let Some(bytes) = self.small_file(UNSEALED_FILE)? else {
            return Ok(());
        };
        let unsealed = match codec::decode::<Unsealed>("unsealed recording", &bytes) {
            Ok(unsealed) => unsealed,
            Err(error) => {
                let all = 0..wide(bytes.len());
                self.report
                    .fault(UNSEALED_FILE, all, When::Whole, error.to_string());
                return Ok(());
            }
        };
        self.report.attempt = Some(unsealed.attempt);
        let mut known = vec![
            UNSEALED_FILE.to_owned(),
            INCIDENTS_FILE.to_owned(),
            RESPONSES_FILE.to_owned(),
        ];
        let mut last = Vec::new();
        for part in &unsealed.epochs {
            match self.receipted(&unsealed, part) {
                Ok((institution, batch)) => {
                    self.report.institution = Some(institution);
                    self.epoch_so_far(institution, part, &batch, &mut known)?;
                    last.extend(batch.receipts.iter().map(|receipt| LastReceipted {
                        epoch: batch.epoch,
                        stream: receipt.stream,
                        seq: receipt.seq,
                        at: batch.at,
                    }));
                }
                Err(what) => self.whole_fault(UNSEALED_FILE, &what)?,
            }
        }
        for name in self.names.clone() {
            if !known.contains(&name) {
                self.whole_fault(&name, "the file is not one of the recording")?;
            }
        }
        self.report.seal = Seal::Unsealed { last };
        Ok(())
    }

    fn receipted(
        &self,
        unsealed: &Unsealed,
        part: &UnsealedEpoch,
    ) -> Result<(InstitutionId, ReceiptBatch), String> {
        let (key, institution) = self.trusted(&part.receipts)?;
        let batch = crypto::open::<ReceiptBatch>(self.verifier, &key, institution, &part.receipts)
            .map_err(|error| error.to_string())?;
        if batch.attempt == unsealed.attempt {
            Ok((institution, batch))
        } else {
            Err("a receipt is of another recording".to_owned())
        }
    }

    fn epoch_so_far(
        &mut self,
        institution: InstitutionId,
        part: &UnsealedEpoch,
        batch: &ReceiptBatch,
        known: &mut Vec<String>,
    ) -> Result<(), SourceError> {
        let whose = (institution, batch.attempt, batch.epoch);
        let keys = self.certificates(UNSEALED_FILE, whose, &part.certificates)?;
        let mut expected = Vec::new();
        for receipt in &batch.receipts {
            for name in [
                media_name(receipt.stream, batch.epoch),
                headers_name(receipt.stream, batch.epoch),
            ] {
                if !self.has(&name) {
                    self.report
                        .fault(&name, 0..0, When::Whole, "the file is missing");
                }
                known.push(name);
            }
            expected.push(Expected {
                attempt: batch.attempt,
                epoch: batch.epoch,
                stream: receipt.stream,
                chunks: receipt.seq.0.saturating_add(1),
                head: receipt.header,
                media_len: None,
            });
        }
        for stream in &expected {
            self.stream(stream)?;
        }
        let beats = beats_name(batch.epoch);
        if !self.has(&beats) {
            self.report
                .fault(&beats, 0..0, When::Whole, "the file is missing");
        }
        known.push(beats);
        let said = (batch.beat_next, None);
        self.beats(&keys, batch.attempt, institution, &expected, said)?;
        Ok(())
    }
}
