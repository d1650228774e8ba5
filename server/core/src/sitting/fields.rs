//! The names of a form's fields.

use qorgan_protocol::attempt::{Grace, PauseCause};
use qorgan_protocol::evidence::StreamKind;
use qorgan_protocol::incident::IncidentKind;

/// When the start window opens.
pub const OPENS: &str = "opens";
/// When the start window closes.
pub const CLOSES: &str = "closes";
/// An exam's title.
pub const TITLE: &str = "title";
/// An exam's discipline.
pub const DISCIPLINE: &str = "discipline";
/// The discipline's code.
pub const CODE: &str = "discipline_code";
/// Minutes for the items.
pub const MINUTES: &str = "minutes";
/// `remote` or `on_site`.
pub const MODE: &str = "mode";
/// The sources that are required on site; each is ticked or not.
pub const SOURCES: [(&str, StreamKind); 3] = [
    ("source_camera", StreamKind::Camera),
    ("source_microphone", StreamKind::Microphone),
    ("source_screen", StreamKind::Screen),
];
/// The most displays.
pub const DISPLAYS: &str = "displays";
/// A proctor opens the gate.
pub const PROCTOR_OPENS: &str = "proctor_opens";
/// Identity must be approved before the start.
pub const IDENTITY: &str = "identity_before_start";
/// A document is shown at check-in.
pub const DOCUMENT: &str = "identity_document";
/// Codes on the screen are asked for.
pub const FRESHNESS: &str = "freshness";
/// What is done about a nested or remote display, or nothing for the usual.
pub const NESTED_DISPLAY: &str = "nested_display";
/// Files may stand for devices.
pub const SIMULATED: &str = "simulated_sources";
/// Seconds of grace for a lost agent or device.
pub const GRACE_AGENT: &str = "grace_agent_s";
/// Seconds of grace for a lost network.
pub const GRACE_NETWORK: &str = "grace_network_s";
/// Time under cover is given back.
pub const CREDIT: &str = "credit_covered_time";
/// Minutes that a kept submission may be late.
pub const LATE: &str = "late_delivery_minutes";
/// How many new questions may be opened at once.
pub const AHEAD: &str = "items_ahead";
/// How many more become free in a minute.
pub const PER_MINUTE: &str = "items_per_minute";
/// How much an agent may send.
pub const BANDWIDTH: &str = "bandwidth";
/// Programs that are reported, one a line.
pub const DENY: &str = "deny";
/// Programs that are never reported, one a line.
pub const ALLOW: &str = "allow";
/// What is done about a virtual machine, or nothing for the usual.
pub const VIRTUAL_MACHINE: &str = "virtual_machine";
/// What is done about a session from another machine, or nothing for the usual.
pub const REMOTE_SESSION: &str = "remote_session";
/// What is done about a proxy, or nothing for the usual.
pub const PROXY: &str = "proxy";
/// What is done about a microphone that gives what the machine plays, or nothing for the usual.
pub const MONITOR_MICROPHONE: &str = "monitor_microphone";
/// What is done about facts of the machine: `note`, `proctor_decides` or `refuse`.
pub const MACHINE: [&str; 5] = [
    VIRTUAL_MACHINE,
    REMOTE_SESSION,
    PROXY,
    NESTED_DISPLAY,
    MONITOR_MICROPHONE,
];
/// How many minutes under cover are given back by themselves in an attempt, by cause, or nothing for
/// the usual.
pub const PAUSE_CREDIT: [(&str, PauseCause); 8] = [
    ("credit_agent_lost", PauseCause::AgentLost),
    ("credit_source_lost", PauseCause::SourceLost),
    ("credit_network_lost", PauseCause::NetworkLost),
    ("credit_freshness_missed", PauseCause::FreshnessMissed),
    ("credit_displays", PauseCause::Displays),
    ("credit_server_restarted", PauseCause::ServerRestarted),
    ("credit_moving", PauseCause::Moving),
    ("credit_identity", PauseCause::Identity),
];
/// The most minutes that are given back for a cause: the longest that a sitting may last.
pub const PAUSE_CREDIT_MAX: u64 = MINUTES_MAX;
/// The longest time for the items, in minutes.
const MINUTES_MAX: u64 = 600;
/// What is watched for: how readily each kind is raised, or nothing for the mode's usual.
pub const WATCH: [(&str, IncidentKind); 16] = [
    ("watch_window_switch", IncidentKind::WindowSwitch),
    ("watch_foreign_window", IncidentKind::ForeignWindow),
    ("watch_clipboard_changed", IncidentKind::ClipboardChanged),
    ("watch_nobody_in_view", IncidentKind::NobodyInView),
    ("watch_second_face", IncidentKind::SecondFace),
    ("watch_another_voice", IncidentKind::AnotherVoice),
    ("watch_impersonation", IncidentKind::Impersonation),
    ("watch_looking_away", IncidentKind::LookingAway),
    ("watch_talking", IncidentKind::Talking),
    ("watch_whisper", IncidentKind::Whisper),
    ("watch_phone_in_view", IncidentKind::PhoneInView),
    ("watch_voice_not_enrolled", IncidentKind::VoiceNotEnrolled),
    (
        "watch_presentation_attack",
        IncidentKind::PresentationAttack,
    ),
    ("watch_head_not_turned", IncidentKind::HeadNotTurned),
    ("watch_focus_lost", IncidentKind::FocusLost),
    (
        "watch_accessibility_switched",
        IncidentKind::AccessibilitySwitched,
    ),
];
/// The numbers: field, least, most. No grace is longer than the default.
pub const NUMBERS: [(&str, u64, u64); 7] = [
    (MINUTES, 1, MINUTES_MAX),
    (DISPLAYS, 1, 8),
    (GRACE_AGENT, 0, Grace::DEFAULT.agent_ms / 1_000),
    (GRACE_NETWORK, 0, Grace::DEFAULT.network_ms / 1_000),
    (LATE, 0, 24 * 60),
    (AHEAD, 1, 500),
    (PER_MINUTE, 1, 600),
];
