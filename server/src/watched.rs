//! What is watched for in an attempt, in a candidate's words: it stands under the consent, so that
//! nothing is watched for that was not told before a device opened.

use qorgan_protocol::incident::{IncidentKind, Sensitivity, WatchPolicy};
use qorgan_protocol::wire::TextIn;

use crate::console::Language;

/// Adds to a consent what is watched for in this attempt, and what does not count in it.
pub(crate) fn told(consent: TextIn, watch: &WatchPolicy) -> TextIn {
    let add = |text: String, language| format!("{text}\n\n{}", paragraphs(language, watch));
    TextIn {
        kk: add(consent.kk, Language::Kazakh),
        ru: add(consent.ru, Language::Russian),
        en: add(consent.en, Language::English),
    }
}

fn paragraphs(language: Language, watch: &WatchPolicy) -> String {
    let name = |kind: IncidentKind| language.text(&format!("kind-{}", kind.word()));
    let (counts, not): (Vec<_>, Vec<_>) =
        WatchPolicy::settable().partition(|kind| watch.counts(*kind));
    let words = counts.into_iter().map(|kind| {
        let sensitivity = watch.sensitivity(kind);
        match sensitivity {
            Sensitivity::Off | Sensitivity::Normal => name(kind),
            Sensitivity::Low | Sensitivity::High => {
                let how = language.text(&format!("told-{}", sensitivity.word()));
                format!("{} ({how})", name(kind))
            }
        }
    });
    let listed = words.collect::<Vec<_>>().join("; ");
    let mut told = language.fill("told-watched", &[("list", listed)]);
    if watch.counts(IncidentKind::PresentationAttack) {
        told.push_str("\n\n");
        told.push_str(&language.text("told-liveness"));
    }
    if !not.is_empty() {
        let listed = not.into_iter().map(name).collect::<Vec<_>>().join("; ");
        told.push_str("\n\n");
        told.push_str(&language.fill("told-not-counted", &[("list", listed)]));
    }
    told
}

#[cfg(test)]
mod tests {
    use qorgan_protocol::incident::Allowance;

    use super::*;

    #[test]
    fn a_candidate_is_told_each_kind_that_counts_and_each_that_does_not() {
        let consent = TextIn {
            kk: "Келісім".to_owned(),
            ru: "Согласие".to_owned(),
            en: "Consent".to_owned(),
        };
        let mut watch = WatchPolicy::remote().granting(&[Allowance::ReadingAloud]);
        assert!(watch.set(IncidentKind::LookingAway, Sensitivity::Low));
        let told = told(consent, &watch);
        for (text, language) in [
            (&told.kk, Language::Kazakh),
            (&told.ru, Language::Russian),
            (&told.en, Language::English),
        ] {
            let parts: Vec<_> = text.split("\n\n").collect();
            let [_consent, counts, liveness, not] = parts.as_slice() else {
                panic!("{text}")
            };
            assert_eq!(*liveness, language.text("told-liveness"));
            for kind in WatchPolicy::settable() {
                let name = language.text(&format!("kind-{}", kind.word()));
                let (here, there) = if watch.counts(kind) {
                    (counts, not)
                } else {
                    (not, counts)
                };
                assert!(here.contains(&name), "{kind:?}: {text}");
                assert!(!there.contains(&name), "{kind:?}: {text}");
            }
        }
        assert!(told.en.contains("Looking away (only when it is plain)"));
    }

    #[test]
    fn where_everything_counts_no_exception_is_told() {
        let told = paragraphs(Language::English, &WatchPolicy::remote());
        assert_eq!(told.matches("\n\n").count(), 1, "{told}");
    }

    #[test]
    fn where_no_face_is_put_to_the_test_nobody_is_told_of_it() {
        let told = paragraphs(Language::English, &WatchPolicy::on_site());
        assert!(!told.contains(&Language::English.text("told-liveness")));
    }
}
