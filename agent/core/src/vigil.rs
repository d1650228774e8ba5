//! How much is looked at by what the machine can carry, and saying so where something is not.
//!
//! Recording and responses come first: what looks runs beside them, gives looks up before it delays
//! anything, and leaves parts out in the order of [`Effort`] while it takes too much of a core.
//!
//! # Invariants
//! * What is left out for longer than [`SAY_AFTER`] is said, with when it began and when it ended. It
//!   is a fact about the machine and no word about the candidate.
//! * Parts come back in the opposite order, one at a time, after [`CALM`] of little to do: a machine at
//!   its limit does not swing.

use core::time::Duration;

use qorgan_protocol::incident::{Edge, IncidentKind};
use qorgan_protocol::time::Now;

use crate::debounce::Debouncer;
use crate::sighting::Sighting;

/// What is looked at, from everything to least; each step leaves out what those before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Effort {
    /// Everything.
    #[default]
    Full,
    /// Things in the hand are not looked for: they are weak evidence.
    NoThings,
    /// Faces are looked for once: no second look at a larger picture.
    QuickFaces,
    /// Where head and eyes point is not read.
    NoAttention,
    /// Who sits there is not compared.
    NoIdentity,
    /// Faces are looked for every other second.
    SeldomFaces,
}

impl Effort {
    /// Every effort, from everything to least.
    pub const ALL: [Self; 6] = [
        Self::Full,
        Self::NoThings,
        Self::QuickFaces,
        Self::NoAttention,
        Self::NoIdentity,
        Self::SeldomFaces,
    ];

    /// Tells whether what looks for `kind` is left out.
    #[must_use]
    pub fn leaves_out(self, kind: IncidentKind) -> bool {
        (kind == IncidentKind::PhoneInView && self >= Self::NoThings)
            || (kind == IncidentKind::LookingAway && self >= Self::NoAttention)
            || (kind == IncidentKind::Impersonation && self >= Self::NoIdentity)
    }

    fn less(self) -> Self {
        let after = Self::ALL.into_iter().find(|effort| *effort > self);
        after.unwrap_or(self)
    }

    fn more(self) -> Self {
        let before = Self::ALL.into_iter().rev().find(|effort| *effort < self);
        before.unwrap_or(self)
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Full => "nothing left out",
            Self::NoThings => "no things in the hand",
            Self::QuickFaces => "no things, no second look at faces",
            Self::NoAttention => "no things, no second look at faces, no attention",
            Self::NoIdentity => "no things, no second look at faces, no attention, no identity",
            Self::SeldomFaces => "faces every other second, nothing else of them",
        }
    }
}

/// Watches over the detectors of one device.
#[derive(Debug)]
pub struct Vigil {
    effort: Effort,
    /// Since when time is counted, and how much of it was spent looking.
    window: Option<(Now, Duration)>,
    calm: Duration,
    missing: Vec<&'static str>,
    failed: Option<Now>,
    /// How long samples may be given up before something is not looked at.
    patience: Duration,
    given_up: Option<Now>,
    lapsed: Option<Now>,
    debouncer: Debouncer,
}

impl Vigil {
    /// Watches over eyes, which take the newest picture and need one a second.
    #[must_use]
    pub const fn of_eyes() -> Self {
        Self::new(PICTURES_PATIENCE)
    }

    /// Watches over ears, to which no piece of sound may be lost.
    #[must_use]
    pub const fn of_ears() -> Self {
        Self::new(Duration::ZERO)
    }

    const fn new(patience: Duration) -> Self {
        Self {
            effort: Effort::Full,
            window: None,
            calm: Duration::ZERO,
            missing: Vec::new(),
            failed: None,
            patience,
            given_up: None,
            lapsed: None,
            debouncer: Debouncer::new(SAY_AFTER, END_AFTER),
        }
    }

    /// Notes that a detector cannot run at all, by what it looks for.
    pub fn cannot(&mut self, what: &'static str) {
        if !self.missing.contains(&what) {
            self.missing.push(what);
        }
    }

    /// Notes that a detector could not look at something.
    pub const fn failed(&mut self, now: Now) {
        self.failed = Some(now);
    }

