//! A moment that somebody typed, in the institution's zone: what the clocks skip or show twice is
//! asked again with the choices.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use qorgan_protocol::time::WallTime;

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// A moment.
    At(WallTime),
    /// The clocks skip this time that day; one of these two moments is meant.
    Skipped([Choice; 2]),
    /// The clocks show this time twice that day; one of these two moments is meant.
    Twice([Choice; 2]),
    /// No date with a time.
    NoMoment,
}

/// A moment that may be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The moment.
    pub at: WallTime,
    /// Its offset, such as `+05:00`.
    pub offset: String,
    /// Date, time and offset as clocks show them, such as `2026-03-29T04:30+03:00`.
    pub text: String,
}

/// Reads a moment: with its own offset, or in `zone`. `offset` chooses where the zone's clocks leave
/// a choice.
#[must_use]
pub fn read(text: &str, zone: &TimeZone, offset: &str) -> Typed {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Typed::At(WallTime::from_unix_ms(at.as_millisecond()));
    }
    let Ok(civil) = text.parse::<DateTime>() else {
        return Typed::NoMoment;
    };
    let (choices, twice) = match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => {
            return choice(civil, offset, zone).map_or(Typed::NoMoment, |one| Typed::At(one.at));
        }
        AmbiguousOffset::Gap { before, after } => ([after, before], false),
        AmbiguousOffset::Fold { before, after } => ([before, after], true),
    };
    let [Some(first), Some(second)] = choices.map(|offset| choice(civil, offset, zone)) else {
        return Typed::NoMoment;
    };
    let chosen = [&first, &second]
        .into_iter()
        .find(|one| one.offset == offset);
    match chosen {
        Some(one) => Typed::At(one.at),
        None if twice => Typed::Twice([first, second]),
        None => Typed::Skipped([first, second]),
    }
}

fn choice(civil: DateTime, offset: Offset, zone: &TimeZone) -> Option<Choice> {
    let at = offset.to_timestamp(civil).ok()?;
    let zoned = at.to_zoned(zone.clone());
    Some(Choice {
        at: WallTime::from_unix_ms(at.as_millisecond()),
        offset: zoned.strftime("%:z").to_string(),
        text: zoned.strftime("%Y-%m-%dT%H:%M%:z").to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("it is bundled")
    }

    #[test]
    fn a_moment_is_read_in_the_zone_or_with_its_own_offset() {
        let almaty = zone("Asia/Almaty");
        let at = read("2026-06-01T09:00", &almaty, "");
        assert_eq!(at, read("2026-06-01T09:00+05:00", &almaty, ""));
        assert!(matches!(at, Typed::At(_)));
        for none in ["", "tomorrow", "2026-06-01", "2026-02-30T09:00"] {
            assert!(!matches!(
                read(none, &almaty, ""),
                Typed::Skipped(_) | Typed::Twice(_)
            ));
        }
        assert_eq!(read("2026-02-30T09:00", &almaty, ""), Typed::NoMoment);
    }

    #[test]
    fn a_time_that_the_clocks_skip_is_asked_again_with_both_moments() {
        let berlin = zone("Europe/Berlin");
        let Typed::Skipped(choices) = read("2026-03-29T02:30", &berlin, "") else {
            panic!("the clocks go from 2 to 3");
        };
        let texts = choices.clone().map(|one| one.text);
        assert_eq!(texts, ["2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00"]);
        for one in choices {
            assert_eq!(
                read("2026-03-29T02:30", &berlin, &one.offset),
                Typed::At(one.at)
            );
            assert_eq!(read(&one.text, &berlin, ""), Typed::At(one.at));
        }
    }

    #[test]
    fn a_time_that_comes_twice_is_asked_again_with_both_moments() {
        // Kazakhstan's one time for all took an hour back on 1 March 2024.
        let almaty = zone("Asia/Almaty");
        let Typed::Twice(choices) = read("2024-02-29T23:30", &almaty, "") else {
            panic!("the hour before midnight came twice");
        };
        let texts = choices.clone().map(|one| one.text);
        assert_eq!(texts, ["2024-02-29T23:30+06:00", "2024-02-29T23:30+05:00"]);
        for one in choices {
            assert_eq!(
                read("2024-02-29T23:30", &almaty, &one.offset),
                Typed::At(one.at)
            );
        }
        assert!(matches!(
            read("2024-02-29T23:30", &almaty, "+09:00"),
            Typed::Twice(_)
        ));
    }
}
