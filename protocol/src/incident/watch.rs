//! What is watched for in one attempt: which kinds of incident count, and how readily each is
//! raised.
//!
//! # Invariants
//! * Only what depends on how a candidate sits, speaks and looks can be set. What tells that a
//!   recording is not what it seems, or that the procedure was broken, always counts, whatever a
//!   setting or a database says.
//! * No setting reaches the gate: what must be live before items are shown is
//!   [`crate::attempt::GatePolicy::required`], which never asks what is watched for.
//! * An accommodation takes kinds away and adds none.

use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{IncidentKind, Severity};

/// How readily incidents of one kind are raised.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    /// It does not count: what was seen stays on record, and no incident is made of it.
    Off,
    /// It must be clearer and last longer.
    Low,
    /// As the detector was measured.
    #[default]
    Normal,
    /// Less is enough, and more is raised in vain.
    High,
}

impl Sensitivity {
    /// Every one, from nothing to most.
    pub const ALL: [Self; 4] = [Self::Off, Self::Low, Self::Normal, Self::High];

    /// Returns the word on the wire, in forms and as key of texts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// Returns the sensitivity that `word` names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// Returns the score from which something counts, where `measured` is the detector's own: a
    /// third of the way to certainty for low, a quarter of the way to nothing for high.
    #[must_use]
    pub fn threshold(self, measured: Severity) -> Severity {
        let measured = measured.value();
        match self {
            Self::Off | Self::Normal => Severity::clamped(measured),
            Self::Low => Severity::clamped(measured + (1.0 - measured) / 3.0),
            Self::High => Severity::clamped(measured - measured / 4.0),
        }
    }

    /// Returns how long it must hold before it counts, where `measured` is the detector's own: twice
    /// as long for low, half as long for high.
    #[must_use]
    pub fn patience(self, measured: Duration) -> Duration {
        match self {
            Self::Off | Self::Normal => measured,
            Self::Low => measured.saturating_mul(2),
            Self::High => measured.checked_div(2).unwrap_or(measured),
        }
    }
}

impl IncidentKind {
    /// Returns what an exam may set it to; nothing where it always counts as it was measured. What is
    /// a fact without a score counts or does not; another person in the seat always counts.
    #[must_use]
    pub const fn sensitivities(self) -> &'static [Sensitivity] {
        match self {
            Self::NobodyInView
            | Self::SecondFace
            | Self::AnotherVoice
            | Self::LookingAway
            | Self::Talking
            | Self::Whisper
            | Self::PhoneInView
            | Self::PresentationAttack => &Sensitivity::ALL,
            Self::Impersonation => &[Sensitivity::Low, Sensitivity::Normal, Sensitivity::High],
            Self::WindowSwitch
            | Self::ForeignWindow
            | Self::ClipboardChanged
            | Self::VoiceNotEnrolled
            | Self::HeadNotTurned
            | Self::FocusLost
            | Self::AccessibilitySwitched => &[Sensitivity::Off, Sensitivity::Normal],
            Self::LockdownBreach
            | Self::SecondDisplay
            | Self::DeniedProcess
            | Self::RemoteControl
            | Self::CameraCovered
            | Self::CameraFrozen
            | Self::VirtualCamera
            | Self::MicrophoneMuted
            | Self::MicrophoneChanged
            | Self::StreamLost
            | Self::RecordingGap
            | Self::AgentRestarted
            | Self::ClockStepped
            | Self::FreshnessMissed
            | Self::FreshnessUnanswered
            | Self::PauseTooLong
            | Self::SecondMachine
            | Self::Tampering
            | Self::LateResponses
            | Self::NotWatched
            | Self::VirtualMachine
            | Self::RemoteSession
            | Self::ProxyInUse
            | Self::SystemCheck
            | Self::ClientRestarted
            | Self::LockIncomplete
            | Self::AddressChanged
            | Self::NestedDisplay
            | Self::TerminalSwitched
            | Self::ForeignInput
            | Self::VirtualMicrophone
            | Self::ProctorFlag => &[],
        }
    }
}

