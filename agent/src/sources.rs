//! Where pictures and sound come from, as the command line says it.

use core::str::FromStr;
#[cfg(feature = "simulated")]
use std::path::PathBuf;

/// Where pictures and sound come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sources {
    /// The machine's devices.
    Devices,
    /// Files in a folder where it has them, devices for what it lacks.
    #[cfg(feature = "simulated")]
    Simulated(PathBuf),
}

/// Says that a word names no sources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourcesError {
    /// The build cannot play files.
    #[error("this build plays no files: build with the feature `simulated`")]
    NotBuilt,
    /// Neither `devices` nor `simulated:DIR`.
    #[error("`{word}` names no sources (expected devices or simulated:DIR)")]
    Unknown {
        /// The word.
        word: String,
    },
}

impl FromStr for Sources {
    type Err = SourcesError;

    fn from_str(word: &str) -> Result<Self, SourcesError> {
        if word == "devices" {
            return Ok(Self::Devices);
        }
        match word.strip_prefix("simulated:") {
            #[cfg(feature = "simulated")]
            Some(folder) => Ok(Self::Simulated(PathBuf::from(folder))),
            #[cfg(not(feature = "simulated"))]
            Some(_) => Err(SourcesError::NotBuilt),
            None => Err(SourcesError::Unknown {
                word: word.to_owned(),
            }),
        }
    }
}
