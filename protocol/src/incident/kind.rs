//! Everything that can be flagged, with its default severity and its box on Form 1.

use serde::{Deserialize, Serialize};

use super::Severity;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $severity:literal, $box:expr;)*) => {
        /// What was seen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum IncidentKind {
            $($(#[$doc])* $name,)*
        }

        impl IncidentKind {
            /// Every kind, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the word used on the wire, in SQL and as key of texts.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Returns the kind that `word` names.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$name),)* _ => None }
            }

            /// Returns the severity it has where the exam sets no other.
            #[must_use]
            pub const fn default_severity(self) -> Severity {
                match self { $(Self::$name => Severity::clamped($severity),)* }
            }

            /// Returns the box of Form 1 that it ticks once a person confirmed it; `None` puts it
            /// on the line for other breaches.
            #[must_use]
            pub const fn form1_box(self) -> Option<Form1Box> {
                match self { $(Self::$name => $box,)* }
            }
        }
    };
}

/// The six boxes of Form 1 (`forms.md`), in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form1Box {
    /// Use of a mobile phone.
    MobilePhone,
    /// Use of crib sheets.
    CribSheets,
    /// Use of electronic communication devices.
    CommunicationDevices,
    /// Reading from another computer's screen.
    OtherScreen,
    /// Changing seat or leaving the room.
    LeftSeat,
    /// Talking between students.
    Talking,
}

impl Form1Box {
    /// Every box, in the form's order.
    pub const ALL: [Self; 6] = [
        Self::MobilePhone,
        Self::CribSheets,
        Self::CommunicationDevices,
        Self::OtherScreen,
        Self::LeftSeat,
        Self::Talking,
    ];

    /// Returns the word that is the key of texts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::MobilePhone => "mobile_phone",
            Self::CribSheets => "crib_sheets",
            Self::CommunicationDevices => "communication_devices",
            Self::OtherScreen => "other_screen",
            Self::LeftSeat => "left_seat",
            Self::Talking => "talking",
        }
    }
}

kinds! {
    /// Another window became active.
    WindowSwitch = "window_switch", 0.6, None;
    /// A window appeared over or beside the exam.
    ForeignWindow = "foreign_window", 0.5, None;
    /// A key or close request tried to leave the kiosk.
    LockdownBreach = "lockdown_breach", 0.5, None;
    /// A display was added or shows something else.
    SecondDisplay = "second_display", 0.7, Some(Form1Box::OtherScreen);
    /// A program on the deny list runs.
    DeniedProcess = "denied_process", 0.7, None;
    /// Remote-control, call or screen-sharing software runs.
    RemoteControl = "remote_control", 0.8, Some(Form1Box::CommunicationDevices);
    /// The clipboard changed.
    ClipboardChanged = "clipboard_changed", 0.3, None;
    /// The camera is dark or covered.
    CameraCovered = "camera_covered", 0.7, None;
    /// The camera repeats one picture.
    CameraFrozen = "camera_frozen", 0.7, None;
    /// The camera is a virtual one.
    VirtualCamera = "virtual_camera", 0.8, None;
    /// The microphone gives digital silence.
    MicrophoneMuted = "microphone_muted", 0.6, None;
    /// The microphone was changed for another source.
    MicrophoneChanged = "microphone_changed", 0.5, None;
    /// A stream was lost.
    StreamLost = "stream_lost", 0.5, None;
    /// A piece of the recording is missing for good.
    RecordingGap = "recording_gap", 0.6, None;
    /// The agent ended and was started again.
    AgentRestarted = "agent_restarted", 0.6, None;
    /// A clock was stepped, or the machine slept.
    ClockStepped = "clock_stepped", 0.4, None;
    /// A freshness code was not found on the recorded screen.
    FreshnessMissed = "freshness_missed", 0.7, None;
    /// A freshness code could not be asked for or answered, for client or recording were out of
    /// contact.
    FreshnessUnanswered = "freshness_unanswered", 0.4, None;
    /// Items were covered for longer than the policy gives back; the time counts as used.
    PauseTooLong = "pause_too_long", 0.4, None;
    /// Another machine asked for the attempt.
    SecondMachine = "second_machine", 0.7, None;
    /// Responses or recording do not match what was signed.
    Tampering = "tampering", 1.0, None;
    /// Responses came after the lease had ended.
    LateResponses = "late_responses", 0.4, None;
    /// Nobody is in view.
    NobodyInView = "nobody_in_view", 0.6, Some(Form1Box::LeftSeat);
    /// A second face is in view.
    SecondFace = "second_face", 0.8, Some(Form1Box::Talking);
    /// Another voice is heard.
    AnotherVoice = "another_voice", 0.7, Some(Form1Box::Talking);
    /// A proctor flagged it by hand.
    ProctorFlag = "proctor_flag", 0.5, None;
    /// Another person than the candidate sits there; it belongs on Form 3.
    Impersonation = "impersonation", 0.9, None;
    /// Eyes or head are turned away long or often.
    LookingAway = "looking_away", 0.3, None;
    /// The candidate talks steadily.
    Talking = "talking", 0.3, Some(Form1Box::Talking);
    /// Somebody whispers.
    Whisper = "whisper", 0.3, Some(Form1Box::Talking);
    /// Perhaps a phone is in view; weak evidence by itself.
    PhoneInView = "phone_in_view", 0.2, Some(Form1Box::MobilePhone);
    /// The machine did not look at or listen to everything: a fact about it, no word about the
    /// candidate.
    NotWatched = "not_watched", 0.1, None;
    /// The candidate read nothing aloud at check-in, so that no voice is told from theirs.
    VoiceNotEnrolled = "voice_not_enrolled", 0.3, None;
    /// The face did not answer as a living one does: perhaps a photo or a screen is held before the
    /// camera, or its pictures come from elsewhere.
    PresentationAttack = "presentation_attack", 0.6, None;
    /// The candidate did not turn the head at check-in, so that nothing tells a living face from a
    /// picture.
    HeadNotTurned = "head_not_turned", 0.3, None;
    /// The kiosk runs in a virtual machine.
    VirtualMachine = "virtual_machine", 0.6, None;
    /// The kiosk's session comes from another machine.
    RemoteSession = "remote_session", 0.8, Some(Form1Box::CommunicationDevices);
    /// A proxy stands between the machine and the server.
    ProxyInUse = "proxy_in_use", 0.3, None;
    /// A line of the system check was not in order.
    SystemCheck = "system_check", 0.4, None;
    /// The kiosk lost the focus, and no other window was named.
    FocusLost = "focus_lost", 0.3, None;
    /// The kiosk was started again while its attempt was under way.
    ClientRestarted = "client_restarted", 0.4, None;
    /// The accessibility adapter, through which programs read and press, was switched.
    AccessibilitySwitched = "accessibility_switched", 0.2, None;
    /// A measure that locks the machine could not be applied.
    LockIncomplete = "lock_incomplete", 0.5, None;
    /// Requests of the attempt came from another network address.
    AddressChanged = "address_changed", 0.3, None;
    /// The display is one inside another display, or one of another machine.
    NestedDisplay = "nested_display", 0.8, None;
    /// Another virtual terminal, or another session of the seat, was shown.
    TerminalSwitched = "terminal_switched", 0.8, None;
    /// Keys or clicks came from a program, or from a keyboard or pointer that was not there at
    /// check-in.
    ForeignInput = "foreign_input", 0.5, None;
    /// The microphone plays what the machine itself plays, or is no device at all.
    VirtualMicrophone = "virtual_microphone", 0.8, None;
}
