//! The texts of the interface in Kazakh, Russian and English.

use std::fmt;

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use qorgan_client_core::event::Language;

/// A key of the catalogues; the build makes a constant of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub &'static str);

/// The constants of every key.
pub mod keys {
    use super::Key;

    include!(concat!(env!("OUT_DIR"), "/keys.rs"));
}

/// The catalogue of one language.
pub struct Texts {
    language: Language,
    bundle: FluentBundle<FluentResource>,
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texts")
            .field("language", &self.language)
            .finish_non_exhaustive()
    }
}

impl Texts {
    /// Reads the catalogue of `language`; what is damaged in it is left out, and a test proves that
    /// nothing is.
    #[must_use]
    pub fn of(language: Language) -> Self {
        let source = source(language);
        let resource = match FluentResource::try_new(source.to_owned()) {
            Ok(resource) | Err((resource, _)) => resource,
        };
        let mut bundle = FluentBundle::new_concurrent(vec![locale(language)]);
        bundle.set_use_isolating(false);
        bundle.add_resource_overriding(resource);
        Self { language, bundle }
    }

    /// Returns the text of `key`.
    #[must_use]
    pub fn msg(&self, key: Key) -> String {
        self.format(key, None)
    }

    /// Returns the text of `key` with its places filled.
    #[must_use]
    pub fn with(&self, key: Key, places: &[(&str, Place<'_>)]) -> String {
        let mut args = FluentArgs::new();
        for (name, place) in places {
            let value = match place {
                Place::Text(text) => FluentValue::from(*text),
                Place::Number(number) => FluentValue::from(*number),
            };
            args.set(*name, value);
        }
        self.format(key, Some(&args))
    }

    /// Returns the catalogue's language.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.language
    }

    fn format(&self, key: Key, args: Option<&FluentArgs<'_>>) -> String {
        let Some(pattern) = self
            .bundle
            .get_message(key.0)
            .and_then(|message| message.value())
        else {
            return key.0.to_owned();
        };
        let mut errors = Vec::new();
        self.bundle
            .format_pattern(pattern, args, &mut errors)
            .into_owned()
    }
}

/// What fills a place in a text.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// A text.
    Text(&'a str),
    /// A number.
    Number(u64),
}

impl<'a> From<&'a str> for Place<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Place<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl From<u8> for Place<'_> {
    fn from(number: u8) -> Self {
        Self::Number(number.into())
    }
}

impl From<u64> for Place<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Place<'_> {
    fn from(number: usize) -> Self {
        Self::Number(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<u16> for Place<'_> {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

fn source(language: Language) -> &'static str {
    match language {
        Language::Kk => include_str!("../../locales/kk.ftl"),
        Language::Ru => include_str!("../../locales/ru.ftl"),
        Language::En => include_str!("../../locales/en.ftl"),
    }
}

fn locale(language: Language) -> unic_langid::LanguageIdentifier {
    language.code().parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_exists_in_all_three_languages_and_nowhere_else() {
        let wanted: BTreeSet<&str> = keys::ALL.iter().map(|key| key.0).collect();
        for language in Language::ALL {
            let found: BTreeSet<&str> = source(language)
                .lines()
                .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()))
                .filter_map(|line| line.split_once(" =").map(|(key, _)| key))
                .collect();
            assert_eq!(found, wanted, "{language:?}");
        }
    }

    #[test]
    fn every_catalogue_reads_without_an_error_and_fills_its_places() {
        for language in Language::ALL {
            FluentResource::try_new(source(language).to_owned())
                .unwrap_or_else(|(_, errors)| panic!("{language:?}: {errors:?}"));
            let texts = Texts::of(language);
            let all = [
                ("n", Place::Number(3)),
                ("of", Place::Number(20)),
                ("entries", Place::Number(27)),
                ("text", Place::Text("x")),
                ("reason", Place::Text("x")),
            ];
            for key in keys::ALL {
                let text = texts.with(*key, &all);
                assert!(
                    !text.contains('{') && !text.trim().is_empty(),
                    "{language:?} {key:?}: {text}"
                );
            }
        }
    }

    #[test]
    fn every_key_is_used() {
        let sources = rust_sources(std::path::Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src"
        )));
        for key in keys::ALL {
            let name = format!("keys::{}", key.0.replace('-', "_").to_uppercase());
            let used = sources.match_indices(&name).any(|(at, found)| {
                !sources[at + found.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
            });
            assert!(used, "{name} is used nowhere");
        }
    }

    fn rust_sources(folder: &std::path::Path) -> String {
        let mut all = String::new();
        for entry in std::fs::read_dir(folder).expect("the sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                all.push_str(&rust_sources(&path));
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                all.push_str(&std::fs::read_to_string(&path).expect("a source"));
            }
        }
        all
    }
}
