//! Why an incident was raised, in plain words: what its kind means, what was named, how sure the
//! detector was, and what of the recording shows it.

use qorgan_protocol::incident::IncidentKind;
use qorgan_server_core::form1::{Form1, printed_detail};
use qorgan_server_core::review::IncidentVerdict;

use super::page::Page;
use super::store::IncidentRow;

/// Puts a row's reason into words.
pub(super) fn reason(page: &Page, row: &IncidentRow) -> String {
    let mut words = vec![page.t(&format!("why-{}", row.kind))];
    let named = IncidentKind::from_word(&row.kind);
    let named = named.map_or("", |kind| printed_detail(kind, &row.detail));
    if !named.is_empty() {
        words.push(page.t1("why-named", "what", named));
    }
    if let (Some(score), Some(threshold)) = (row.score, row.threshold) {
        let hundredths = |value: f64| format!("{:.0}", value * 100.0);
        let blanks = [
            ("score", hundredths(score)),
            ("threshold", hundredths(threshold)),
        ];
        words.push(page.in_language().fill("why-scored", &blanks));
    }
    words.join(" ")
}

/// Returns what programs say of it, for whoever checks: figures, detector and the models' hashes.
pub(super) fn particulars(row: &IncidentRow) -> String {
    let named = IncidentKind::from_word(&row.kind);
    let printed = named.map_or("", |kind| printed_detail(kind, &row.detail));
    let figures = if printed.is_empty() {
        row.detail.as_str()
    } else {
        ""
    };
    let parts = [figures, row.detector.as_str(), row.models.as_str()];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" · ")
}

/// What an act would say as the incidents are judged.
#[derive(Debug, Default)]
pub(super) struct Foreseen {
    /// The boxes of Form 1 that are ticked.
    pub(super) boxes: Vec<String>,
    /// What stands on the line for other breaches, and how often.
    pub(super) other: Vec<(String, usize)>,
    /// Whether another person in the seat is confirmed, which belongs on Form 3.
    pub(super) form3: bool,
}

impl Foreseen {
    /// Reads the confirmed incidents as the act does.
    pub(super) fn of(page: &Page, rows: &[IncidentRow]) -> Self {
        let confirmed = rows.iter().filter(|row| {
            let judged = row.judgement.as_ref();
            judged.is_some_and(|one| one.verdict == IncidentVerdict::Confirmed)
        });
        let kinds = confirmed.filter_map(|row| IncidentKind::from_word(&row.kind));
        let form = Form1::of(kinds);
        let name = |kind: &IncidentKind| page.t(&format!("kind-{}", kind.word()));
        Self {
            boxes: form
                .boxes
                .iter()
                .map(|one| page.t(&format!("box-{}", one.word())))
                .collect(),
            form3: form.other.contains_key(&IncidentKind::Impersonation),
            other: form
                .other
                .iter()
                .map(|(kind, count)| (name(kind), *count))
                .collect(),
        }
    }

    /// Tells whether an act would state nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.boxes.is_empty() && self.other.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use qorgan_protocol::ids::{Epoch, IncidentId, PersonId};
    use qorgan_protocol::time::WallTime;
    use qorgan_server_core::review::Judgement;

    use super::*;

    fn row(kind: IncidentKind, verdict: Option<IncidentVerdict>) -> IncidentRow {
        let at = WallTime::from_unix_ms(1);
        IncidentRow {
            id: IncidentId::new(at, [1; 10]),
            kind: kind.word().to_owned(),
            severity: 0.8,
            began_ms: 1,
            ended_ms: None,
            began_us: 0,
            epoch: Epoch::FIRST,
            stream: None,
            observations: 1,
            detector: "second-face/1".to_owned(),
            models: "a.onnx 00ff".to_owned(),
            score: Some(0.871),
            threshold: Some(0.4),
            detail: "2 faces".to_owned(),
            judgement: verdict.map(|verdict| Judgement {
                verdict,
                by: PersonId::new(at, [1; 10]),
                at,
                note: String::new(),
            }),
        }
    }

    #[test]
    fn a_reason_is_plain_words_with_the_score_and_programs_words_stand_apart() {
        let page = Page::for_test();
        let second = row(IncidentKind::SecondFace, None);
        let words = reason(&page, &second);
        assert!(words.contains("87") && words.contains("40"), "{words}");
        assert!(!words.contains("faces"), "{words}");
        assert_eq!(
            particulars(&second),
            "2 faces · second-face/1 · a.onnx 00ff"
        );

        let mut window = row(IncidentKind::WindowSwitch, None);
        (window.score, window.threshold) = (None, None);
        window.detail = "switched-away Firefox".to_owned();
        assert!(reason(&page, &window).contains("Firefox"));
        assert!(!particulars(&window).contains("Firefox"));
    }

    #[test]
    fn the_boxes_that_follow_are_those_of_what_was_confirmed_alone() {
        let page = Page::for_test();
        let yes = Some(IncidentVerdict::Confirmed);
        let rows = [
            row(IncidentKind::SecondFace, yes),
            row(IncidentKind::AnotherVoice, yes),
            row(
                IncidentKind::SecondDisplay,
                Some(IncidentVerdict::Dismissed),
            ),
            row(IncidentKind::NobodyInView, None),
            row(IncidentKind::Impersonation, yes),
        ];
        let foreseen = Foreseen::of(&page, &rows);
        assert_eq!(foreseen.boxes, [page.t("box-talking")]);
        assert_eq!(foreseen.other, [(page.t("kind-impersonation"), 1)]);
        assert!(foreseen.form3 && !foreseen.is_empty());
        assert!(Foreseen::of(&page, &rows[2..4]).is_empty());
    }
}
