//! What an X server's clients can do without a window of their own: define monitors, put windows
//! into the exam's, set pointers, send keys; and whether the server is the seat's own.

use qorgan_agent_core::input::{InputDevice, InputWatch};
use qorgan_agent_core::pointer::PointerFacts;
use qorgan_protocol::incident::{Edge, IncidentKind};
use x11rb::protocol::xfixes::{ConnectionExt as _, CursorNotifyMask};
use x11rb::protocol::xinput::{
    ConnectionExt as _, Device, DeviceType, EventMask as InputEvents, XIEventMask,
};
use x11rb::protocol::xproto::{ConnectionExt as _, MapState, Window};

use super::{Desktop, DesktopError};
use crate::clock;

impl Desktop<'_> {
    /// Takes the keyboards and pointers of check-in, and asks for word of keys and clicks by their
    /// sources; which keys they are is not read.
    pub(super) fn begin_with_input(&mut self) -> Result<(), DesktopError> {
        self.x
            .xfixes_select_cursor_input(self.root, CursorNotifyMask::DISPLAY_CURSOR)?
            .check()?;
        let asked = self.x.xinput_xi_query_version(2, 2).ok();
        let version = asked.and_then(|cookie| cookie.reply().ok());
        let version = version.map(|version| (version.major_version, version.minor_version));
        if version.is_none_or(|version| version < (2, 2)) {
            tracing::warn!("The server does not tell which device a key comes from");
            return Ok(());
        }
        let asked = [
            InputEvents {
                deviceid: u16::from(Device::ALL),
                mask: vec![XIEventMask::HIERARCHY],
            },
            InputEvents {
                deviceid: u16::from(Device::ALL_MASTER),
                mask: vec![XIEventMask::RAW_KEY_PRESS | XIEventMask::RAW_BUTTON_PRESS],
            },
        ];
        self.x.xinput_xi_select_events(self.root, &asked)?.check()?;
        let devices = self.input_devices()?;
        self.input = Some(InputWatch::new(&devices, self.watcher.declares_nested()));
        Ok(())
    }

    pub(super) fn look_at_devices(&mut self) -> Result<(), DesktopError> {
        let devices = self.input_devices()?;
        let new = self.input.as_mut().map(|input| input.listed(&devices));
        for detail in new.into_iter().flatten() {
            let kind = IncidentKind::ForeignInput;
            self.watcher.see(kind, Edge::Moment, "input/1", detail);
        }
        Ok(())
    }

    pub(super) fn came(&mut self, source: u16) {
        let told = self.input.as_mut();
        if let Some(detail) = told.and_then(|input| input.came(clock::now(), source)) {
            let kind = IncidentKind::ForeignInput;
            self.watcher.see(kind, Edge::Moment, "input/1", detail);
        }
    }

    fn input_devices(&self) -> Result<Vec<InputDevice>, DesktopError> {
        let listed = self.x.xinput_xi_query_device(Device::ALL)?.reply()?;
        let sources = listed.infos.into_iter().filter(|info| {
            info.type_ != DeviceType::MASTER_KEYBOARD && info.type_ != DeviceType::MASTER_POINTER
        });
        let devices = sources.map(|info| InputDevice {
            id: info.deviceid,
            name: String::from_utf8_lossy(&info.name).into_owned(),
        });
        Ok(devices.collect())
    }

    /// Looks at the pointer's image, which no capture of windows shows.
    pub(super) fn look_at_pointer(&mut self) -> Result<(), DesktopError> {
        let Ok(image) = self.x.xfixes_get_cursor_image_and_name()?.reply() else {
            return Ok(());
        };
        let facts = PointerFacts {
            width: u32::from(image.width),
            height: u32::from(image.height),
            name: String::from_utf8_lossy(&image.name).into_owned(),
            serial: image.cursor_serial,
        };
        if let Some(detail) = self.pointer.look(clock::now(), &facts) {
            let kind = IncidentKind::ForeignWindow;
            self.watcher.see(kind, Edge::Moment, "pointer/1", detail);
        }
        Ok(())
    }

    /// Looks for windows of others inside the exam's own and inside the frame around it.
    pub(super) fn look_inside(&mut self) -> Result<(), DesktopError> {
        let own = self.watcher.own();
        let mut found = Vec::new();
        for top in self.x.query_tree(self.root)?.reply()?.children {
            let tree = self.subtree(top)?;
            let mut windows = Vec::with_capacity(tree.len());
            for window in tree {
                windows.push((window, self.pid(window)?));
            }
            let is_own = |pid: Option<u32>| pid.is_some_and(|pid| own.contains(&pid));
            if !windows.iter().any(|(_, pid)| is_own(*pid)) {
                continue;
            }
            // A frame is the window manager's, with all that it draws beside the exam.
            let framed = windows.first().and_then(|(_, pid)| *pid);
            let foreign = windows
                .into_iter()
                .filter(|(window, pid)| *window != top && !is_own(*pid) && *pid != framed);
            found.extend(foreign.map(|(window, _)| window));
        }
        for &window in &found {
            if self.inside.contains(&window) || !self.shows(window)? {
                continue;
            }
            self.inside.insert(window);
            let facts = self.facts(window)?;
            let name = if facts.class.is_empty() {
                facts.title
            } else {
                facts.class
            };
            let name: String = name.chars().take(60).collect();
            let detail = format!("a window inside the exam's: {name}");
            let kind = IncidentKind::ForeignWindow;
            self.watcher.see(kind, Edge::Moment, "inside/1", detail);
        }
        self.inside.retain(|window| found.contains(window));
        Ok(())
    }

    /// Returns a window and those in it, outer ones first; more than a window library makes are not
    /// followed.
    fn subtree(&self, top: Window) -> Result<Vec<Window>, DesktopError> {
        let mut windows = vec![top];
        let mut next = 0;
        while let Some(&window) = windows.get(next) {
            next += 1;
            // A window may be gone between the list and this question.
            if let Ok(tree) = self.x.query_tree(window)?.reply() {
                windows.extend(tree.children);
            }
            windows.truncate(INSIDE_MAX);
        }
        Ok(windows)
    }

    fn shows(&self, window: Window) -> Result<bool, DesktopError> {
        let attributes = self.x.get_window_attributes(window)?.reply();
        Ok(attributes.is_ok_and(|found| found.map_state != MapState::UNMAPPED))
    }

    /// Holds the server and its monitors against what a seat's own server is like; each sign is told
    /// once.
    pub(super) fn look_at_server(&mut self) -> Result<(), DesktopError> {
        let layout = qorgan_seat::platform::layout(&self.x, self.root)?;
        for monitor in layout.defined_by_programs() {
            let detail = format!("a program defined a monitor: {monitor}");
            if self.told.len() < TOLD_MAX && self.told.insert(detail.clone()) {
                let kind = IncidentKind::SecondDisplay;
                self.watcher.see(kind, Edge::Moment, "monitors/1", detail);
            }
        }
        if self.watcher.declares_nested() {
            return Ok(());
        }
        let Some(display) = qorgan_seat::platform::display(self.name.as_deref()) else {
            return Ok(());
        };
        for sign in display.signs {
            let detail = sign.to_string();
            if self.told.len() < TOLD_MAX && self.told.insert(detail.clone()) {
                let kind = IncidentKind::NestedDisplay;
                self.watcher.see(kind, Edge::Moment, "seat/1", detail);
            }
        }
        Ok(())
    }
}

/// Windows that are looked at in one of the desktop's.
const INSIDE_MAX: usize = 256;
/// Signs and monitors that are told apart.
const TOLD_MAX: usize = 64;