    /// Takes how long a look took that ended now; returns what to look at from here on.
    pub fn looked(&mut self, now: Now, took: Duration) -> Effort {
        let (since, busy) = self.window.unwrap_or((now, Duration::ZERO));
        let busy = busy.saturating_add(took);
        let elapsed = now.since(since);
        if elapsed < WINDOW {
            self.window = Some((since, busy));
            return self.effort;
        }
        self.window = Some((now, Duration::ZERO));
        let share = busy.as_secs_f64() / elapsed.as_secs_f64();
        if share > BUSY_SHARE {
            self.effort = self.effort.less();
            self.calm = Duration::ZERO;
        } else if share < CALM_SHARE {
            self.calm = self.calm.saturating_add(elapsed);
        } else {
            self.calm = Duration::ZERO;
        }
        if self.calm >= CALM {
            self.effort = self.effort.more();
            self.calm = Duration::ZERO;
        }
        self.effort
    }

    /// Takes whether a sample that was captured now was taken or given up; returns what to say.
    pub fn offered(&mut self, now: Now, taken: bool) -> Option<Sighting> {
        if taken {
            self.given_up = None;
        } else {
            self.given_up.get_or_insert(now);
        }
        let lapse = self.lapse(now);
        if lapse.is_some() {
            self.lapsed = Some(now);
        }
        let lapses = self.lapsed.is_some_and(|last| now.since(last) < HOLD);
        let edge = self.debouncer.see(now, lapses)?;
        let detail = match edge {
            Edge::Ended => "everything is looked at again".to_owned(),
            Edge::Began | Edge::Holds | Edge::Moment => {
                lapse.unwrap_or_else(|| "not everything was looked at".to_owned())
            }
        };
        let kind = IncidentKind::NotWatched;
        Some(Sighting::fact(kind, edge, now, NAME, detail))
    }

    /// Returns what is not looked at, and why.
    fn lapse(&self, now: Now) -> Option<String> {
        if !self.missing.is_empty() {
            return Some(format!("no detector runs for: {}", self.missing.join(", ")));
        }
        if self.failed.is_some_and(|failed| now.since(failed) < HOLD) {
            return Some("a detector fails".to_owned());
        }
        let given_up = |since: Now| now.since(since) >= self.patience;
        if self.given_up.is_some_and(given_up) {
            return Some("the machine is too busy to look".to_owned());
        }
        (self.effort != Effort::Full)
            .then(|| format!("the machine is busy: {}", self.effort.words()))
    }
}

