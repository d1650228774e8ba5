//! Checks the beats of one epoch: their chain, their signatures, and that every head they name is
//! a chunk of the recording.

use core::ops::Range;
use std::collections::BTreeMap;

use super::records::{Next, Records};
use super::streams::Expected;
use super::{Check, EpochKeys, FileSource, SourceError, When};
use crate::codec;
use crate::crypto::{self, PublicKey, Sha256, SignedBytes, StreamHasher, Verifier};
use crate::evidence::side_log::{BEATS_MAGIC, HEADERS_MAGIC, beats_name, headers_name};
use crate::evidence::{BeatBody, Head};
use crate::ids::{AttemptId, Epoch, InstitutionId};
use crate::stream::StreamId;
use crate::time::Now;

/// Walks along one stream's headers.
struct Cursor {
    records: Records,
    /// How many headers were read.
    read: u64,
    hash: Sha256,
}

/// Which signatures of a log of beats are looked at.
///
/// Each beat names the hash of the one before, so the last beat of a key vouches for all of that
/// key's beats: where the log's own hash is right, the rest of the signatures would say nothing new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signatures {
    /// The last one of each run of beats under one key.
    OfEachRun,
    /// Every one, to name the beat that was changed.
    All,
}

/// A beat whose signature was not looked at yet.
struct Held {
    signed: SignedBytes,
    key: PublicKey,
    bytes: Range<u64>,
}

struct Walk<'a> {
    keys: &'a EpochKeys,
    institution: InstitutionId,
    attempt: AttemptId,
    cursors: BTreeMap<StreamId, Cursor>,
    next: u64,
    head: Sha256,
    origin: Option<Now>,
    /// Where the newest good beat lies in time, in microseconds after the first.
    time_us: u64,
    signatures: Signatures,
    held: Option<Held>,
}