/// What a candidate is granted, so that it does not count against them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Allowance {
    /// Reads and thinks aloud.
    ReadingAloud,
    /// A helper is in the room, such as a reader or a sign-language interpreter.
    Helper,
    /// Looks away out of habit, such as with nystagmus or for a screen magnifier.
    LooksAway,
    /// Leaves the seat for a while, such as for medication.
    LeavesSeat,
    /// The screen shines in no colour, such as with migraine or photosensitive epilepsy; the head is
    /// turned in its place.
    NoLight,
    /// Turns the head badly or not at all; the screen's light takes its place.
    NoTurning,
}

impl Allowance {
    /// Every one, in order.
    pub const ALL: [Self; 6] = [
        Self::ReadingAloud,
        Self::Helper,
        Self::LooksAway,
        Self::LeavesSeat,
        Self::NoLight,
        Self::NoTurning,
    ];

    /// Returns the word on the wire, in SQL, in sheets and as key of texts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ReadingAloud => "reading_aloud",
            Self::Helper => "helper",
            Self::LooksAway => "looks_away",
            Self::LeavesSeat => "leaves_seat",
            Self::NoLight => "no_light",
            Self::NoTurning => "no_turning",
        }
    }

    /// Returns the allowance that `word` names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// Returns the kinds that do not count for whoever has it.
    #[must_use]
    pub const fn excuses(self) -> &'static [IncidentKind] {
        match self {
            Self::ReadingAloud => &[IncidentKind::Talking, IncidentKind::Whisper],
            Self::Helper => &[IncidentKind::SecondFace, IncidentKind::AnotherVoice],
            Self::LooksAway => &[IncidentKind::LookingAway],
            Self::LeavesSeat => &[IncidentKind::NobodyInView],
            Self::NoLight => &[],
            Self::NoTurning => &[IncidentKind::HeadNotTurned],
        }
    }
}

/// What is watched for; a kind that is not named is watched for as it was measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct WatchPolicy(BTreeMap<IncidentKind, Sensitivity>);

impl WatchPolicy {
    /// The policy of a remote sitting: one person alone at home, so that every kind counts.
    #[must_use]
    pub const fn remote() -> Self {
        Self(BTreeMap::new())
    }

    /// The policy of a sitting in the testing centre: others sit in the same room, so that their
    /// faces and voices do not count, and a person sees who is there, so that no face is put to the
    /// test.
    #[must_use]
    pub fn on_site() -> Self {
        let seen_to = [
            IncidentKind::SecondFace,
            IncidentKind::AnotherVoice,
            IncidentKind::PresentationAttack,
            IncidentKind::HeadNotTurned,
        ];
        Self(seen_to.map(|kind| (kind, Sensitivity::Off)).into())
    }

    /// Sets a kind; false where it cannot be set so.
    #[must_use]
    pub fn set(&mut self, kind: IncidentKind, sensitivity: Sensitivity) -> bool {
        if !kind.sensitivities().contains(&sensitivity) {
            return false;
        }
        if sensitivity == Sensitivity::Normal {
            self.0.remove(&kind);
        } else {
            self.0.insert(kind, sensitivity);
        }
        true
    }

    /// Returns how readily a kind is raised. What stands here of a kind that cannot be set so counts
    /// for nothing.
    #[must_use]
    pub fn sensitivity(&self, kind: IncidentKind) -> Sensitivity {
        let set = self.0.get(&kind).copied();
        set.filter(|set| kind.sensitivities().contains(set))
            .unwrap_or_default()
    }

    /// Tells whether incidents of a kind are raised at all.
    #[must_use]
    pub fn counts(&self, kind: IncidentKind) -> bool {
        self.sensitivity(kind) != Sensitivity::Off
    }

    /// Returns the policy in force for a candidate with these allowances.
    #[must_use]
    pub fn granting(mut self, allowances: &[Allowance]) -> Self {
        for kind in allowances.iter().flat_map(|one| one.excuses()) {
            self.0.insert(*kind, Sensitivity::Off);
        }
        self
    }

