//! Checks what there is of a recording that was never sealed: as strictly as a sealed one, but what
//! it says is never a finished recording.

use std::collections::BTreeMap;

use super::streams::Expected;
use super::{Check, FileSource, LastReceipted, Seal, SourceError};
use crate::crypto::{self, StreamHasher, Verifier};
use crate::evidence::side_log::{
    INCIDENTS_FILE, RESPONSES_FILE, UNSEALED_FILE, beats_name, headers_name, is_plain_name,
    media_name,
};
use crate::evidence::{Content, FileEntry, ReceiptBatch, Unsealed, UnsealedEpoch};
use crate::ids::InstitutionId;

impl<V: Verifier + StreamHasher, S: FileSource> Check<'_, V, S> {
    pub(super) fn unsealed(&mut self) -> Result<(), SourceError> {
        let Some((_, institution, unsealed)) = self.signed::<Unsealed>(UNSEALED_FILE)? else {
            return Ok(());
        };
        self.report.institution = Some(institution);
        self.report.attempt = Some(unsealed.attempt);
        let mut parts = Vec::new();
        for part in &unsealed.epochs {
            match self.receipted(institution, &unsealed, part) {
                Ok(batch) => parts.push((part, batch)),
                Err(what) => self.whole_fault(UNSEALED_FILE, &what)?,
            }
        }
        if let Err(what) = consistent(&unsealed, &parts) {
            self.whole_fault(UNSEALED_FILE, &what)?;
        }
        self.listed(&unsealed.files, &[UNSEALED_FILE])?;
        let bad_logs = self.whole_files(&unsealed.files)?;
        let mut last = Vec::new();
        for (part, batch) in parts {
            let whose = (institution, batch.attempt, batch.epoch);
            let keys = self.certificates(UNSEALED_FILE, whose, &part.certificates)?;
            let expected = expected(&unsealed.files, &batch);
            self.epoch_files(
                (institution, unsealed.attempt, &keys),
                &expected,
                (batch.beat_next, None),
                (&unsealed.files, &bad_logs),
            )?;
            last.extend(batch.receipts.iter().map(|receipt| LastReceipted {
                epoch: batch.epoch,
                stream: receipt.stream,
                seq: receipt.seq,
                at: batch.at,
            }));
        }
        self.report.seal = Seal::Unsealed { last };
        Ok(())
    }

    fn receipted(
        &self,
        institution: InstitutionId,
        unsealed: &Unsealed,
        part: &UnsealedEpoch,
    ) -> Result<ReceiptBatch, String> {
        let (key, _claimed) = self.trusted(&part.receipts)?;
        let batch = crypto::open::<ReceiptBatch>(self.verifier, &key, institution, &part.receipts)
            .map_err(|error| error.to_string())?;
        if batch.attempt == unsealed.attempt {
            Ok(batch)
        } else {
            Err("a receipt is of another recording".to_owned())
        }
    }
}

/// Tells what a statement contradicts itself in.
fn consistent(unsealed: &Unsealed, parts: &[(&UnsealedEpoch, ReceiptBatch)]) -> Result<(), String> {
    let files = &unsealed.files;
    if !files.is_sorted_by(|a, b| a.name < b.name) {
        return Err("its files are not in order".to_owned());
    }
    if let Some(bad) = files.iter().find(|file| !is_plain_name(&file.name)) {
        return Err(format!("it names a file {:?}", bad.name));
    }
    let by_name: BTreeMap<_, _> = files
        .iter()
        .map(|file| (file.name.as_str(), file))
        .collect();
    for name in [INCIDENTS_FILE, RESPONSES_FILE] {
        if !by_name.contains_key(name) {
            return Err(format!("it lacks {name}"));
        }
    }
    let mut streams = 0;
    for (_, batch) in parts {
        for receipt in &batch.receipts {
            streams += 1;
            let content = Content::Chunks {
                log: headers_name(receipt.stream, batch.epoch),
                chunks: receipt.seq.0.saturating_add(1),
                head: receipt.header,
            };
            let media = by_name.get(media_name(receipt.stream, batch.epoch).as_str());
            let log = by_name.get(headers_name(receipt.stream, batch.epoch).as_str());
            if media.is_none_or(|file| file.content != content) || log.is_none() {
                return Err(format!(
                    "it lacks the files of {} {}",
                    receipt.stream, batch.epoch
                ));
            }
        }
        if !by_name.contains_key(beats_name(batch.epoch).as_str()) {
            return Err(format!("it lacks the beats of {}", batch.epoch));
        }
    }
    let media = files
        .iter()
        .filter(|file| matches!(file.content, Content::Chunks { .. }));
    if media.count() == streams {
        Ok(())
    } else {
        Err("it names media of no stream".to_owned())
    }
}

fn expected(files: &[FileEntry], batch: &ReceiptBatch) -> Vec<Expected> {
    let one = |receipt: &crate::evidence::Receipt| {
        let media = media_name(receipt.stream, batch.epoch);
        Expected {
            attempt: batch.attempt,
            epoch: batch.epoch,
            stream: receipt.stream,
            chunks: receipt.seq.0.saturating_add(1),
            head: receipt.header,
            media_len: files
                .iter()
                .find(|file| file.name == media)
                .map(|file| file.len),
        }
    };
    batch.receipts.iter().map(one).collect()
}
