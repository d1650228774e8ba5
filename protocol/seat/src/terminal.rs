//! Which virtual terminal is shown, and whose session is active on the seat.

/// What the system says at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TerminalFacts {
    /// The terminal that is shown, such as `tty2`; `None` where there are none.
    pub shown: Option<String>,
    /// The session that is active on the seat, by its number; empty where none is, `None` where
    /// nothing keeps sessions.
    pub session: Option<String>,
}

/// A change that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminalChange {
    /// Another terminal is shown, or another session is active.
    Left {
        /// Which.
        to: String,
    },
    /// The exam's own is shown again.
    Back,
}

/// Follows terminal and session.
#[derive(Debug, Clone, Default)]
pub struct TerminalWatch {
    terminal: Option<String>,
    session: Option<String>,
    away: bool,
}

impl TerminalWatch {
    /// Watches for the terminal of a display server; without one, what is shown at the first look is
    /// the exam's.
    #[must_use]
    pub fn of_server(terminal: Option<u32>) -> Self {
        Self {
            terminal: terminal.map(|number| format!("tty{number}")),
            session: None,
            away: false,
        }
    }

    /// Takes a look; what cannot be read any more, after it could be, counts as left.
    pub fn look(&mut self, facts: &TerminalFacts) -> Option<TerminalChange> {
        if self.terminal.is_none() {
            self.terminal.clone_from(&facts.shown);
        }
        let elsewhere = self.terminal.is_some() && facts.shown != self.terminal;
        if !elsewhere && self.session.is_none() {
            self.session = facts.session.clone().filter(|session| !session.is_empty());
        }
        let others = self.session.is_some() && facts.session != self.session;
        let away = elsewhere || others;
        if away == self.away {
            return None;
        }
        self.away = away;
        let unknown = || "an unknown one".to_owned();
        Some(if elsewhere {
            TerminalChange::Left {
                to: facts.shown.clone().unwrap_or_else(unknown),
            }
        } else if others {
            let session = facts.session.clone().filter(|session| !session.is_empty());
            let to = session.map_or_else(|| "no session".to_owned(), |id| format!("session {id}"));
            TerminalChange::Left { to }
        } else {
            TerminalChange::Back
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_terminal_is_told_once_and_so_is_the_way_back() {
        let mut watch = TerminalWatch::of_server(Some(2));
        assert_eq!(watch.look(&facts("tty2", "5")), None);
        let left = watch.look(&facts("tty3", ""));
        assert_eq!(
            left,
            Some(TerminalChange::Left {
                to: "tty3".to_owned()
            })
        );
        assert_eq!(watch.look(&facts("tty3", "6")), None);
        assert_eq!(watch.look(&facts("tty2", "5")), Some(TerminalChange::Back));
    }

    #[test]
    fn a_session_of_the_same_terminal_number_that_is_another_is_told() {
        let mut watch = TerminalWatch::of_server(None);
        assert_eq!(watch.look(&facts("tty7", "c1")), None);
        let left = watch.look(&facts("tty7", "c2"));
        assert_eq!(
            left,
            Some(TerminalChange::Left {
                to: "session c2".to_owned()
            })
        );
    }

    #[test]
    fn a_start_on_a_terminal_that_is_not_the_servers_is_told_at_once() {
        let mut watch = TerminalWatch::of_server(Some(2));
        assert!(matches!(
            watch.look(&facts("tty3", "9")),
            Some(TerminalChange::Left { .. })
        ));
        // The session of another terminal is not taken for the exam's own.
        assert_eq!(watch.look(&facts("tty2", "5")), Some(TerminalChange::Back));
    }

    #[test]
    fn a_machine_without_terminals_and_sessions_has_nothing_to_leave() {
        let mut watch = TerminalWatch::of_server(None);
        assert_eq!(watch.look(&TerminalFacts::default()), None);
    }

    #[test]
    fn a_terminal_that_cannot_be_read_any_more_counts_as_left() {
        let mut watch = TerminalWatch::of_server(Some(1));
        assert_eq!(watch.look(&facts("tty1", "5")), None);
        let gone = TerminalFacts::default();
        assert!(matches!(
            watch.look(&gone),
            Some(TerminalChange::Left { .. })
        ));
    }

    fn facts(shown: &str, session: &str) -> TerminalFacts {
        TerminalFacts {
            shown: Some(shown.to_owned()),
            session: Some(session.to_owned()),
        }
    }
}
