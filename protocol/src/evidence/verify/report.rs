//! What a verification found.

use core::fmt;
use core::ops::Range;

use crate::crypto::Sha256;
use crate::evidence::ChunkSeq;
use crate::ids::{AttemptId, Epoch, InstitutionId};
use crate::stream::StreamId;
use crate::time::WallTime;

/// Which time a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A stretch of one epoch's recording, in microseconds since it began.
    Span {
        /// Which epoch.
        epoch: Epoch,
        /// From.
        from_us: u64,
        /// To.
        to_us: u64,
    },
    /// All of it: the file tells of the whole attempt.
    Whole,
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Span {
                epoch,
                from_us,
                to_us,
            } => write!(f, "{epoch} {}–{}", Clock(*from_us), Clock(*to_us)),
            Self::Whole => f.write_str("whole recording"),
        }
    }
}

struct Clock(u64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0 / 1_000;
        let (seconds, ms) = (ms / 1_000, ms % 1_000);
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        let (hours, minutes) = (minutes / 60, minutes % 60);
        write!(f, "{hours:02}:{minutes:02}:{seconds:02}.{ms:03}")
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In which file.
    pub file: String,
    /// In which of its bytes.
    pub bytes: Range<u64>,
    /// At which time.
    pub when: When,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: bytes {}..{}: {}: {}",
            self.file, self.bytes.start, self.bytes.end, self.when, self.what
        )
    }
}

/// One stream as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLine {
    /// On which machine.
    pub epoch: Epoch,
    /// Which stream.
    pub stream: StreamId,
    /// How many chunks are as they were signed for.
    pub chunks: u64,
    /// Where the last of them ends, in microseconds since the epoch's recording began.
    pub end_us: u64,
    /// How many chunks at the end no beat of the agent covers: the server's seal alone does.
    pub uncovered: u64,
}

/// The last receipted chunk of an unsealed stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastReceipted {
    /// On which machine.
    pub epoch: Epoch,
    /// Which stream.
    pub stream: StreamId,
    /// Which chunk.
    pub seq: ChunkSeq,
    /// When it was receipted, by the server's clock.
    pub at: WallTime,
}

/// Whether the recording was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seal {
    /// The manifest is signed by a trusted key and stands in the log.
    Sealed {
        /// When.
        at: WallTime,
        /// The recording's root.
        root: Sha256,
    },
    /// There is no manifest: the recording can grow or was never finished.
    Unsealed {
        /// How far it was receipted.
        last: Vec<LastReceipted>,
    },
    /// Nothing that a trusted key signed says what this is.
    Unknown,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// For which institution it was signed.
    pub institution: Option<InstitutionId>,
    /// Whose recording.
    pub attempt: Option<AttemptId>,
    /// Whether it was sealed.
    pub seal: Seal,
    /// Every stream.
    pub streams: Vec<StreamLine>,
    /// How many beats are as they were signed.
    pub beats: u64,
    /// How many of the chunks that kept receipts name are here.
    pub receipts: u64,
    /// The files that came after the seal, such as acts.
    pub added: Vec<String>,
    /// What is wrong, by file; faults that touch are told as one.
    pub faults: Vec<Fault>,
    /// How many bytes were read.
    pub bytes_read: u64,
}

impl Report {
    /// Begins a report on nothing.
    pub(super) const fn new() -> Self {
        Self {
            institution: None,
            attempt: None,
            seal: Seal::Unknown,
            streams: Vec::new(),
            beats: 0,
            receipts: 0,
            added: Vec::new(),
            faults: Vec::new(),
            bytes_read: 0,
        }
    }

    /// Tells whether the recording is sealed and nothing is wrong.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.faults.is_empty() && matches!(self.seal, Seal::Sealed { .. })
    }

    /// Adds a fault, or lengthens the one before it.
    pub(super) fn fault(
        &mut self,
        file: &str,
        bytes: Range<u64>,
        when: When,
        what: impl Into<String>,
    ) {
        let what = what.into();
        if let Some(last) = self.faults.last_mut()
            && last.file == file
            && last.what == what
            && last.bytes.end == bytes.start
            && let (
                When::Span { epoch, to_us, .. },
                When::Span {
                    epoch: other,
                    to_us: later,
                    ..
                },
            ) = (&mut last.when, when)
            && *epoch == other
        {
            last.bytes.end = bytes.end;
            *to_us = later.max(*to_us);
            return;
        }
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault {
                file: file.to_owned(),
                bytes,
                when,
                what,
            });
        }
    }
}

/// The most faults that are told apart; a recording with more is spoilt all over.
const FAULTS_MAX: usize = 10_000;
