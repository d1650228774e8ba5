//! The few casts between real and whole numbers, each held to its range first.

/// Rounds to the nearest byte; what is no number becomes 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "held to 0..=255 before the cast"
)]
pub(crate) const fn byte(value: f32) -> u8 {
    (value + 0.5).clamp(0.0, 255.0) as u8
}

/// Returns the whole part, held to `0..=most`; what is no number becomes 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from a real number saturates, and a negative one is 0"
)]
pub(crate) fn whole(value: f32, most: usize) -> usize {
    (value as usize).min(most)
}

/// Returns the real number nearest to a count below 2^24.
pub(crate) fn real(count: usize) -> f32 {
    let low = u16::try_from(count & 0xFFFF).unwrap_or_default();
    let high = u16::try_from(count >> 16).unwrap_or(u16::MAX);
    f32::from(high) * 65_536.0 + f32::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_held_to_their_range() {
        assert_eq!(
            [byte(-3.0), byte(12.5), byte(999.0), byte(f32::NAN)],
            [0, 13, 255, 0]
        );
        assert_eq!([whole(-1.0, 9), whole(3.9, 9), whole(99.0, 9)], [0, 3, 9]);
        assert!((real(70_000) - 70_000.0).abs() < f32::EPSILON);
    }
}
