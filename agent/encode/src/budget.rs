//! What a screen may cost.

use std::time::Duration;

use crate::time::MediaTime;

/// A quantiser that follows what was spent.
///
/// What is spent becomes debt, the budget pays it back over time. The quantiser goes from the
/// finest to the coarsest of the profile as the debt grows to what the budget gives in [`WINDOW`],
/// and on to [`QP_LAST`] as it grows to twice that; then pictures get fewer, down to one in
/// [`SPENT_PERIOD_MAX`], and lose their fine detail. Debt beyond [`DEBT_WINDOWS_MAX`] is forgiven, so
/// that a screen which rests again is sharp again within a minute.
#[derive(Debug)]
pub(crate) struct QpBudget {
    bits_per_s: u64,
    qp_min: u8,
    qp_max: u8,
    debt_bits: u64,
    paid_to: Option<MediaTime>,
}

impl QpBudget {
    pub(crate) fn new(bits_per_s: u32, qp_min: u8, qp_max: u8) -> Self {
        let bits_per_s = u64::from(bits_per_s);
        Self {
            bits_per_s,
            qp_min,
            qp_max,
            debt_bits: 0,
            paid_to: None,
        }
    }

    pub(crate) fn pass_to(&mut self, at: MediaTime) {
        let since = self
            .paid_to
            .and_then(|before| at.since(before))
            .unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.debt_bits = self
            .debt_bits
            .saturating_sub(self.bits_per_s.saturating_mul(millis) / 1_000);
        self.paid_to = Some(at);
    }

    pub(crate) fn spend(&mut self, bytes: usize) {
        let bits = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(8);
        let most = self.window_bits().saturating_mul(DEBT_WINDOWS_MAX);
        self.debt_bits = self.debt_bits.saturating_add(bits).min(most);
    }

    pub(crate) fn qp(&self) -> u8 {
        let over_bits = self.debt_bits.saturating_sub(self.window_bits());
        if over_bits == 0 {
            self.between(self.qp_min, self.qp_max, self.debt_bits)
        } else {
            self.between(self.qp_max, self.qp_max.max(QP_LAST), over_bits)
        }
    }

    /// Returns the side in pixels of what is shown as one colour: 1 while every pixel is.
    pub(crate) fn block(&self) -> u32 {
        match self.debt_bits / self.window_bits() {
            0 | 1 => 1,
            2 => 4,
            3 => 8,
            _ => BLOCK_MAX,
        }
    }

    /// Tells whether a picture costs more than should be sent of it.
    pub(crate) fn is_spike(&self, bytes: usize) -> bool {
        let bits = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(8);
        bits > self.window_bits().saturating_mul(SPIKE_WINDOWS)
    }

    /// Returns the quantiser at a share of the window between two others.
    fn between(&self, from: u8, to: u8, bits: u64) -> u8 {
        let window_bits = self.window_bits();
        let range = u64::from(to.saturating_sub(from));
        let step = (bits.min(window_bits) * range).div_ceil(window_bits);
        from.saturating_add(u8::try_from(step).unwrap_or(u8::MAX))
            .min(to)
    }

    pub(crate) fn asks_to_wait(&self, last: Option<MediaTime>, at: MediaTime) -> bool {
        let limit_bits = self.window_bits() * 2;
        if self.debt_bits <= limit_bits {
            return false;
        }
        let millis = self.debt_bits.saturating_mul(1_000) / limit_bits;
        let period = Duration::from_millis(millis).min(SPENT_PERIOD_MAX);
        last.and_then(|last| at.since(last))
            .is_some_and(|since| since < period)
    }

    fn window_bits(&self) -> u64 {
        (self.bits_per_s * WINDOW.as_secs()).max(1)
    }
}

const WINDOW: Duration = Duration::from_secs(10);
/// A proctor sees a screen that never rests at least this often, whatever it costs.
const SPENT_PERIOD_MAX: Duration = Duration::from_secs(3);
/// The coarsest quantiser at which large text is still made out.
pub(crate) const QP_LAST: u8 = 48;
/// The coarsest that a screen gets: a macroblock in one colour.
pub(crate) const BLOCK_MAX: u32 = 16;
/// More debt than the budget gives in so many windows is forgiven.
const DEBT_WINDOWS_MAX: u64 = 6;
/// A page of an exam costs less than the budget gives in so many windows.
const SPIKE_WINDOWS: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantiser_follows_the_debt_and_recovers() {
        let mut budget = QpBudget::new(30_000, 30, 40);
        budget.pass_to(MediaTime::ZERO);
        assert_eq!(budget.qp(), 30);
        budget.spend(300_000 / 8);
        assert_eq!(budget.qp(), 40);
        budget.pass_to(MediaTime::from_millis(5_000));
        assert_eq!(budget.qp(), 35);
        budget.pass_to(MediaTime::from_millis(10_000));
        assert_eq!(budget.qp(), 30);
    }

    #[test]
    fn the_more_is_owed_the_longer_the_next_picture_waits() {
        let last = Some(MediaTime::ZERO);
        for (owed_bits, wait_ms) in [(600_000, 0), (900_000, 1_500), (60_000_000, 3_000)] {
            let mut budget = QpBudget::new(30_000, 30, 40);
            budget.pass_to(MediaTime::ZERO);
            budget.spend(owed_bits / 8);
            let before = MediaTime::from_millis(u64::saturating_sub(wait_ms, 1));
            assert_eq!(budget.asks_to_wait(last, before), wait_ms > 0);
            assert!(!budget.asks_to_wait(last, MediaTime::from_millis(wait_ms)));
        }
    }

    #[test]
    fn detail_goes_with_the_debt_and_comes_back_within_a_minute() {
        let mut budget = QpBudget::new(30_000, 30, 40);
        budget.pass_to(MediaTime::ZERO);
        assert_eq!((budget.block(), budget.qp()), (1, 30));
        budget.spend(20_000_000);
        assert_eq!((budget.block(), budget.qp()), (BLOCK_MAX, QP_LAST));
        budget.pass_to(MediaTime::from_millis(60_000));
        assert_eq!((budget.block(), budget.qp()), (1, 30));
    }
}
