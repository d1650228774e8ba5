//! When a sitting may be set, and what an exam may be called.

use qorgan_protocol::time::WallTime;

use crate::sitting::{SittingFault, fields};

/// Returns what is wrong with a start window, seen at `now`: the console's form and the
/// command line ask the same.
#[must_use]
//= tests/data/sop-2-28.md#8-sitting-times
pub fn check_window(
    opens: WallTime,
    closes: WallTime,
    now: WallTime,
) -> Vec<(&'static str, SittingFault)> {
    let after =
        |later: WallTime, earlier: WallTime| later.unix_ms().saturating_sub(earlier.unix_ms());
    let max = WINDOW_MS_MAX / DAY_MS;
    let wrong = [
        (
            after(now, opens) > DAY_MS,
            fields::OPENS,
            SittingFault::Opened,
        ),
        (
            after(opens, now) > AHEAD_MS_MAX,
            fields::OPENS,
            SittingFault::Far,
        ),
        (
            after(closes, opens) <= 0,
            fields::CLOSES,
            SittingFault::Order,
        ),
        (after(closes, now) <= 0, fields::CLOSES, SittingFault::Past),
        (
            after(closes, now) > AHEAD_MS_MAX,
            fields::CLOSES,
            SittingFault::Far,
        ),
        (
            after(closes, opens) > WINDOW_MS_MAX,
            fields::CLOSES,
            SittingFault::Window { max },
        ),
    ];
    let wrong = wrong.into_iter().filter(|(is, ..)| *is);
    wrong.map(|(_, name, fault)| (name, fault)).collect()
}

/// An exam as somebody typed it, its blanks made one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExamTexts {
    /// The title.
    pub title: String,
    /// The discipline.
    pub discipline: String,
    /// The discipline's code; may be empty.
    pub code: String,
}

/// Reads what an exam is called: the console's form and the command line ask the same.
///
/// # Errors
/// Every fault, with its field's name.
pub fn read_exam(
    title: &str,
    discipline: &str,
    code: &str,
) -> Result<ExamTexts, Vec<(&'static str, SittingFault)>> {
    let mut faults = Vec::new();
    let mut text = |name, typed: &str| {
        let (text, hidden) = crate::sheets::typed_line(typed);
        let max = if name == fields::CODE {
            CODE_CHARS_MAX
        } else {
            TEXT_CHARS_MAX
        };
        if let Some(hidden) = hidden {
            let code = u32::from(hidden);
            faults.push((name, SittingFault::Hidden { code }));
        } else if text.is_empty() && name != fields::CODE {
            faults.push((name, SittingFault::Empty));
        } else if text.chars().count() > max {
            faults.push((name, SittingFault::Long { max }));
        }
        text
    };
    let texts = ExamTexts {
        title: text(fields::TITLE, title),
        discipline: text(fields::DISCIPLINE, discipline),
        code: text(fields::CODE, code),
    };
    if faults.is_empty() {
        Ok(texts)
    } else {
        Err(faults)
    }
}

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// The longest start window: an exam period.
const WINDOW_MS_MAX: i64 = 31 * DAY_MS;
/// A sitting is set so long ahead at most.
const AHEAD_MS_MAX: i64 = 731 * DAY_MS;
/// The longest title or discipline, in characters.
const TEXT_CHARS_MAX: usize = 200;
/// The longest code of a discipline, in characters.
const CODE_CHARS_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    //= tests/data/sop-2-28.md#8-sitting-times
    //= type=test
    fn a_start_window_lies_near_now_and_closes_after_it_opens() {
        const HOUR: i64 = 3_600_000;
        const YEAR: i64 = 365 * 24 * HOUR;
        let now = 1_796_000_000_000;
        let told = |opens: i64, closes: i64| {
            let at = |ms: i64| WallTime::from_unix_ms(now + ms);
            check_window(at(opens), at(closes), at(0))
        };
        for (opens, closes) in [
            (-HOUR, HOUR),
            (0, HOUR),
            (YEAR, YEAR + HOUR),
            (0, 700 * HOUR),
        ] {
            assert_eq!(told(opens, closes), [], "{opens} {closes}");
        }
        let of = |faults: Vec<(&'static str, SittingFault)>| {
            faults
                .into_iter()
                .map(|(_, fault)| fault)
                .collect::<Vec<_>>()
        };
        let past = of(told(-6 * YEAR, -6 * YEAR + HOUR));
        assert_eq!(past, [SittingFault::Opened, SittingFault::Past]);
        let far = of(told(7_973 * YEAR, 7_973 * YEAR + HOUR));
        assert_eq!(far, [SittingFault::Far, SittingFault::Far]);
        assert_eq!(of(told(2 * HOUR, HOUR)), [SittingFault::Order]);
        assert_eq!(of(told(HOUR, HOUR)), [SittingFault::Order]);
        assert_eq!(
            of(told(0, 32 * 24 * HOUR)),
            [SittingFault::Window { max: 31 }]
        );
        let ends = WallTime::from_unix_ms(i64::MAX);
        assert!(!check_window(WallTime::from_unix_ms(i64::MIN), ends, ends).is_empty());
    }

    #[test]
    fn an_exam_has_a_title_that_can_be_read() {
        let texts = read_exam("  Анатомия\n I ", "Анатомия", "").expect("good");
        assert_eq!(texts.title, "Анатомия I");
        let long = "Ә".repeat(201);
        let faults = read_exam(" ", &long, "A\u{202e}1").expect_err("three faults");
        let named: Vec<_> = faults.iter().map(|(name, _)| *name).collect();
        assert_eq!(named, ["title", "discipline", "discipline_code"]);
        let faults = read_exam("t", "d", &"c".repeat(41)).expect_err("a long code");
        assert_eq!(
            faults,
            [("discipline_code", SittingFault::Long { max: 40 })]
        );
    }
}
