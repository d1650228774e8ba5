//! Pages of a list: each is read with a limit, one line more than it shows tells whether a page
//! follows.

use serde::Deserialize;

use super::page::encode;

/// Which page of a list an address names.
#[derive(Debug, Deserialize)]
pub(super) struct WhichPage {
    #[serde(default)]
    pub(super) page: String,
}

/// Which page of a list, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageOf {
    number: u32,
    size: u32,
}

impl PageOf {
    /// Reads the page's number as it was typed; the first where it is none.
    pub(super) fn read(typed: &str, size: u32) -> Self {
        let number = typed.parse().unwrap_or(1_u32).clamp(1, PAGES_MAX);
        Self { number, size }
    }

    /// Returns how many lines come before the page, and how many are to be read.
    pub(super) const fn range(self) -> (u32, u32) {
        let before = self.number.saturating_sub(1).saturating_mul(self.size);
        (before, self.size.saturating_add(1))
    }

    /// Cuts what was read to the page and returns the links; `path` and `query` are where the list is.
    pub(super) fn cut<T>(self, lines: &mut Vec<T>, path: &str, query: &[(&str, &str)]) -> Pager {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let more = lines.len() > size && self.number < PAGES_MAX;
        lines.truncate(size);
        let href = |number: u32| {
            let filled = query.iter().filter(|(_, value)| !value.is_empty());
            let query: String = filled
                .map(|(name, value)| format!("{name}={}&", encode(value)))
                .collect();
            format!("{path}?{query}page={number}")
        };
        Pager {
            number: self.number,
            previous: (self.number > 1).then(|| href(self.number - 1)),
            next: more.then(|| href(self.number + 1)),
        }
    }
}

/// The links to the pages around one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pager {
    /// The page's number.
    pub(super) number: u32,
    /// Where the page before is.
    pub(super) previous: Option<String>,
    /// Where the page after is.
    pub(super) next: Option<String>,
}

/// The last page: what lies behind it is found by search.
const PAGES_MAX: u32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_links_to_those_around_it_and_keeps_the_query() {
        let page = PageOf::read("2", 3);
        assert_eq!(page.range(), (3, 4));
        let mut lines = vec![1, 2, 3, 4];
        let pager = page.cut(&mut lines, "/a", &[("q", "х y"), ("role", "")]);
        assert_eq!(lines, [1, 2, 3]);
        let previous = Some("/a?q=%D1%85%20y&page=1".to_owned());
        assert_eq!(pager.previous, previous);
        assert!(pager.next.is_some_and(|href| href.ends_with("page=3")));
    }

    #[test]
    fn what_is_no_page_is_the_first_and_the_last_line_ends_the_list() {
        for typed in ["", "0", "-1", "x", "99999999999999"] {
            assert_eq!(PageOf::read(typed, 3).number, 1, "{typed}");
        }
        let pager = PageOf::read("", 3).cut(&mut vec![1, 2, 3], "/a", &[]);
        assert_eq!((pager.previous, pager.next), (None, None));
    }
}
