//! What can go wrong while a machine is set up.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A reason why set-up, demo or suite stopped.
#[derive(Debug)]
pub(crate) enum SetUpError {
    /// A command could not be started.
    Start { line: String, source: io::Error },
    /// A command ran and reported failure.
    Failed { line: String, log: Option<PathBuf> },
    /// A file or folder could not be read or written.
    File { path: PathBuf, source: io::Error },
    /// Only root may take the next step, and nobody can be asked.
    NeedsRoot { line: String },
    /// The person at the terminal said no.
    Declined,
    /// A downloaded file is not the one that was pinned.
    Checksum { path: PathBuf, found: String },
    /// The folder of the source tree was not found.
    NoTree,
}

impl fmt::Display for SetUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { line, source } => write!(f, "could not start `{line}`: {source}"),
            Self::Failed { line, log: None } => write!(f, "`{line}` failed"),
            Self::Failed {
                line,
                log: Some(log),
            } => {
                write!(f, "`{line}` failed; all it said is in {}", log.display())
            }
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::NeedsRoot { line } => {
                write!(
                    f,
                    "only root may install packages. Type this line, then try again:\n{line}"
                )
            }
            Self::Declined => write!(f, "nothing was changed"),
            Self::Checksum { path, found } => {
                write!(
                    f,
                    "{} has SHA-256 {found}, which is not the pinned one",
                    path.display()
                )
            }
            Self::NoTree => write!(f, "run this inside the source tree"),
        }
    }
}

impl std::error::Error for SetUpError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start { source, .. } | Self::File { source, .. } => Some(source),
            Self::Failed { .. }
            | Self::NeedsRoot { .. }
            | Self::Declined
            | Self::Checksum { .. }
            | Self::NoTree => None,
        }
    }
}
