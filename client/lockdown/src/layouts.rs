//! Which layout the keyboard has. Pure.

/// The keyboard's layouts, and the one in use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Their names, as the system calls them.
    pub names: Vec<String>,
    /// The place of the one in use.
    pub current: usize,
}

impl Layout {
    /// Returns what is written on a button: the language in three letters, or the system's name, short.
    #[must_use]
    pub fn label(&self) -> String {
        let name = self.names.get(self.current).map_or("", String::as_str);
        let known = KNOWN.iter().find(|(word, _)| name.starts_with(word));
        known.map_or_else(
            || name.chars().take(12).collect(),
            |(_, label)| (*label).to_owned(),
        )
    }

    /// Tells whether there is another one to go to.
    #[must_use]
    pub const fn can_switch(&self) -> bool {
        self.names.len() > 1
    }

    /// Returns the place of the next one; the display knows four at most.
    #[must_use]
    pub fn next(&self) -> u8 {
        let next = self
            .current
            .saturating_add(1)
            .checked_rem(self.names.len())
            .unwrap_or(0);
        u8::try_from(next).unwrap_or(0)
    }
}

const KNOWN: [(&str, &str); 3] = [("Kazakh", "ҚАЗ"), ("Russian", "РУС"), ("English", "ENG")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_follow_one_another_and_are_called_by_their_language() {
        let names = [
            "English (US)",
            "Kazakh",
            "Russian (phonetic)",
            "Georgian (ergonomic)",
        ];
        let labels: Vec<_> = (0..4)
            .map(|current| Layout {
                names: names.map(str::to_owned).into(),
                current,
            })
            .map(|layout| (layout.label(), layout.next()))
            .collect();
        let wanted = [("ENG", 1), ("ҚАЗ", 2), ("РУС", 3), ("Georgian (er", 0)];
        assert_eq!(labels, wanted.map(|(label, next)| (label.to_owned(), next)));
    }

    #[test]
    fn a_keyboard_with_one_layout_or_none_has_nothing_to_switch() {
        assert!(!Layout::default().can_switch());
        assert_eq!(Layout::default().next(), 0);
        let one = Layout {
            names: vec!["English (US)".to_owned()],
            current: 0,
        };
        assert!(!one.can_switch());
    }
}
