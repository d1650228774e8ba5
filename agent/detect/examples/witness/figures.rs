//! Rates with what the number of trials leaves open, and the table that is printed and kept.

use std::fmt::Write as _;

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rate {
    pub(crate) hits: u32,
    pub(crate) of: u32,
}

impl Rate {
    pub(crate) fn count(found: impl IntoIterator<Item = bool>) -> Self {
        let mut rate = Self::default();
        for hit in found {
            rate.of += 1;
            rate.hits += u32::from(hit);
        }
        rate
    }

    pub(crate) fn share(self) -> f64 {
        f64::from(self.hits) / f64::from(self.of.max(1))
    }

    /// Wilson's interval at 95 %.
    pub(crate) fn interval(self) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 1.0);
        }
        let (n, p) = (f64::from(self.of), self.share());
        let squared = SURE * SURE;
        let middle = (p + squared / (2.0 * n)) / (1.0 + squared / n);
        let half =
            SURE / (1.0 + squared / n) * (p * (1.0 - p) / n + squared / (4.0 * n * n)).sqrt();
        ((middle - half).max(0.0), (middle + half).min(1.0))
    }

    /// `97 % (86 to 99), 35 of 36`
    pub(crate) fn words(self) -> String {
        if self.of == 0 {
            return "not measured".to_owned();
        }
        let (low, high) = self.interval();
        format!(
            "{:.0} % ({:.0} to {:.0}), {} of {}",
            self.share() * 100.0,
            low * 100.0,
            high * 100.0,
            self.hits,
            self.of
        )
    }

    /// Says whether so many trials show that at least `aim` are found.
    pub(crate) fn against(self, aim: f64) -> String {
        if self.of == 0 {
            return "not measured".to_owned();
        }
        if self.interval().0 >= aim {
            return "met".to_owned();
        }
        if self.share() < aim {
            return "MISSED".to_owned();
        }
        let needed = SURE * SURE * aim / (1.0 - aim);
        format!("met here, not proved: that takes {needed:.0} clips without a miss")
    }
}

/// Events an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Hourly {
    pub(crate) events: u32,
    pub(crate) minutes: f64,
}

impl Hourly {
    pub(crate) fn rate(self) -> f64 {
        f64::from(self.events) * 60.0 / self.minutes.max(1e-9)
    }

    /// Byar's interval at 95 % for events that come by themselves.
    pub(crate) fn interval(self) -> (f64, f64) {
        let of = |events: f64, sign: f64| {
            let part = 1.0 - 1.0 / (9.0 * events) + sign * SURE / (3.0 * events.sqrt());
            events * part.max(0.0).powi(3) * 60.0 / self.minutes.max(1e-9)
        };
        let events = f64::from(self.events);
        let low = if self.events == 0 {
            0.0
        } else {
            of(events, -1.0)
        };
        (low, of(events + 1.0, 1.0))
    }

    /// `0.5 (0.0 to 2.6), 1 in 2.1 h`
    pub(crate) fn words(self) -> String {
        if self.minutes <= 0.0 {
            return "not measured".to_owned();
        }
        let (low, high) = self.interval();
        format!(
            "{:.1} ({low:.1} to {high:.1}), {} in {:.1} h",
            self.rate(),
            self.events,
            self.minutes / 60.0
        )
    }

    pub(crate) fn against(self, most: f64) -> &'static str {
        let (low, high) = self.interval();
        if high <= most {
            "met"
        } else if low > most || self.rate() > most {
            "MISSED"
        } else {
            "met here, not proved: too few hours"
        }
    }
}

/// Returns the value that `percent` of the values do not exceed.
pub(crate) fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied()
}

/// `1.5 s, 3.0 s`: the median and what 95 % do not exceed.
pub(crate) fn delays(seconds: &[f64]) -> String {
    match (percentile(seconds, 50), percentile(seconds, 95)) {
        (Some(median), Some(most)) => format!("{median:.1} s, {most:.1} s"),
        (None, _) | (_, None) => "-".to_owned(),
    }
}

/// The equal error rate of likenesses, and where it lies: as many of `own` below as of `others` not
/// below.
pub(crate) fn equal_error(own: &[f32], others: &[f32]) -> (f64, f32) {
    let rates = own.iter().chain(others).map(|bound| {
        let missed = Rate::count(own.iter().map(|one| one < bound)).share();
        let taken = Rate::count(others.iter().map(|one| one >= bound)).share();
        (f64::midpoint(missed, taken), (missed - taken).abs(), *bound)
    });
    let best = rates.min_by(|one, two| one.1.total_cmp(&two.1));
    best.map_or((1.0, 0.0), |(rate, _, bound)| (rate, bound))
}

/// Lines of Markdown, printed as they come.
#[derive(Debug, Default)]
pub(crate) struct Page(pub(crate) String);

impl Page {
    pub(crate) fn line(&mut self, line: &str) {
        println!("{line}");
        // Writing into a text cannot fail.
        let _written = writeln!(self.0, "{line}").is_ok();
    }

    pub(crate) fn heading(&mut self, words: &str) {
        self.line("");
        self.line(&format!("## {words}"));
        self.line("");
    }

    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        self.line(&format!("| {} |", head.join(" | ")));
        self.line(&format!("|{}", "---|".repeat(head.len())));
        for row in rows {
            self.line(&format!("| {} |", row.join(" | ")));
        }
    }
}

/// 95 % of a bell curve lie so many deviations about its middle.
const SURE: f64 = 1.96;
