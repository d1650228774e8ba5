//! A moment as an institution's people read it: server time in their zone, with the offset.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use qorgan_protocol::time::WallTime;
use thiserror::Error;

use crate::language::Language;

/// Is a moment of the server's clock in the institution's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    local: DateTime,
    offset_minutes: i16,
}

/// Says why a moment cannot be written down.
#[derive(Debug, Error)]
pub enum MomentError {
    /// The moment lies outside the calendar, or the offset outside the globe.
    #[error("{at} at an offset of {offset_minutes} min is no civil date")]
    OutOfRange {
        /// The moment that was asked for.
        at: WallTime,
        /// The offset from UTC that was asked for.
        offset_minutes: i16,
        /// What the calendar says.
        #[source]
        source: jiff::Error,
    },
}

impl Moment {
    /// Reads `at` in the zone that is `offset_minutes` ahead of UTC at that moment.
    ///
    /// # Errors
    /// Returns [`MomentError`] when the result is no date between the years −9999 and 9999.
    pub fn new(at: WallTime, offset_minutes: i16) -> Result<Self, MomentError> {
        let refuse = |source| MomentError::OutOfRange {
            at,
            offset_minutes,
            source,
        };
        let offset = Offset::from_seconds(i32::from(offset_minutes) * 60).map_err(refuse)?;
        let instant = Timestamp::from_millisecond(at.unix_ms()).map_err(refuse)?;
        Ok(Self {
            local: offset.to_datetime(instant),
            offset_minutes,
        })
    }

    /// Returns the civil date and time in the zone.
    pub(crate) const fn local(self) -> DateTime {
        self.local
    }

    /// Returns how far the zone is ahead of UTC, in minutes.
    pub(crate) const fn offset_minutes(self) -> i16 {
        self.offset_minutes
    }

    /// Returns the date as `language` writes it in a form.
    #[must_use]
    pub fn date_text(self, language: Language) -> String {
        let local = self.local;
        match language {
            Language::Kazakh | Language::Russian => {
                format!(
                    "{:02}.{:02}.{:04}",
                    local.day(),
                    local.month(),
                    local.year()
                )
            }
            Language::English => local.strftime("%-d %B %Y").to_string(),
        }
    }

    /// Returns the time of day with the offset from UTC: `14:05:09 (UTC+05:00)`.
    #[must_use]
    pub fn time_text(self) -> String {
        let local = self.local;
        format!(
            "{:02}:{:02}:{:02} (UTC{})",
            local.hour(),
            local.minute(),
            local.second(),
            offset_text(self.offset_minutes, ":", "")
        )
    }

    /// Returns the date string of ISO 32000: `D:20261123140509+05'00'`.
    pub(crate) fn pdf_text(self) -> String {
        format!(
            "D:{}{}",
            self.local.strftime("%Y%m%d%H%M%S"),
            offset_text(self.offset_minutes, "'", "'")
        )
    }
}

/// Writes an offset as sign, hours, `between`, minutes, `end`.
fn offset_text(minutes: i16, between: &str, end: &str) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let size = minutes.unsigned_abs();
    format!("{sign}{:02}{between}{:02}{end}", size / 60, size % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_the_zone_with_its_offset() {
        let at = WallTime::from_unix_ms(1_795_424_709_000);

        let moment = Moment::new(at, 300).expect("a civil date");

        assert_eq!(moment.date_text(Language::Kazakh), "23.11.2026");
        assert_eq!(moment.date_text(Language::English), "23 November 2026");
        assert_eq!(moment.time_text(), "14:05:09 (UTC+05:00)");
        assert_eq!(moment.pdf_text(), "D:20261123140509+05'00'");
    }

    #[test]
    fn an_offset_west_of_greenwich_keeps_its_sign() {
        let moment = Moment::new(WallTime::from_unix_ms(0), -210).expect("a civil date");

        assert_eq!(moment.time_text(), "20:30:00 (UTC-03:30)");
    }

    #[test]
    fn a_moment_outside_the_calendar_is_refused() {
        let refused = Moment::new(WallTime::from_unix_ms(i64::MAX), 0);

        assert!(matches!(refused, Err(MomentError::OutOfRange { .. })));
    }
}
