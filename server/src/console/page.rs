//! What every page has: language, navigation, who is signed in; and how a page becomes a response.

use std::sync::Arc;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE};
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse as _};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Shared;
use super::error::{Answer, ConsoleError};
use super::texts::Language;
use crate::auth::{StaffRole, StaffSession};
use crate::state::AppState;

/// The cookie that keeps the language.
pub(super) const LANGUAGE_COOKIE: &str = "__Host-qorgan-language";

/// Who asks, before it is known who that is.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    chosen: Option<Language>,
    accepted: Language,
    path: String,
    htmx: bool,
    /// What the console shares.
    pub(super) shared: Arc<Shared>,
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = ConsoleError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ConsoleError> {
        let shared = parts
            .extensions
            .get::<Arc<Shared>>()
            .cloned()
            .ok_or(ConsoleError::Unready)?;
        let path = parts
            .uri
            .path_and_query()
            .map_or("/console/", |path| path.as_str());
        Ok(Self {
            chosen: cookie(parts, LANGUAGE_COOKIE).and_then(|code| Language::from_code(&code)),
            accepted: accepted(parts),
            path: path.to_owned(),
            htmx: shared.assets.has_htmx(),
            shared,
        })
    }
}

impl Visitor {
    /// Returns the language for somebody who is not signed in.
    pub(super) fn language(&self) -> Language {
        self.chosen.unwrap_or(self.accepted)
    }
}

fn accepted(parts: &Parts) -> Language {
    parts
        .headers
        .get(ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .and_then(|list| list.split(',').find_map(Language::from_code))
        .unwrap_or_default()
}

fn cookie(parts: &Parts, name: &str) -> Option<String> {
    parts
        .headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.to_owned())
}

/// Who is signed in, as a page shows it.
#[derive(Debug, Clone)]
pub(crate) struct StaffView {
    /// The name.
    pub(crate) name: String,
    roles: Vec<StaffRole>,
}

/// What every page has.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    language: Language,
    zone: TimeZone,
    /// Who is signed in.
    pub(crate) staff: Option<StaffView>,
    /// The token of every form.
    pub(crate) csrf: String,
    /// Where the page is.
    pub(crate) path: String,
    /// Whether htmx is served.
    pub(crate) htmx: bool,
    /// The institution's name.
    pub(crate) institution: String,
    /// Whom to call.
    pub(crate) support: String,
}

/// An entry of the navigation.
#[derive(Debug)]
pub(crate) struct NavItem {
    /// Where it leads.
    pub(crate) href: &'static str,
    /// Its word.
    pub(crate) text: String,
    /// Whether the page lies there.
    pub(crate) current: bool,
}

/// A language to switch to.
#[derive(Debug)]
pub(crate) struct LanguageItem {
    /// Its code.
    pub(crate) code: &'static str,
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether it is the page's.
    pub(crate) current: bool,
}

impl Page {
    /// Begins a page.
    pub(super) fn new(state: &AppState, visitor: &Visitor, staff: Option<&StaffSession>) -> Self {
        let on_file = staff.and_then(|session| Language::from_code(&session.language));
        let language = visitor.chosen.or(on_file).unwrap_or(visitor.accepted);
        let settings = &state.config.institution;
        let institution = match language {
            Language::Kazakh => &settings.name_kk,
            Language::Russian => &settings.name_ru,
            Language::English => &settings.name_en,
        };
        Self {
            language,
            zone: TimeZone::get(settings.time_zone.as_str()).unwrap_or(TimeZone::UTC),
            staff: staff.map(|session| StaffView {
                name: session.display_name.clone(),
                roles: session.roles.clone(),
            }),
            csrf: staff
                .map(|session| session.csrf.clone())
                .unwrap_or_default(),
            path: visitor.path.clone(),
            htmx: visitor.htmx,
            institution: institution.clone(),
            support: settings.support.clone(),
        }
    }

    /// Makes a page of nobody in Kazakh.
    #[cfg(test)]
    pub(super) fn for_test() -> Self {
        Self::for_test_in(Language::Kazakh)
    }

