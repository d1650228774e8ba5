//! How much of the network an attempt may use, as the server names it.

/// A bandwidth profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Bandwidth {
    /// At most 150 kbit/s on average.
    Economy,
    /// At most 300 kbit/s on average.
    #[default]
    Standard,
    /// The best picture.
    Rich,
}

/// Says that a word names no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no bandwidth profile (expected economy, standard or rich)")]
pub struct BandwidthError {
    /// The word that was refused.
    pub word: String,
}

impl Bandwidth {
    /// Every profile, the smallest first.
    pub const ALL: [Self; 3] = [Self::Economy, Self::Standard, Self::Rich];

    /// Returns the word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Economy => "economy",
            Self::Standard => "standard",
            Self::Rich => "rich",
        }
    }
}

impl core::str::FromStr for Bandwidth {
    type Err = BandwidthError;

    fn from_str(word: &str) -> Result<Self, BandwidthError> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.word() == word)
            .ok_or_else(|| BandwidthError {
                word: word.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_reads_back_and_another_word_is_named() {
        for profile in Bandwidth::ALL {
            assert_eq!(profile.word().parse(), Ok(profile));
        }
        let error = "fast".parse::<Bandwidth>().expect_err("no profile");
        assert!(error.to_string().contains("fast"));
    }
}
