//! Tells keys and clicks of the keyboard and pointer that were there at check-in from those of a
//! program or of a device that came later.
//!
//! A device that is built to look like the one it stands for, or that sits between keyboard and
//! machine, cannot be told.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use qorgan_protocol::time::Now;

/// A keyboard or pointer, as the display server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputDevice {
    /// Its number, which the server gives to no other one meanwhile.
    pub id: u16,
    /// Its name.
    pub name: String,
}

/// Follows devices and what comes from them.
#[derive(Debug)]
pub struct InputWatch {
    /// Whether keys and clicks of programs are expected, as on a display that others feed.
    fed: bool,
    devices: BTreeMap<u16, String>,
    first: BTreeSet<u16>,
    told: BTreeMap<u16, Now>,
}

impl InputWatch {
    /// Starts from the devices of check-in.
    #[must_use]
    pub fn new(devices: &[InputDevice], fed: bool) -> Self {
        let mut watch = Self {
            fed,
            devices: BTreeMap::new(),
            first: devices.iter().map(|device| device.id).collect(),
            told: BTreeMap::new(),
        };
        watch.devices = named(devices);
        watch
    }

    /// Takes the list anew; returns the devices that came.
    pub fn listed(&mut self, devices: &[InputDevice]) -> Vec<String> {
        let now = named(devices);
        let new = now.iter().filter(|(id, _)| !self.devices.contains_key(id));
        let new: Vec<String> = new
            .map(|(_, name)| format!("a keyboard or pointer was plugged in: {name}"))
            .collect();
        // A number that went and came belongs to another device.
        self.first.retain(|id| now.contains_key(id));
        self.devices = now;
        new
    }

    /// Takes a key or click of a device; returns what to say, at most once a minute of each.
    pub fn came(&mut self, now: Now, id: u16) -> Option<String> {
        let name = self.devices.get(&id).map(String::as_str);
        let injected = name.is_some_and(|name| name.contains(INJECTED));
        if injected && self.fed || self.first.contains(&id) && !injected {
            return None;
        }
        if self.told.len() >= TOLD_MAX && !self.told.contains_key(&id) {
            return None;
        }
        let told = self.told.get(&id);
        if told.is_some_and(|told| now.since(*told) < TELL_EVERY) {
            return None;
        }
        self.told.insert(id, now);
        Some(if injected {
            "keys or clicks come from a program".to_owned()
        } else {
            let name = name.unwrap_or("a device that is not listed");
            format!("keys or clicks come from a device that was not there: {name}")
        })
    }
}

fn named(devices: &[InputDevice]) -> BTreeMap<u16, String> {
    let short = |device: &InputDevice| (device.id, device.name.chars().take(60).collect());
    devices.iter().take(DEVICES_MAX).map(short).collect()
}

/// The server's own devices for keys that programs make; no client can name one so or otherwise.
const INJECTED: &str = "XTEST";
const TELL_EVERY: Duration = Duration::from_secs(60);
const TOLD_MAX: usize = 64;
const DEVICES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keyboard_of_check_in_is_nothing_to_tell() {
        let mut watch = watch(false);
        assert_eq!(watch.came(at(0), 8), None);
    }

    #[test]
    fn keys_of_a_program_are_told_once_a_minute_unless_the_display_is_fed() {
        let (mut own, mut fed) = (watch(false), watch(true));
        assert!(own.came(at(0), 5).is_some());
        assert_eq!(own.came(at(30), 5), None);
        assert!(own.came(at(61), 5).is_some());
        assert_eq!(fed.came(at(0), 5), None);
    }

    #[test]
    fn a_keyboard_that_comes_later_is_told_and_so_are_its_keys() {
        let mut watch = watch(false);
        let mut devices = devices();
        devices.push(device(12, "Flipper Zero"));
        let told = watch.listed(&devices);
        assert_eq!(told, ["a keyboard or pointer was plugged in: Flipper Zero"]);
        assert_eq!(watch.listed(&devices), [""; 0]);
        let keys = watch.came(at(0), 12).expect("told");
        assert!(keys.contains("Flipper Zero"), "{keys}");
        assert!(watch.came(at(0), 99).is_some(), "one that nobody listed");
    }

    #[test]
    fn a_keyboard_that_was_pulled_out_and_comes_back_is_another_one() {
        let mut watch = watch(false);
        watch.listed(&devices()[..1]);
        assert_eq!(watch.listed(&devices()).len(), 1);
        assert!(watch.came(at(0), 8).is_some());
    }

    fn watch(fed: bool) -> InputWatch {
        InputWatch::new(&devices(), fed)
    }

    fn devices() -> Vec<InputDevice> {
        vec![
            device(5, "Virtual core XTEST keyboard"),
            device(8, "AT Translated Set 2 keyboard"),
        ]
    }

    fn device(id: u16, name: &str) -> InputDevice {
        InputDevice {
            id,
            name: name.to_owned(),
        }
    }

    fn at(seconds: u64) -> Now {
        Now::from_origin(Duration::from_secs(seconds))
    }
}