    /// Makes a page of no visitor in a zone.
    #[cfg(test)]
    pub(super) fn for_test_at(zone: &str) -> Self {
        Self {
            zone: TimeZone::get(zone).expect("it is bundled"),
            ..Self::for_test()
        }
    }

    /// Makes a page of no visitor in a language.
    #[cfg(test)]
    pub(super) fn for_test_in(language: Language) -> Self {
        Self {
            language,
            zone: TimeZone::get("Asia/Almaty").expect("it is bundled"),
            staff: None,
            csrf: String::new(),
            path: String::new(),
            htmx: false,
            institution: String::new(),
            support: String::new(),
        }
    }

    /// Returns the language's code.
    pub(crate) const fn language(&self) -> &'static str {
        self.language.code()
    }

    /// Returns the page's own path, for the query of another.
    pub(crate) fn encoded_path(&self) -> String {
        encode(&self.path)
    }

    /// Returns the language.
    pub(super) const fn in_language(&self) -> Language {
        self.language
    }

    /// Returns a text.
    pub(crate) fn t(&self, key: &str) -> String {
        self.language.text(key)
    }

    /// Returns a text with one blank filled.
    pub(crate) fn t1(&self, key: &str, name: &str, value: impl ToString) -> String {
        self.language.fill(key, &[(name, value.to_string())])
    }

    /// Says that a page shows the newest of more; nothing where it shows all.
    pub(crate) fn only_newest(&self, shown: usize, all: i64) -> Option<String> {
        let more = usize::try_from(all).is_ok_and(|all| all > shown);
        more.then(|| self.t1("only-newest-shown", "n", all))
    }

    /// Tells whether the person has a role.
    pub(crate) fn may(&self, role: &str) -> bool {
        self.staff
            .as_ref()
            .is_some_and(|staff| staff.roles.iter().any(|has| has.word() == role))
    }

    /// Returns the navigation for the person's roles.
    pub(crate) fn nav(&self) -> Vec<NavItem> {
        let (centre, proctor) = (self.may("test_centre"), self.may("proctor"));
        let entries = [
            ("/console/", "home", self.staff.is_some()),
            ("/console/wall", "wall", proctor),
            ("/console/reviews", "reviews", proctor),
            (
                "/console/people",
                "people",
                centre || self.may("administrator"),
            ),
            ("/console/rights", "rights", self.may("administrator")),
            ("/console/exams", "exams", centre),
            ("/console/acts", "acts", centre || proctor),
        ];
        entries
            .into_iter()
            .filter(|(_, _, shown)| *shown)
            .map(|(href, key, _)| NavItem {
                href,
                text: self.t(key),
                current: if href == "/console/" {
                    self.path == href
                } else {
                    self.path.starts_with(href)
                },
            })
            .collect()
    }

    /// Returns the languages to switch between.
    pub(crate) fn languages(&self) -> Vec<LanguageItem> {
        Language::ALL
            .into_iter()
            .map(|one| LanguageItem {
                code: one.code(),
                name: one.name(),
                current: one == self.language,
            })
            .collect()
    }

    /// Returns a moment in the institution's zone, by a `strftime` pattern; empty for none.
    pub(super) fn moment(&self, ms: Option<i64>, pattern: &str) -> String {
        ms.and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .map(|at| at.to_zoned(self.zone.clone()).strftime(pattern).to_string())
            .unwrap_or_default()
    }

    /// Returns date and time.
    pub(super) fn date_time(&self, ms: Option<i64>) -> String {
        self.moment(ms, "%d.%m.%Y %H:%M")
    }

    /// Returns the time of day with seconds.
    pub(super) fn clock(&self, ms: Option<i64>) -> String {
        self.moment(ms, "%H:%M:%S")
    }

    /// Returns the institution's zone.
    pub(super) const fn zone(&self) -> &TimeZone {
        &self.zone
    }
}

/// Encodes a text for a query.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&hex::encode_upper([byte]));
        }
    }
    out
}

/// Makes a response of a page.
///
/// # Errors
/// Where the template fails.
pub(super) fn show(template: &impl Template) -> Answer {
    Ok(Html(template.render()?).into_response())
}
