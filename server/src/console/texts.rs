//! The console's words in Kazakh, Russian and English.

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use qorgan_server_core::fault::{Fault, FaultKind, Note, NoteKind};
use unic_langid::LanguageIdentifier;

/// A language of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// Kazakh.
    #[default]
    Kazakh,
    /// Russian.
    Russian,
    /// English.
    English,
}

impl Language {
    /// Every language, in the order offered.
    pub const ALL: [Self; 3] = [Self::Kazakh, Self::Russian, Self::English];

    /// Returns the ISO 639-1 code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Kazakh => "kk",
            Self::Russian => "ru",
            Self::English => "en",
        }
    }

    /// Returns its own name for itself, short.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kazakh => "Қаз",
            Self::Russian => "Рус",
            Self::English => "Eng",
        }
    }

    /// Returns the language that a code such as `ru` or `ru-KZ` names.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        let primary = code
            .split(['-', ';', '_'])
            .next()
            .unwrap_or_default()
            .trim();
        Self::ALL
            .into_iter()
            .find(|language| language.code().eq_ignore_ascii_case(primary))
    }

    /// Returns a text.
    #[must_use]
    pub fn text(self, key: &str) -> String {
        self.fill(key, &[])
    }

    /// Returns a text with its blanks filled; the key itself where there is no such text.
    #[must_use]
    pub fn fill(self, key: &str, blanks: &[(&str, String)]) -> String {
        let bundle = match self {
            Self::Kazakh => &*KAZAKH,
            Self::Russian => &*RUSSIAN,
            Self::English => &*ENGLISH,
        };
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
            return key.to_owned();
        };
        let mut arguments = FluentArgs::new();
        for (name, value) in blanks {
            arguments.set(*name, value.as_str());
        }
        let mut errors = Vec::new();
        bundle
            .format_pattern(pattern, Some(&arguments), &mut errors)
            .into_owned()
    }

    /// Returns what is wrong and what to do.
    #[must_use]
    pub fn fault(self, kind: &FaultKind) -> String {
        self.fill(&format!("fault-{}", kind.word()), &kind.arguments())
    }

    /// Returns what somebody should look at.
    #[must_use]
    pub fn note(self, kind: &NoteKind) -> String {
        self.fill(&format!("note-{}", kind.word()), &kind.arguments())
    }

    /// Returns a note in one line, for a terminal.
    #[must_use]
    pub fn note_line(self, note: &Note) -> String {
        format!("{}: {}", note.place, self.note(&note.kind))
    }

    /// Returns a fault in one line, for a terminal.
    #[must_use]
    pub fn fault_line(self, fault: &Fault) -> String {
        format!("{}: {}", fault.place, self.fault(&fault.kind))
    }
}

type Bundle = FluentBundle<FluentResource>;

static KAZAKH: LazyLock<Bundle> =
    LazyLock::new(|| bundle("kk", include_str!("../../locales/kk.ftl")));
static RUSSIAN: LazyLock<Bundle> =
    LazyLock::new(|| bundle("ru", include_str!("../../locales/ru.ftl")));
static ENGLISH: LazyLock<Bundle> =
    LazyLock::new(|| bundle("en", include_str!("../../locales/en.ftl")));

fn bundle(code: &str, text: &str) -> Bundle {
    let language: LanguageIdentifier = code.parse().unwrap_or_default();
    // A test reads all three files whole; what parses of a broken one is better than nothing.
    let resource =
        FluentResource::try_new(text.to_owned()).unwrap_or_else(|(readable, _errors)| readable);
    let mut bundle = FluentBundle::new_concurrent(vec![language]);
    bundle.set_use_isolating(false);
    bundle.add_resource_overriding(resource);
    bundle
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use qorgan_protocol::incident::{Allowance, Form1Box, IncidentKind, Sensitivity};

    use super::*;

    const FILES: [&str; 3] = [
        include_str!("../../locales/kk.ftl"),
        include_str!("../../locales/ru.ftl"),
        include_str!("../../locales/en.ftl"),
    ];

    fn keys(file: &str) -> BTreeSet<&str> {
        file.lines()
            .filter_map(|line| line.split_once(" = "))
            .map(|(key, _)| key)
            .collect()
    }

    #[test]
    fn every_language_has_the_same_texts() {
        let kazakh = keys(FILES[0]);
        for file in FILES {
            FluentResource::try_new(file.to_owned()).expect("a catalogue without faults");
            assert_eq!(keys(file), kazakh);
        }
    }

    #[test]
    fn every_fault_and_every_kind_of_incident_has_a_text() {
        let known = keys(FILES[0]);
        for word in FaultKind::WORDS {
            assert!(known.contains(format!("fault-{word}").as_str()), "{word}");
        }
        for word in NoteKind::WORDS {
            assert!(known.contains(format!("note-{word}").as_str()), "{word}");
        }
        for kind in IncidentKind::ALL {
            assert!(
                known.contains(format!("kind-{}", kind.word()).as_str()),
                "{kind:?}"
            );
        }
        for kind in IncidentKind::ALL {
            let key = format!("why-{}", kind.word());
            assert!(known.contains(key.as_str()), "{key}");
        }
        for ticked in Form1Box::ALL {
            let key = format!("box-{}", ticked.word());
            assert!(known.contains(key.as_str()), "{key}");
        }
        for sensitivity in Sensitivity::ALL {
            let key = format!("sensitivity-{}", sensitivity.word());
            assert!(known.contains(key.as_str()), "{key}");
        }
        for allowance in Allowance::ALL {
            let key = format!("allowance-{}", allowance.word());
            assert!(known.contains(key.as_str()), "{key}");
        }
    }

    #[test]
    fn a_fault_is_told_in_kazakh_with_its_remedy() {
        let kind = FaultKind::UnknownCorrect {
            choice: "E".to_owned(),
        };

        assert_eq!(
            Language::Kazakh.fault(&kind),
            "Дұрыс жауап «E» нұсқалар арасында жоқ. Кілтті түзетіңіз."
        );
    }
}
