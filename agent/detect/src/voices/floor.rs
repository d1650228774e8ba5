//! How loud sound is, and how loud the room is without speech.

/// Follows the level of what is no speech.
#[derive(Debug, Default)]
pub(crate) struct Floor {
    level_db: Option<f64>,
}

impl Floor {
    /// Takes a frame.
    pub(crate) fn see(&mut self, frame: &[i16], is_speech: bool) {
        if is_speech {
            return;
        }
        let level = level_db(frame);
        let before = self.level_db.unwrap_or(level);
        self.level_db = Some(before + (level - before) * FOLLOWS);
    }

    /// Returns the level, 0 dB before the first frame.
    pub(crate) fn level_db(&self) -> f64 {
        self.level_db.unwrap_or_default()
    }
}

/// Returns the level in dB over one step of a sample; silence is 0 dB.
pub(crate) fn level_db(samples: &[i16]) -> f64 {
    let (mut squares, mut all) = (1.0, 1.0);
    for sample in samples {
        squares += f64::from(*sample).powi(2);
        all += 1.0;
    }
    10.0 * f64::log10(squares / all)
}

/// A second or so.
const FOLLOWS: f64 = 0.03;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_follows_the_room_and_not_the_speech() {
        let mut floor = Floor::default();
        for n in 0..400 {
            let is_speech = n % 3 == 0;
            floor.see(&[if is_speech { 3_000 } else { 10 }; 512], is_speech);
        }
        assert!(
            (floor.level_db() - 20.0).abs() < 0.1,
            "{}",
            floor.level_db()
        );
        assert!(level_db(&[]).abs() < 1e-9);
        assert!((level_db(&[i16::MIN; 9_999]) - 90.3).abs() < 0.1);
    }
}