    /// Returns every kind that can be set, in order.
    pub fn settable() -> impl Iterator<Item = IncidentKind> {
        let all = IncidentKind::ALL.iter().copied();
        all.filter(|kind| !kind.sensitivities().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policies() -> impl Strategy<Value = WatchPolicy> {
        let kind = proptest::sample::select(IncidentKind::ALL.to_vec());
        let set = proptest::sample::select(Sensitivity::ALL.to_vec());
        proptest::collection::btree_map(kind, set, 0..IncidentKind::ALL.len()).prop_map(WatchPolicy)
    }

    fn allowances() -> impl Strategy<Value = Vec<Allowance>> {
        proptest::sample::subsequence(Allowance::ALL.to_vec(), 0..=6)
    }

    proptest! {
        #[test]
        fn no_setting_silences_what_always_counts(
            policy in policies(), allowances in allowances()
        ) {
            let policy = policy.granting(&allowances);
            for kind in IncidentKind::ALL {
                if !kind.sensitivities().contains(&Sensitivity::Off) {
                    prop_assert!(policy.counts(*kind), "{kind:?}");
                }
            }
        }

        #[test]
        fn an_allowance_takes_its_kinds_away_and_changes_no_other(
            policy in policies(), allowances in allowances()
        ) {
            let granted = policy.clone().granting(&allowances);
            for kind in IncidentKind::ALL {
                let excused = allowances.iter().any(|one| one.excuses().contains(kind));
                let before = policy.sensitivity(*kind);
                let wanted = if excused { Sensitivity::Off } else { before };
                prop_assert_eq!(granted.sensitivity(*kind), wanted);
            }
        }

        #[test]
        fn more_sensitive_never_asks_for_more(measured in 0.0..=1.0_f64, ms in 0_u64..60_000) {
            let (measured, lasts) = (Severity::clamped(measured), Duration::from_millis(ms));
            for pair in Sensitivity::ALL[1..].windows(2) {
                let [less, more] = [pair[0], pair[1]];
                prop_assert!(less.threshold(measured) >= more.threshold(measured));
                prop_assert!(less.patience(lasts) >= more.patience(lasts));
            }
            prop_assert_eq!(Sensitivity::Normal.threshold(measured), measured);
        }

        #[test]
        fn a_policy_is_the_same_after_the_wire(policy in policies()) {
            let text = serde_json::to_string(&policy).expect("plain data");
            prop_assert_eq!(&serde_json::from_str::<WatchPolicy>(&text).expect("as written"), &policy);
            let bytes = crate::codec::encode("policy", &policy).expect("plain data");
            let again: WatchPolicy = crate::codec::decode("policy", &bytes).expect("canonical");
            prop_assert_eq!(again, policy);
        }
    }

    #[test]
    fn what_an_allowance_excuses_can_be_set_to_not_count() {
        for allowance in Allowance::ALL {
            for kind in allowance.excuses() {
                assert!(kind.sensitivities().contains(&Sensitivity::Off), "{kind:?}");
            }
        }
    }

    #[test]
    fn at_home_everything_counts_and_in_the_centre_others_may_be_seen_and_heard() {
        let (home, centre) = (WatchPolicy::remote(), WatchPolicy::on_site());
        for kind in IncidentKind::ALL {
            assert_eq!(home.sensitivity(*kind), Sensitivity::Normal);
            let seen_to = matches!(
                kind,
                IncidentKind::SecondFace
                    | IncidentKind::AnotherVoice
                    | IncidentKind::PresentationAttack
                    | IncidentKind::HeadNotTurned
            );
            assert_eq!(centre.counts(*kind), !seen_to, "{kind:?}");
        }
    }

    #[test]
    fn what_cannot_be_set_so_is_refused() {
        let mut policy = WatchPolicy::remote();
        assert!(!policy.set(IncidentKind::Tampering, Sensitivity::Off));
        assert!(!policy.set(IncidentKind::Impersonation, Sensitivity::Off));
        assert!(!policy.set(IncidentKind::WindowSwitch, Sensitivity::High));
        assert_eq!(policy, WatchPolicy::remote());
        assert!(policy.set(IncidentKind::LookingAway, Sensitivity::Low));
        assert_eq!(
            policy.sensitivity(IncidentKind::LookingAway),
            Sensitivity::Low
        );
    }
}