const NAME: &str = "vigil/1";
/// How long something is left out before it is said.
pub const SAY_AFTER: Duration = Duration::from_secs(5);
const END_AFTER: Duration = Duration::from_secs(10);
/// A lapse that comes back within this time is one.
const HOLD: Duration = Duration::from_secs(3);
/// A look at faces is due each second.
const PICTURES_PATIENCE: Duration = Duration::from_secs(3);
const WINDOW: Duration = Duration::from_secs(5);
/// The eyes' own share of a core: beside two encoders, a kiosk and the sound a small laptop has no
/// more to give.
const BUSY_SHARE: f64 = 0.4;
const CALM_SHARE: f64 = 0.15;
/// How long there is little to do until a part comes back.
pub const CALM: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_keeps_up_says_nothing_in_an_hour() {
        let mut vigil = Vigil::of_eyes();
        // Fifteen pictures a second; one look of 70 ms, during which one picture is given up.
        for n in 0..15 * 3_600_u64 {
            let at = at(n * 1_000 / 15);
            assert_eq!(vigil.offered(at, n % 15 != 1), None, "{n}");
            let took = Duration::from_millis(if n % 15 == 0 { 70 } else { 1 });
            assert_eq!(vigil.looked(at, took), Effort::Full);
        }
    }

    #[test]
    fn parts_are_left_out_in_their_order_and_come_back_one_at_a_time() {
        let mut vigil = Vigil::of_eyes();
        let mut efforts = vec![Effort::Full];
        for second in 0..600_u64 {
            let took = if second < 60 { 700 } else { 40 };
            let effort = vigil.looked(at(second * 1_000), Duration::from_millis(took));
            if efforts.last() != Some(&effort) {
                efforts.push(effort);
            }
        }
        let down = Effort::ALL.into_iter();
        let up = Effort::ALL.into_iter().rev().skip(1);
        assert_eq!(efforts, down.chain(up).collect::<Vec<_>>());
    }

    #[test]
    fn things_go_before_attention_before_identity_and_faces_never_do() {
        for effort in Effort::ALL {
            let phone = effort.leaves_out(IncidentKind::PhoneInView);
            assert_eq!(phone, effort > Effort::Full);
            let away = effort.leaves_out(IncidentKind::LookingAway);
            let another = effort.leaves_out(IncidentKind::Impersonation);
            assert_eq!(away, effort >= Effort::NoAttention);
            assert!(!another || away);
            for kind in [IncidentKind::NobodyInView, IncidentKind::SecondFace] {
                assert!(!effort.leaves_out(kind));
            }
        }
    }

    #[test]
    fn a_busy_machine_says_what_it_leaves_out_and_when_it_looks_again() {
        let mut vigil = Vigil::of_eyes();
        let mut said = Vec::new();
        for second in 0..400_u64 {
            let took = if second < 8 { 900 } else { 40 };
            vigil.looked(at(second * 1_000), Duration::from_millis(took));
            said.extend(vigil.offered(at(second * 1_000), true));
        }
        let first = said.first().expect("it began");
        assert_eq!(
            (first.kind, first.edge),
            (IncidentKind::NotWatched, Edge::Began)
        );
        assert!(first.detail.contains("no things"), "{}", first.detail);
        let last = said.last().expect("it ended");
        assert_eq!(last.edge, Edge::Ended);
    }

    #[test]
    fn looks_that_stop_are_said_within_eight_seconds_and_their_end_too() {
        let mut vigil = Vigil::of_eyes();
        let mut said = Vec::new();
        for n in 0..600_u64 {
            let stuck = (100..300).contains(&n);
            said.extend(vigil.offered(at(n * 100), !stuck));
        }
        let edges: Vec<_> = said.iter().map(|told| told.edge).collect();
        assert_eq!(edges, [Edge::Began, Edge::Holds, Edge::Ended]);
        assert!(said[0].at <= at(18_100), "{:?}", said[0].at);
        assert!(said[0].detail.contains("too busy"));
    }

    #[test]
    fn lost_sound_is_said_once_it_goes_on_and_one_lost_block_is_not() {
        let mut vigil = Vigil::of_ears();
        for n in 0..3_000_u64 {
            assert_eq!(vigil.offered(at(n * 10), n != 700), None);
        }
        let said: Vec<_> = (3_000..4_000_u64)
            .filter_map(|n| vigil.offered(at(n * 10), n % 2 == 0))
            .collect();
        assert_eq!(said.first().map(|told| told.edge), Some(Edge::Began));
    }

    #[test]
    fn a_detector_that_fails_is_said_and_one_that_is_missing_never_ends() {
        let (mut failing, mut missing) = (Vigil::of_eyes(), Vigil::of_eyes());
        missing.cannot("faces");
        let (mut of_failing, mut of_missing) = (Vec::new(), Vec::new());
        for second in 0..60_u64 {
            if (10..20).contains(&second) {
                failing.failed(at(second * 1_000));
            }
            of_failing.extend(failing.offered(at(second * 1_000), true));
            of_missing.extend(missing.offered(at(second * 1_000), true));
        }
        let edges = |said: &[Sighting]| said.iter().map(|told| told.edge).collect::<Vec<_>>();
        assert_eq!(edges(&of_failing).first(), Some(&Edge::Began));
        assert_eq!(edges(&of_failing).last(), Some(&Edge::Ended));
        assert!(of_missing[0].detail.contains("faces"));
        assert!(!edges(&of_missing).contains(&Edge::Ended));
        let mut once = Vigil::of_eyes();
        once.failed(at(0));
        let said = (0..60).filter_map(|second| once.offered(at(second * 1_000), true));
        assert_eq!(said.count(), 0, "one picture that fails is no lapse");
    }

    fn at(ms: u64) -> Now {
        Now::from_origin(Duration::from_millis(ms))
    }
}
