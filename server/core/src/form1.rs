//! Form 1: which boxes the confirmed incidents tick.

use std::collections::{BTreeMap, BTreeSet};

use qorgan_protocol::incident::{Form1Box, IncidentKind};

/// What Form 1 says about the breach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form1 {
    /// The boxes that are ticked.
    pub boxes: BTreeSet<Form1Box>,
    /// What goes on the line for other breaches: kinds with how often each was confirmed.
    pub other: BTreeMap<IncidentKind, usize>,
}

impl Form1 {
    /// Fills the form from the kinds of the confirmed incidents; nothing else ticks a box.
    #[must_use]
    pub fn of(confirmed: impl IntoIterator<Item = IncidentKind>) -> Self {
        let mut form = Self::default();
        for kind in confirmed {
            match kind.form1_box() {
                Some(ticked) => {
                    form.boxes.insert(ticked);
                }
                None => *form.other.entry(kind).or_default() += 1,
            }
        }
        form
    }

    /// Tells whether nothing is stated at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.boxes.is_empty() && self.other.is_empty()
    }
}

/// Returns what of an incident's detail belongs on paper: what a person wrote, or the name of the
/// program or device. Words and figures of programs stay in the record, for they are in English and
/// mean nothing to a dean.
#[must_use]
pub fn printed_detail(kind: IncidentKind, detail: &str) -> &str {
    let detail = detail.trim();
    match kind {
        IncidentKind::WindowSwitch => {
            let named = WATCH_WORDS
                .iter()
                .find_map(|word| detail.strip_prefix(word))
                .unwrap_or(detail);
            let named = named.trim_start();
            // The process's number changes with each start.
            if named.starts_with("pid ") {
                return "";
            }
            named.split_once(" pid ").map_or(named, |(name, _pid)| name)
        }
        // Where on the screen it stands is for the record.
        IncidentKind::ForeignWindow => {
            let named = detail.split(PLACE_WORDS).next().unwrap_or_default();
            named.trim_end_matches([';', ' '])
        }
        IncidentKind::DeniedProcess
        | IncidentKind::VirtualMachine
        | IncidentKind::RemoteControl
        | IncidentKind::VirtualCamera
        | IncidentKind::ProctorFlag => detail,
        IncidentKind::LockdownBreach
        | IncidentKind::SecondDisplay
        | IncidentKind::ClipboardChanged
        | IncidentKind::CameraCovered
        | IncidentKind::CameraFrozen
        | IncidentKind::MicrophoneMuted
        | IncidentKind::MicrophoneChanged
        | IncidentKind::StreamLost
        | IncidentKind::RecordingGap
        | IncidentKind::AgentRestarted
        | IncidentKind::ClockStepped
        | IncidentKind::FreshnessMissed
        | IncidentKind::FreshnessUnanswered
        | IncidentKind::PauseTooLong
        | IncidentKind::SecondMachine
        | IncidentKind::Tampering
        | IncidentKind::LateResponses
        | IncidentKind::NobodyInView
        | IncidentKind::SecondFace
        | IncidentKind::AnotherVoice
        | IncidentKind::Talking
        | IncidentKind::Whisper
        | IncidentKind::VoiceNotEnrolled
        | IncidentKind::PresentationAttack
        | IncidentKind::HeadNotTurned
        | IncidentKind::RemoteSession
        | IncidentKind::ProxyInUse
        | IncidentKind::SystemCheck
        | IncidentKind::FocusLost
        | IncidentKind::ClientRestarted
        | IncidentKind::AccessibilitySwitched
        | IncidentKind::LockIncomplete
        | IncidentKind::AddressChanged
        | IncidentKind::Impersonation
        | IncidentKind::NotWatched
        | IncidentKind::LookingAway
        | IncidentKind::NestedDisplay
        | IncidentKind::TerminalSwitched
        | IncidentKind::ForeignInput
        | IncidentKind::VirtualMicrophone
        | IncidentKind::PhoneInView => "",
    }
}

/// How the agent says that a part of the screen is not the kiosk's.
const PLACE_WORDS: &str = "not what the kiosk drew";
/// How the kiosk says what it saw of a window.
const WATCH_WORDS: [&str; 3] = ["switched-away", "window-raised", "overlay-shown"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paper_carries_names_and_a_persons_words_and_no_figures_of_programs() {
        for (kind, detail, printed) in [
            (
                IncidentKind::WindowSwitch,
                "switched-away Firefox",
                "Firefox",
            ),
            (
                IncidentKind::WindowSwitch,
                "window-raised Xmessage pid 4711",
                "Xmessage",
            ),
            (IncidentKind::WindowSwitch, "overlay-shown  pid 4711", ""),
            (IncidentKind::WindowSwitch, "switched-away", ""),
            (
                IncidentKind::WindowSwitch,
                "Xmessage: Notes",
                "Xmessage: Notes",
            ),
            (
                IncidentKind::ForeignWindow,
                "Notes; not what the kiosk drew: from 14 to 33 % across, 18 to 40 % down the screen",
                "Notes",
            ),
            (IncidentKind::DeniedProcess, "anydesk", "anydesk"),
            (IncidentKind::ProctorFlag, "телефон", "телефон"),
            (
                IncidentKind::CameraCovered,
                "brightness 4, deviation 0.3",
                "",
            ),
        ] {
            assert_eq!(printed_detail(kind, detail), printed, "{detail}");
        }
    }

    #[test]
    fn a_second_display_ticks_the_box_of_other_screens() {
        let form = Form1::of([IncidentKind::SecondDisplay]);

        assert_eq!(form.boxes, BTreeSet::from([Form1Box::OtherScreen]));
        assert!(form.other.is_empty());
    }

    #[test]
    fn what_has_no_box_goes_on_the_line_for_other_breaches() {
        let form = Form1::of([IncidentKind::WindowSwitch, IncidentKind::WindowSwitch]);

        assert!(form.boxes.is_empty());
        assert_eq!(form.other.get(&IncidentKind::WindowSwitch), Some(&2));
    }
}
