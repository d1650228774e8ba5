//! Checks a sealed recording: manifest, proof, supplement, then every file.

use std::collections::BTreeMap;

use super::beats::Signatures;
use super::records::wide;
use super::streams::Expected;
use super::{Check, EpochKeys, FileSource, Seal, SourceError, When};
use crate::codec;
use crate::crypto::{self, Sha256, Signable, SignedBytes, StreamHasher, Verifier};
use crate::evidence::merkle::{Checkpoint, InclusionProof, LogLeaf, leaf_hash, root_of_path};
use crate::evidence::side_log::{
    INCIDENTS_FILE, MANIFEST_FILE, PROOF_FILE, SUPPLEMENT_FILE, beats_name, headers_name,
    is_plain_name, media_name,
};
use crate::evidence::{Content, FileEntry, Manifest, Supplement, manifest_root};
use crate::ids::{AttemptId, InstitutionId};

impl<V: Verifier + StreamHasher, S: FileSource> Check<'_, V, S> {
    pub(super) fn sealed(&mut self) -> Result<(), SourceError> {
        let Some((signed, institution, manifest)) = self.signed::<Manifest>(MANIFEST_FILE)? else {
            return Ok(());
        };
        self.report.institution = Some(institution);
        self.report.attempt = Some(manifest.attempt);
        self.report.seal = Seal::Sealed {
            at: manifest.sealed,
            root: manifest.root,
        };
        if let Err(what) = self.consistent(&manifest) {
            self.whole_fault(MANIFEST_FILE, &what)?;
        }
        self.proof(institution, &manifest, &signed)?;
        let mut files = manifest.files.clone();
        files.extend(self.supplement(institution, &manifest, &signed)?);
        self.listed(&files, &[MANIFEST_FILE, PROOF_FILE, SUPPLEMENT_FILE])?;
        let bad_logs = self.whole_files(&files)?;
        self.epochs(institution, &manifest, &files, &bad_logs)
    }

    /// Checks every file that is here and hashed whole; returns which of them are bad.
    pub(super) fn whole_files(
        &mut self,
        files: &[FileEntry],
    ) -> Result<BTreeMap<String, bool>, SourceError> {
        let mut bad = BTreeMap::new();
        for file in files {
            if let Content::Bytes(hash) = &file.content
                && self.has(&file.name)
            {
                bad.insert(file.name.clone(), !self.bytes_file(file, hash)?);
            }
        }
        Ok(bad)
    }

    /// Reads a file that holds one signed structure.
    pub(super) fn signed<T: Signable>(
        &mut self,
        name: &str,
    ) -> Result<Option<(SignedBytes, InstitutionId, T)>, SourceError> {
        let Some(bytes) = self.small_file(name)? else {
            return Ok(None);
        };
        let opened = codec::decode::<SignedBytes>(T::NAME, &bytes)
            .map_err(|error| error.to_string())
            .and_then(|signed| {
                let (key, institution) = self.trusted(&signed)?;
                let body = crypto::open::<T>(self.verifier, &key, institution, &signed)
                    .map_err(|error| error.to_string())?;
                Ok((signed, institution, body))
            });
        match opened {
            Ok(opened) => Ok(Some(opened)),
            Err(what) => {
                self.report
                    .fault(name, 0..wide(bytes.len()), When::Whole, what);
                Ok(None)
            }
        }
    }

    /// Tells what a manifest contradicts itself in.
    fn consistent(&self, manifest: &Manifest) -> Result<(), String> {
        let files = &manifest.files;
        if !files.is_sorted_by(|a, b| a.name < b.name) {
            return Err("its files are not in order".to_owned());
        }
        if let Some(bad) = files.iter().find(|file| !is_plain_name(&file.name)) {
            return Err(format!("it names a file {:?}", bad.name));
        }
        let root = manifest_root(self.verifier, files).map_err(|error| error.to_string())?;
        if root != manifest.root {
            return Err("its root is not the one of its files".to_owned());
        }
        let incidents = files.iter().find(|file| file.name == INCIDENTS_FILE);
        let same = incidents.is_some_and(|file| file.content == Content::Bytes(manifest.incidents));
        if !same {
            return Err("its incidents are not the ones of its files".to_owned());
        }
        for part in &manifest.epochs {
            let listed = |name: &str| files.iter().any(|file| file.name == name);
            for stream in &part.streams {
                let content = Content::Chunks {
                    log: headers_name(stream.stream, part.epoch),
                    chunks: stream.chunks,
                    head: stream.head,
                };
                let media = media_name(stream.stream, part.epoch);
                let fits = files
                    .iter()
                    .any(|file| file.name == media && file.content == content);
                if !fits || !listed(&headers_name(stream.stream, part.epoch)) {
                    return Err(format!(
                        "it lacks the files of {} {}",
                        stream.stream, part.epoch
                    ));
                }
            }
            if !listed(&beats_name(part.epoch)) {
                return Err(format!("it lacks the beats of {}", part.epoch));
            }
        }
        let streams: usize = manifest.epochs.iter().map(|part| part.streams.len()).sum();
        let media = files
            .iter()
            .filter(|file| matches!(file.content, Content::Chunks { .. }));
        if media.count() == streams {
            Ok(())
        } else {
            Err("it names media of no stream".to_owned())
        }
    }

    fn proof(
        &mut self,
        institution: InstitutionId,
        manifest: &Manifest,
        signed: &SignedBytes,
    ) -> Result<(), SourceError> {
        if !self.has(PROOF_FILE) {
            self.report
                .fault(PROOF_FILE, 0..0, When::Whole, "the file is missing");
            return Ok(());
        }
        let Some(bytes) = self.small_file(PROOF_FILE)? else {
            return Ok(());
        };
        if let Err(what) = self.proved(institution, manifest, signed, &bytes) {
            self.report
                .fault(PROOF_FILE, 0..wide(bytes.len()), When::Whole, what);
        }
        Ok(())
    }

    fn proved(
        &self,
        institution: InstitutionId,
        manifest: &Manifest,
        signed: &SignedBytes,
        bytes: &[u8],
    ) -> Result<(), String> {
        let proof = codec::decode::<InclusionProof>("inclusion proof", bytes)
            .map_err(|error| error.to_string())?;
        let (key, _claimed) = self.trusted(&proof.checkpoint)?;
        let checkpoint =
            crypto::open::<Checkpoint>(self.verifier, &key, institution, &proof.checkpoint)
                .map_err(|error| error.to_string())?;
        let leaf = LogLeaf {
            attempt: manifest.attempt,
            root: manifest.root,
            manifest: self.verifier.sha256(&[&signed.bytes]),
        };
        let leaf = codec::encode("log leaf", &leaf).map_err(|error| error.to_string())?;
        let root = root_of_path(
            self.verifier,
            leaf_hash(self.verifier, &leaf),
            proof.index,
            checkpoint.size,
            &proof.path,
        );
        if root == Some(checkpoint.root) {
            Ok(())
        } else {
            Err("the manifest does not stand in the log".to_owned())
        }
    }

    /// Returns the files that the supplement adds. It stands in every export, so that nobody can
    /// take an act away together with it.
    fn supplement(
        &mut self,
        institution: InstitutionId,
        manifest: &Manifest,
        signed: &SignedBytes,
    ) -> Result<Vec<FileEntry>, SourceError> {
        if !self.has(SUPPLEMENT_FILE) {
            self.report
                .fault(SUPPLEMENT_FILE, 0..0, When::Whole, "the file is missing");
            return Ok(Vec::new());
        }
        let Some((_, of, supplement)) = self.signed::<Supplement>(SUPPLEMENT_FILE)? else {
            return Ok(Vec::new());
        };
        let hash = self.verifier.sha256(&[&signed.bytes]);
        let files = &supplement.files;
        let fits = (of, supplement.attempt, supplement.manifest)
            == (institution, manifest.attempt, hash)
            && files.is_sorted_by(|a, b| a.name < b.name)
            && files.iter().all(|file| {
                is_plain_name(&file.name)
                    && matches!(file.content, Content::Bytes(_))
                    && !manifest.files.iter().any(|other| other.name == file.name)
            });
        if fits {
            self.report.added = files.iter().map(|file| file.name.clone()).collect();
            Ok(supplement.files)
        } else {
            self.whole_fault(SUPPLEMENT_FILE, "it belongs to another recording")?;
            Ok(Vec::new())
        }
    }

    /// Compares the files that are named with those that are here.
    pub(super) fn listed(&mut self, files: &[FileEntry], own: &[&str]) -> Result<(), SourceError> {
        for file in files.iter().filter(|file| !self.names.contains(&file.name)) {
            self.report
                .fault(&file.name, 0..file.len, When::Whole, "the file is missing");
        }
        for name in self.names.clone() {
            if !own.contains(&name.as_str()) && !files.iter().any(|file| file.name == name) {
                self.whole_fault(&name, "the file is not one of the recording")?;
            }
        }
        Ok(())
    }

    /// Checks a file that is hashed whole; returns whether it is good. What is wrong within a side
    /// log is told by its reader; here, where its length is right, the whole file is named.
    fn bytes_file(&mut self, file: &FileEntry, expected: &Sha256) -> Result<bool, SourceError> {
        let len = self.source.len(&file.name)?;
        self.length(file, len, When::Whole);
        let mut running = self.verifier.begin();
        let mut buffer = vec![0; READ_BYTES];
        let mut offset = 0;
        while offset < len {
            let read = self.source.read(&file.name, offset, &mut buffer)?;
            if read == 0 {
                break;
            }
            self.verifier.feed(&mut running, &buffer[..read]);
            offset += wide(read);
        }
        let good = self.verifier.end(running) == *expected && len == file.len;
        let is_log =
            file.name.ends_with(".log") && file.name != super::super::side_log::RESPONSES_FILE;
        if !good && len == file.len && !is_log {
            self.report
                .fault(&file.name, 0..len, When::Whole, "the file was changed");
        }
        Ok(good)
    }

    /// Tells of bytes that were cut off or added.
    pub(super) fn length(&mut self, file: &FileEntry, len: u64, when: When) {
        if len < file.len {
            self.report
                .fault(&file.name, len..file.len, when, "the end is missing");
        } else if len > file.len {
            self.report
                .fault(&file.name, file.len..len, when, "bytes were added");
        }
    }

    fn epochs(
        &mut self,
        institution: InstitutionId,
        manifest: &Manifest,
        files: &[FileEntry],
        bad_logs: &BTreeMap<String, bool>,
    ) -> Result<(), SourceError> {
        for part in &manifest.epochs {
            let whose = (institution, manifest.attempt, part.epoch);
            let keys = self.certificates(MANIFEST_FILE, whose, &part.certificates)?;
            let mut expected = Vec::new();
            for stream in &part.streams {
                let media = media_name(stream.stream, part.epoch);
                expected.push(Expected {
                    attempt: manifest.attempt,
                    epoch: part.epoch,
                    stream: stream.stream,
                    chunks: stream.chunks,
                    head: stream.head,
                    media_len: manifest
                        .files
                        .iter()
                        .find(|file| file.name == media)
                        .map(|file| file.len),
                });
            }
            self.epoch_files(
                (institution, manifest.attempt, &keys),
                &expected,
                (part.beats, Some(part.beat_head)),
                (files, bad_logs),
            )?;
        }
        Ok(())
    }

    /// Checks the streams and the beats of one epoch.
    pub(super) fn epoch_files(
        &mut self,
        (institution, attempt, keys): (InstitutionId, AttemptId, &EpochKeys),
        expected: &[Expected],
        beats: (u64, Option<Sha256>),
        (files, bad_logs): (&[FileEntry], &BTreeMap<String, bool>),
    ) -> Result<(), SourceError> {
        for stream in expected {
            let log = headers_name(stream.stream, stream.epoch);
            let found = self.report.faults.len();
            let read = self.stream(stream)?;
            self.blame(&log, files, bad_logs, found, read)?;
        }
        let log = beats_name(keys.epoch);
        let found = self.report.faults.len();
        let signatures = match bad_logs.get(&log) {
            Some(false) => Signatures::OfEachRun,
            Some(true) | None => Signatures::All,
        };
        let read = self.beats((keys, attempt, institution), expected, beats, signatures)?;
        self.blame(&log, files, bad_logs, found, read)
    }

    /// Makes sure that a log whose hash is wrong is named, also where its records read well.
    fn blame(
        &mut self,
        log: &str,
        files: &[FileEntry],
        bad_logs: &BTreeMap<String, bool>,
        found: usize,
        read: bool,
    ) -> Result<(), SourceError> {
        let listed = self.has(log) && files.iter().any(|file| file.name == log);
        let named = self.report.faults[..].iter().any(|fault| fault.file == log)
            || (self.report.faults.len() > found && !read);
        if listed && bad_logs.get(log) == Some(&true) && !named {
            self.whole_fault(log, "the file was changed")?;
        }
        Ok(())
    }
}

const READ_BYTES: usize = 256 * 1024;
