//! Which window is active and which are new, without taking every loss of focus for a switch.

use std::collections::BTreeSet;

use qorgan_protocol::incident::Edge;

/// One top-level window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowFacts {
    /// Its number.
    pub window: u32,
    /// The process that it belongs to, where the system says.
    pub pid: Option<u32>,
    /// Its title.
    pub title: String,
    /// Its program's class.
    pub class: String,
    /// A panel, a desktop, a tooltip and the like: the system's own furniture.
    pub furniture: bool,
}

/// What the window system shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WindowFinding {
    /// Another window became active, or the kiosk is active again.
    Switch(Edge, String),
    /// A foreign window appeared.
    Appeared(String),
}

/// Follows windows; knows the kiosk by its processes.
#[derive(Debug, Default)]
pub struct WindowWatch {
    own: BTreeSet<u32>,
    away: bool,
    known: BTreeSet<u32>,
    begun: bool,
}

impl WindowWatch {
    /// Names the processes whose windows belong to the exam, and no others: the number of one that has
    /// ended goes to another program.
    pub fn own_processes(&mut self, pids: BTreeSet<u32>) {
        self.own = pids;
    }

    /// Takes the active window; no active window at all is no switch, for a grab, a menu or a
    /// window manager's own doing look like that.
    pub fn active(&mut self, window: Option<&WindowFacts>) -> Option<WindowFinding> {
        let window = window?;
        let foreign = self.is_foreign(window);
        if foreign == self.away {
            return None;
        }
        self.away = foreign;
        let edge = if foreign { Edge::Began } else { Edge::Ended };
        Some(WindowFinding::Switch(edge, describe(window)))
    }

    /// Takes every top-level window; returns the foreign ones that are new. The first look gives
    /// one finding for all that were open before.
    ///
    /// A window says itself that it is furniture, so that is believed only of what was there before.
    pub fn open(&mut self, windows: &[WindowFacts]) -> Vec<WindowFinding> {
        let first_look = !core::mem::replace(&mut self.begun, true);
        let new: Vec<&WindowFacts> = windows
            .iter()
            .filter(|window| !self.known.contains(&window.window) && !self.is_own(window))
            .filter(|window| !(first_look && window.furniture))
            .collect();
        let findings = if first_look && !new.is_empty() {
            let titles: Vec<String> = new.iter().take(5).map(|window| describe(window)).collect();
            let all = format!("open from before ({}): {}", new.len(), titles.join("; "));
            vec![WindowFinding::Appeared(all)]
        } else {
            new.iter()
                .map(|window| WindowFinding::Appeared(describe(window)))
                .collect()
        };
        self.known = windows.iter().map(|window| window.window).collect();
        findings
    }

    fn is_foreign(&self, window: &WindowFacts) -> bool {
        !window.furniture && !self.is_own(window)
    }

    fn is_own(&self, window: &WindowFacts) -> bool {
        window.pid.is_some_and(|pid| self.own.contains(&pid))
    }
}

/// Follows foreign windows that show themselves to people and not to a capture.
#[derive(Debug, Default)]
pub struct HiddenWatch {
    known: BTreeSet<u32>,
}

impl HiddenWatch {
    /// Takes every such window; returns those that are new and of none of the `own` processes, in
    /// words. One that shows itself again and hides once more is new.
    pub fn look(&mut self, hidden: &[WindowFacts], own: &BTreeSet<u32>) -> Vec<String> {
        let foreign = hidden
            .iter()
            .filter(|window| window.pid.is_none_or(|pid| !own.contains(&pid)));
        let new = foreign.filter(|window| !self.known.contains(&window.window));
        let told = new.map(|window| format!("hides itself from capture: {}", describe(window)));
        let told = told.collect();
        self.known = hidden.iter().map(|window| window.window).collect();
        told
    }
}

