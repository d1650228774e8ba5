//! What a sitting requires before and while items are shown (decision 1).

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::credit::PauseCredit;
use super::pace::Pace;
use super::rule::{MachinePolicy, MachineRule};
use crate::incident::WatchPolicy;
use crate::stream::StreamKind;

/// Where the candidate sits.
//= tests/data/sop-2-28.md#3-test-application
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum GateMode {
    /// At home: camera, microphone and every display, which no setting can lower.
    Remote,
    /// In the testing centre: any subset; a proctor who is present opens.
    OnSite,
}

/// How long content stays in view after a loss, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Grace {
    /// Agent gone or device lost, in milliseconds (at most 5 000).
    pub agent_ms: u64,
    /// Network lost while the local agent attests capture, in milliseconds (at most 20 000).
    pub network_ms: u64,
}

impl Grace {
    /// The longest and default graces: 5 s and 20 s.
    pub const DEFAULT: Self = Self {
        agent_ms: 5_000,
        network_ms: 20_000,
    };

    /// Returns the grace for a lost agent or device, at most the default.
    #[must_use]
    pub fn agent(self) -> Duration {
        Duration::from_millis(self.agent_ms.min(Self::DEFAULT.agent_ms))
    }

    /// Returns the grace for a lost network, at most the default.
    #[must_use]
    pub fn network(self) -> Duration {
        Duration::from_millis(self.network_ms.min(Self::DEFAULT.network_ms))
    }
}

/// The policy in force; signed into the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GatePolicy {
    /// Remote or on site.
    pub mode: GateMode,
    /// Required sources on site, sorted; a remote sitting always requires camera, microphone and
    /// screen, whatever stands here.
    pub required_on_site: Vec<StreamKind>,
    /// The most displays a candidate may have.
    pub displays_max: u8,
    /// Whether files may stand for devices (demo and tests).
    pub simulated_sources: bool,
    /// Whether a proctor must open the gate by hand (always so on site).
    pub proctor_opens: bool,
    /// Whether identity must be approved before the start, or may wait for review.
    pub identity_before_start: bool,
    /// Whether freshness codes are asked for.
    pub freshness: bool,
    /// Graces by cause.
    pub grace: Grace,
    /// How long after the deadline a kept submission is accepted, in milliseconds.
    pub late_delivery_ms_max: u64,
    /// Whether time under cover is given back.
    pub credit_covered_time: bool,
    /// How much of it is given back by itself, by cause.
    #[serde(default)]
    pub pause_credit: PauseCredit,
    /// Whether the candidate shows an identity document to the camera at check-in (decision 7).
    #[serde(default)]
    pub identity_document: bool,
    /// What is watched for; in a manifest and at check-in, for this candidate with what they are
    /// granted. The gate never asks for it.
    #[serde(default)]
    pub watch: WatchPolicy,
    /// How fast new items leave the server.
    #[serde(default)]
    pub pace: Pace,
    /// What is done about virtual machines, remote sessions and proxies.
    #[serde(default)]
    pub machine: MachinePolicy,
    /// What is done about a display that is nested in another one or remote; demo and tests,
    /// which run in one, declare it here.
    #[serde(default)]
    pub nested_display: MachineRule,
    /// What is done about a microphone that gives what the machine plays.
    #[serde(default)]
    pub monitor_microphone: MachineRule,
}

impl GatePolicy {
    /// The policy of a remote sitting.
    #[must_use]
    pub const fn remote() -> Self {
        Self {
            mode: GateMode::Remote,
            required_on_site: Vec::new(),
            displays_max: 1,
            simulated_sources: false,
            proctor_opens: false,
            identity_before_start: false,
            freshness: true,
            grace: Grace::DEFAULT,
            late_delivery_ms_max: 15 * 60 * 1_000,
            credit_covered_time: true,
            pause_credit: PauseCredit::DEFAULT,
            identity_document: false,
            watch: WatchPolicy::remote(),
            pace: Pace::DEFAULT,
            machine: MachinePolicy::DEFAULT,
            nested_display: MachineRule::Refuse,
            monitor_microphone: MachineRule::Refuse,
        }
    }

    /// The default policy of a sitting in the testing centre: the screen alone, opened by a proctor.
    #[must_use]
    pub fn on_site() -> Self {
        Self {
            mode: GateMode::OnSite,
            required_on_site: vec![StreamKind::Screen],
            proctor_opens: true,
            watch: WatchPolicy::on_site(),
            ..Self::remote()
        }
    }

    /// Tells whether a microphone must be live, so that voices can be told.
    #[must_use]
    pub fn hears(&self) -> bool {
        self.required().contains(&StreamKind::Microphone)
    }

    /// Returns the kinds of source that must be live, sorted.
    #[must_use]
    //= tests/data/sop-2-28.md#10-start-gate
    pub fn required(&self) -> Vec<StreamKind> {
        match self.mode {
            GateMode::Remote => {
                vec![
                    StreamKind::Camera,
                    StreamKind::Microphone,
                    StreamKind::Screen,
                ]
            }
            GateMode::OnSite => {
                let mut required = self.required_on_site.clone();
                required.retain(|kind| *kind != StreamKind::Events);
                required.sort_unstable();
                required.dedup();
                required
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    //= tests/data/sop-2-28.md#10-start-gate
    //= type=test
    fn no_setting_lowers_what_a_remote_sitting_requires() {
        let lowered = GatePolicy {
            required_on_site: vec![StreamKind::Screen],
            ..GatePolicy::remote()
        };
        assert_eq!(
            lowered.required(),
            [
                StreamKind::Camera,
                StreamKind::Microphone,
                StreamKind::Screen
            ]
        );
    }
}