impl<V: Verifier + StreamHasher, S: FileSource> Check<'_, V, S> {
    /// Checks an epoch's beats; returns whether the log could be read to the end.
    pub(super) fn beats(
        &mut self,
        (keys, attempt, institution): (&EpochKeys, AttemptId, InstitutionId),
        streams: &[Expected],
        (beats, head): (u64, Option<Sha256>),
        signatures: Signatures,
    ) -> Result<bool, SourceError> {
        let log = beats_name(keys.epoch);
        if !self.has(&log) {
            return Ok(false);
        }
        let Some(mut records) = Records::open(&mut self.source, &log, BEATS_MAGIC)? else {
            self.whole_fault(&log, "it is no log of beats")?;
            return Ok(false);
        };
        let mut walk = Walk {
            keys,
            institution,
            attempt,
            cursors: self.cursors(streams)?,
            next: 0,
            head: Sha256::ZERO,
            origin: None,
            time_us: 0,
            signatures,
            held: None,
        };
        loop {
            match records.next(&mut self.source)? {
                Next::End => break,
                Next::Broken(bytes) => {
                    self.beat_fault(&walk, &log, bytes, "it cannot be read on");
                    return Ok(false);
                }
                Next::Record(bytes) => {
                    if let Err((bytes, what)) = self.beat(&mut walk, records.bytes(), bytes)? {
                        self.beat_fault(&walk, &log, bytes, &what);
                        return Ok(false);
                    }
                }
            }
        }
        if let Err((bytes, what)) = self.signature(&mut walk) {
            self.beat_fault(&walk, &log, bytes, &what);
            return Ok(false);
        }
        self.report.beats += walk.next;
        if beats != walk.next || head.is_some_and(|head| head != walk.head) {
            let len = self.source.len(&log)?;
            let what = format!("it holds {} beats, not {beats}", walk.next);
            self.beat_fault(&walk, &log, len..len, &what);
        }
        self.cover(keys.epoch, &walk);
        Ok(true)
    }

    fn cursors(&mut self, streams: &[Expected]) -> Result<BTreeMap<StreamId, Cursor>, SourceError> {
        let mut cursors = BTreeMap::new();
        for stream in streams {
            let log = headers_name(stream.stream, stream.epoch);
            if !self.has(&log) {
                continue;
            }
            if let Some(records) = Records::open(&mut self.source, &log, HEADERS_MAGIC)? {
                let cursor = Cursor {
                    records,
                    read: 0,
                    hash: Sha256::ZERO,
                };
                cursors.insert(stream.stream, cursor);
            }
        }
        Ok(cursors)
    }

    /// Checks the next beat; what is wrong is told with the bytes of the beat that it concerns.
    fn beat(
        &mut self,
        walk: &mut Walk<'_>,
        record: &[u8],
        bytes: Range<u64>,
    ) -> Result<Result<(), (Range<u64>, String)>, SourceError> {
        let (signed, key, body) = match self.opened(walk, record) {
            Ok(opened) => opened,
            Err(what) => return Ok(Err((bytes, what))),
        };
        if let Err(what) = self.follows(walk, &body)? {
            return Ok(Err((bytes, what)));
        }
        let run_goes_on = walk.held.as_ref().is_none_or(|held| held.key == key);
        if !run_goes_on && let Err(fault) = self.signature(walk) {
            return Ok(Err(fault));
        }
        walk.next += 1;
        walk.head = self.verifier.sha256(&[&signed.bytes]);
        walk.held = Some(Held { signed, key, bytes });
        let origin = *walk.origin.get_or_insert(body.monotonic);
        let since = body.monotonic.since(origin).as_micros();
        walk.time_us = u64::try_from(since).unwrap_or(u64::MAX);
        match walk.signatures {
            Signatures::All => Ok(self.signature(walk)),
            Signatures::OfEachRun => Ok(Ok(())),
        }
    }

    /// Looks at the signature of the beat that is held.
    fn signature(&self, walk: &mut Walk<'_>) -> Result<(), (Range<u64>, String)> {
        let Some(held) = walk.held.take() else {
            return Ok(());
        };
        crypto::open::<BeatBody>(self.verifier, &held.key, walk.institution, &held.signed)
            .map(drop)
            .map_err(|error| (held.bytes, error.to_string()))
    }

    fn opened(
        &self,
        walk: &Walk<'_>,
        record: &[u8],
    ) -> Result<(SignedBytes, PublicKey, BeatBody), String> {
        let signed = codec::decode::<SignedBytes>("beat", record).map_err(|e| e.to_string())?;
        let claim = signed.claim().map_err(|error| error.to_string())?;
        let key = walk.keys.keys.get(&claim.key).ok_or_else(|| {
            format!(
                "a beat is signed with key {:?}, which was not certified",
                claim.key
            )
        })?;
        let body = crypto::open_chained(self.verifier, key, walk.institution, &signed)
            .map_err(|error| error.to_string())?;
        Ok((signed, *key, body))
    }

    /// Checks that a beat follows the one before, and that what it names is in the recording.
    fn follows(
        &mut self,
        walk: &mut Walk<'_>,
        body: &BeatBody,
    ) -> Result<Result<(), String>, SourceError> {
        if (body.attempt, body.epoch) != (walk.attempt, walk.keys.epoch) {
            return Ok(Err("a beat is of another recording".to_owned()));
        }
        if body.seq != walk.next || body.previous != walk.head {
            return Ok(Err(format!(
                "beat {} does not follow {}",
                body.seq, walk.next
            )));
        }
        for head in &body.heads {
            if !self.reaches(walk, head)? {
                return Ok(Err(format!(
                    "beat {} names chunk {} of {}, which is not in the recording",
                    body.seq, head.seq, head.stream
                )));
            }
        }
        Ok(Ok(()))
    }

    /// Moves a stream's cursor to the chunk that a beat names.
    fn reaches(&mut self, walk: &mut Walk<'_>, head: &Head) -> Result<bool, SourceError> {
        let Some(cursor) = walk.cursors.get_mut(&head.stream) else {
            return Ok(false);
        };
        while cursor.read <= head.seq.0 {
            match cursor.records.next(&mut self.source)? {
                Next::End | Next::Broken(_) => return Ok(false),
                Next::Record(_) => {
                    cursor.hash = self.verifier.sha256(&[cursor.records.bytes()]);
                    cursor.read += 1;
                }
            }
        }
        Ok(cursor.read == head.seq.0.saturating_add(1) && cursor.hash == head.header)
    }

    /// Notes in each stream's line how many chunks lie behind the last beat.
    fn cover(&mut self, epoch: Epoch, walk: &Walk<'_>) {
        for line in self
            .report
            .streams
            .iter_mut()
            .filter(|line| line.epoch == epoch)
        {
            let covered = walk
                .cursors
                .get(&line.stream)
                .map_or(0, |cursor| cursor.read);
            line.uncovered = line.uncovered.saturating_sub(covered);
        }
    }

    fn beat_fault(&mut self, walk: &Walk<'_>, log: &str, bytes: Range<u64>, what: &str) {
        let when = When::Span {
            epoch: walk.keys.epoch,
            from_us: walk.time_us,
            to_us: walk.time_us.saturating_add(BEAT_US),
        };
        self.report.fault(log, bytes, when, what);
    }
}

/// How long a beat stands for.
const BEAT_US: u64 = 1_000_000;
