//! The kiosk's texts, so that tests find controls by the names people read.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};

use crate::tree::top;

/// The texts of one language, by key.
#[derive(Debug, Clone)]
pub struct Catalogue {
    texts: BTreeMap<String, String>,
}

impl Catalogue {
    /// Reads the kiosk's texts in `language`.
    ///
    /// # Errors
    /// Fails where there are none.
    pub fn read(language: &str) -> Result<Self> {
        let file = top()
            .join("client")
            .join("locales")
            .join(format!("{language}.ftl"));
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        Ok(Self::parse(&text))
    }

    /// Returns a text up to its first placeable.
    ///
    /// # Errors
    /// Fails where the language has no such text.
    pub fn text(&self, key: &str) -> Result<&str> {
        let text = self
            .texts
            .get(key)
            .with_context(|| format!("no text `{key}`"))?;
        Ok(text.split('{').next().unwrap_or(text).trim_end())
    }

    fn parse(text: &str) -> Self {
        let texts = text
            .lines()
            .filter(|line| !line.starts_with(['#', ' ']))
            .filter_map(|line| line.split_once('='))
            .map(|(key, text)| (key.trim().to_owned(), text.trim().to_owned()))
            .collect();
        Self { texts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_by_its_key_up_to_what_changes() {
        let catalogue = Catalogue::parse("# note\nsubmit = Аяқтау\nstep = Қадам { $n }\n");

        assert_eq!(catalogue.text("submit").expect("it is there"), "Аяқтау");
        assert_eq!(catalogue.text("step").expect("it is there"), "Қадам");
        catalogue.text("note").expect_err("a comment is no text");
    }
}
