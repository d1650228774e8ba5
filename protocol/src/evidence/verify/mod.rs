//! Checks an export offline: every byte against what a trusted key signed.
//!
//! # Invariants
//! * Trust comes from the caller's keys, never from the export.
//! * Every file is named by the manifest (or the supplement) or it is a fault; every byte of every
//!   file is covered by a hash that leads to a trusted signature.
//! * Memory is bounded: at most one chunk and one buffer of a log at a time.
//! * A recording without a manifest is told as unsealed, never as valid.

mod beats;
mod observations;
mod receipts;
mod records;
mod report;
mod sealed;
mod streams;
mod unsealed;

pub use observations::observations;
pub use report::{Fault, LastReceipted, Report, Seal, StreamLine, When};

use std::collections::BTreeMap;

use crate::crypto::{KeyId, PublicKey, SignedBytes, StreamHasher, Verifier};
use crate::evidence::side_log::{MANIFEST_FILE, UNSEALED_FILE};
use crate::evidence::{AttemptKeyCertificate, AttemptRole};
use crate::ids::{AttemptId, Epoch, InstitutionId};
use receipts::Promises;
use records::wide;

/// Says that a file could not be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {name}: {detail}")]
pub struct SourceError {
    /// Which file.
    pub name: String,
    /// Why.
    pub detail: String,
}

/// Where an export's files come from.
pub trait FileSource {
    /// Returns every name, also of what is no plain file.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    fn names(&mut self) -> Result<Vec<String>, SourceError>;
    /// Returns a file's length.
    ///
    /// # Errors
    /// Where the file cannot be read.
    fn len(&mut self, name: &str) -> Result<u64, SourceError>;
    /// Fills `buffer` from `offset` on, as far as the file goes; returns how far.
    ///
    /// # Errors
    /// Where the file cannot be read.
    fn read(&mut self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError>;
}

/// Checks an export against the keys that the caller trusts, and against receipts that an agent
/// kept: what the server once signed for must be in it. Without receipts, give none.
///
/// # Errors
/// Only where files cannot be read; everything that is wrong with them is in the report.
pub fn verify<V: Verifier + StreamHasher>(
    verifier: &V,
    trust: &[PublicKey],
    receipts: &[SignedBytes],
    source: &mut impl FileSource,
) -> Result<Report, SourceError> {
    let mut counted = Counted {
        source,
        bytes_read: 0,
    };
    let mut names = counted.names()?;
    names.sort_unstable();
    let mut check = Check {
        verifier,
        trust: trust.iter().map(|key| (key.id(verifier), *key)).collect(),
        source: counted,
        report: Report::new(),
        names,
        promised: Promises::default(),
    };
    check.take_receipts(receipts);
    if check.has(MANIFEST_FILE) {
        check.sealed()?;
    } else if check.has(UNSEALED_FILE) {
        check.unsealed()?;
    } else {
        check.report.fault(
            MANIFEST_FILE,
            0..0,
            When::Whole,
            "the manifest is missing: nothing here was signed as a recording",
        );
    }
    check.broken_promises();
    let mut report = check.report;
    report.bytes_read = check.source.bytes_read;
    report
        .faults
        .sort_by(|a, b| (a.file.as_str(), a.bytes.start).cmp(&(b.file.as_str(), b.bytes.start)));
    Ok(report)
}

/// A verification on its way.
struct Check<'a, V, S> {
    verifier: &'a V,
    trust: BTreeMap<KeyId, PublicKey>,
    source: Counted<'a, S>,
    report: Report,
    names: Vec<String>,
    promised: Promises,
}

/// What is known of one epoch before its files are read.
struct EpochKeys {
    epoch: Epoch,
    keys: BTreeMap<KeyId, PublicKey>,
}

impl<V: Verifier + StreamHasher, S: FileSource> Check<'_, V, S> {
    fn has(&self, name: &str) -> bool {
        self.names
            .binary_search_by(|other| other.as_str().cmp(name))
            .is_ok()
    }

    /// Reads a small file whole.
    fn small_file(&mut self, name: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let len = self.source.len(name)?;
        if len > SMALL_FILE_BYTES_MAX {
            self.report
                .fault(name, 0..len, When::Whole, "the file is far too large");
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let read = self.source.read(name, 0, &mut bytes)?;
        bytes.truncate(read);
        Ok(Some(bytes))
    }

    /// Returns the trusted key that a structure claims to be signed with.
    fn trusted(&self, signed: &SignedBytes) -> Result<(PublicKey, InstitutionId), String> {
        let claim = signed.claim().map_err(|error| error.to_string())?;
        let key = self.trust.get(&claim.key).ok_or_else(|| {
            format!(
                "it is signed with key {:?}, which is not trusted",
                claim.key
            )
        })?;
        Ok((*key, claim.institution))
    }

    /// Opens the certificates of one epoch; a bad one is a fault of `file`.
    fn certificates(
        &mut self,
        file: &str,
        (institution, attempt, epoch): (InstitutionId, AttemptId, Epoch),
        certificates: &[SignedBytes],
    ) -> Result<EpochKeys, SourceError> {
        let mut keys = BTreeMap::new();
        for signed in certificates {
            let opened = self.trusted(signed).and_then(|(key, _claimed)| {
                crate::crypto::open::<AttemptKeyCertificate>(
                    self.verifier,
                    &key,
                    institution,
                    signed,
                )
                .map_err(|error| error.to_string())
            });
            match opened {
                Ok(body)
                    if (body.attempt, body.epoch, body.role)
                        == (attempt, epoch, AttemptRole::Agent) =>
                {
                    keys.insert(body.key.id(self.verifier), body.key);
                }
                Ok(_) => self.whole_fault(file, "a certificate is of another attempt or epoch")?,
                Err(why) => self.whole_fault(file, &format!("a certificate is bad: {why}"))?,
            }
        }
        Ok(EpochKeys { epoch, keys })
    }

    fn whole_fault(&mut self, file: &str, what: &str) -> Result<(), SourceError> {
        let len = self.source.len(file)?;
        self.report.fault(file, 0..len, When::Whole, what);
        Ok(())
    }
}

/// Counts what is read.
struct Counted<'a, S> {
    source: &'a mut S,
    bytes_read: u64,
}

impl<S: FileSource> FileSource for Counted<'_, S> {
    fn names(&mut self) -> Result<Vec<String>, SourceError> {
        self.source.names()
    }

    fn len(&mut self, name: &str) -> Result<u64, SourceError> {
        self.source.len(name)
    }

    fn read(&mut self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let read = self.source.read(name, offset, buffer)?;
        self.bytes_read += wide(read);
        Ok(read)
    }
}

/// The largest manifest, proof or list, in bytes.
const SMALL_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
