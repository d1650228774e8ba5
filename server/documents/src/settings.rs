//! What an institution sets about its acts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::act::Still;
use crate::language::Language;
use crate::texts::{Form1TextChanges, Form1Texts};

/// Holds what every act of one institution shares.
#[derive(Debug, Clone)]
pub struct ActSettings {
    /// Who draws the acts up.
    pub institution: Institution,
    /// The institution's mark, left in the page head.
    pub logo: Option<Still>,
    /// Texts that differ from the procedure's own, by language.
    pub texts: BTreeMap<Language, Form1TextChanges>,
}

/// Names the institution as the page head does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Institution {
    /// The name in Kazakh.
    pub name_kk: String,
    /// The name in Russian.
    pub name_ru: String,
    /// The unit that draws acts up.
    #[serde(default = "unit")]
    pub unit: String,
    /// What kind of document the form belongs to.
    #[serde(default = "procedure")]
    pub procedure: String,
    /// Which edition of the procedure is in force.
    #[serde(default = "edition")]
    pub edition: String,
}

impl ActSettings {
    /// Starts with the procedure's own texts and no logo.
    #[must_use]
    pub const fn new(institution: Institution) -> Self {
        Self {
            institution,
            logo: None,
            texts: BTreeMap::new(),
        }
    }

    /// Returns the texts in `language` as the institution wants them.
    #[must_use]
    pub fn texts_in(&self, language: Language) -> Form1Texts {
        let changes = self.texts.get(&language).cloned().unwrap_or_default();
        Form1Texts::of(language).with(changes)
    }
}

impl Institution {
    /// Takes the two names; unit, procedure and edition are those of the procedure.
    #[must_use]
    pub fn new(name_kk: impl Into<String>, name_ru: impl Into<String>) -> Self {
        Self {
            name_kk: name_kk.into(),
            name_ru: name_ru.into(),
            unit: unit(),
            procedure: procedure(),
            edition: edition(),
        }
    }
}

fn unit() -> String {
    "Тестілеу орталығы".to_owned()
}

fn procedure() -> String {
    "Стандартты операциялық рәсім".to_owned()
}

fn edition() -> String {
    "Редакция: 1".to_owned()
}