fn describe(window: &WindowFacts) -> String {
    let title: String = window.title.chars().take(80).collect();
    let class: String = window.class.chars().take(40).collect();
    match (title.is_empty(), class.is_empty()) {
        (false, false) => format!("{class}: {title}"),
        (false, true) => title,
        (true, false) => class,
        (true, true) => "a window without a name".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_begins_with_a_foreign_window_and_ends_with_the_kiosk() {
        let mut watch = watch();
        assert_eq!(watch.active(Some(&window(1, KIOSK))), None);
        let began = watch.active(Some(&window(2, 99))).expect("a switch");
        assert_eq!(
            began,
            WindowFinding::Switch(Edge::Began, "term: notes".to_owned())
        );
        assert_eq!(watch.active(Some(&window(3, 98))), None);
        assert!(matches!(
            watch.active(Some(&window(1, KIOSK))),
            Some(WindowFinding::Switch(Edge::Ended, _))
        ));
    }

    #[test]
    fn the_number_of_a_kiosk_that_ended_is_worth_nothing() {
        let mut watch = watch();
        watch.open(&[window(1, KIOSK)]);
        watch.own_processes(BTreeSet::from([77]));
        let found = watch.open(&[window(2, KIOSK), window(3, 77)]);
        assert_eq!(found, [WindowFinding::Appeared("term: notes".to_owned())]);
    }

    #[test]
    fn no_active_window_and_a_panel_are_no_switch() {
        let mut watch = watch();
        assert_eq!(watch.active(None), None);
        let panel = WindowFacts {
            furniture: true,
            ..window(5, 77)
        };
        assert_eq!(watch.active(Some(&panel)), None);
    }

    #[test]
    fn windows_open_from_before_are_one_finding_and_new_ones_one_each() {
        let mut watch = watch();
        let before = [window(1, KIOSK), window(2, 99), window(3, 98)];
        assert_eq!(watch.open(&before).len(), 1);
        assert!(watch.open(&before).is_empty());
        let after = [
            window(1, KIOSK),
            window(2, 99),
            window(4, 97),
            window(5, KIOSK),
        ];
        assert_eq!(
            watch.open(&after),
            [WindowFinding::Appeared("term: notes".to_owned())]
        );
    }

    #[test]
    fn a_panel_from_before_is_furniture_and_a_new_window_that_says_so_is_not() {
        let mut watch = watch();
        let furniture = |number, pid| WindowFacts {
            furniture: true,
            ..window(number, pid)
        };
        assert!(watch.open(&[furniture(1, 50)]).is_empty());

        let found = watch.open(&[furniture(1, 50), furniture(2, 51), furniture(3, KIOSK)]);

        assert_eq!(found, [WindowFinding::Appeared("term: notes".to_owned())]);
    }

    #[test]
    fn a_foreign_window_that_hides_from_capture_is_told_once_and_the_kiosks_own_never() {
        let (mut watch, own) = (HiddenWatch::default(), BTreeSet::from([KIOSK]));
        let hidden = [window(1, KIOSK), window(2, 99)];
        let told = ["hides itself from capture: term: notes"];
        assert_eq!(watch.look(&hidden, &own), told);
        assert_eq!(watch.look(&hidden, &own), [""; 0]);
        assert_eq!(watch.look(&hidden[..1], &own), [""; 0]);
        assert_eq!(watch.look(&hidden, &own), told);
        let nobodys = WindowFacts {
            pid: None,
            ..window(3, 0)
        };
        assert_eq!(watch.look(&[nobodys], &own), told);
    }

    const KIOSK: u32 = 42;

    fn watch() -> WindowWatch {
        let mut watch = WindowWatch::default();
        watch.own_processes(BTreeSet::from([KIOSK]));
        watch
    }

    fn window(window: u32, pid: u32) -> WindowFacts {
        WindowFacts {
            window,
            pid: Some(pid),
            title: "notes".to_owned(),
            class: "term".to_owned(),
            furniture: false,
        }
    }
}
