//! Rust text as words, marks and texts; comments are left out.

/// One token and the line that it stands on, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// An identifier, a keyword or a number.
    Word(String),
    /// What stands between quotes, as written.
    Text(String),
    /// `::`.
    Colons,
    /// Any other mark.
    Mark(char),
}

impl Token {
    pub(super) fn is_mark(&self, wanted: char) -> bool {
        self.kind == Kind::Mark(wanted)
    }

    pub(super) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            Kind::Text(_) | Kind::Colons | Kind::Mark(_) => None,
        }
    }
}

/// Splits a source text.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut left = Left { text, line: 1 };
    let mut found = Vec::new();
    while let Some(first) = left.text.chars().next() {
        let line = left.line;
        if let Some(kind) = left.token(first) {
            found.push(Token { kind, line });
        }
    }
    found
}

/// What is not read yet, and its first line.
struct Left<'a> {
    text: &'a str,
    line: usize,
}

impl<'a> Left<'a> {
    fn token(&mut self, first: char) -> Option<Kind> {
        if self.text.starts_with("//") {
            self.take(self.text.find('\n').unwrap_or(self.text.len()));
            return None;
        }
        if self.text.starts_with("/*") {
            self.take(comment_end(self.text));
            return None;
        }
        if let Some((hashes, open)) = raw_text(self.text) {
            self.take(open);
            let close = format!("\"{}", "#".repeat(hashes));
            let end = self.text.find(&close).unwrap_or(self.text.len());
            let inside = self.take(end);
            self.take(close.len().min(self.text.len()));
            return Some(Kind::Text(inside.to_owned()));
        }
        if first == '"' {
            self.take(1);
            let inside = self.take(text_end(self.text));
            self.take(1.min(self.text.len()));
            return Some(Kind::Text(inside.to_owned()));
        }
        if first == '\'' {
            self.take(quote_end(self.text));
            return None;
        }
        if self.text.starts_with("::") {
            self.take(2);
            return Some(Kind::Colons);
        }
        if is_of_word(first) {
            let end = self.text.find(|one| !is_of_word(one));
            let word = self.take(end.unwrap_or(self.text.len()));
            return Some(Kind::Word(word.to_owned()));
        }
        self.take(first.len_utf8());
        (!first.is_whitespace()).then_some(Kind::Mark(first))
    }

    fn take(&mut self, count: usize) -> &'a str {
        let (head, rest) = self.text.split_at_checked(count).unwrap_or((self.text, ""));
        self.line += head.matches('\n').count();
        self.text = rest;
        head
    }
}

fn is_of_word(one: char) -> bool {
    one == '_' || one.is_alphanumeric()
}

/// Returns where a block comment ends; they nest.
fn comment_end(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Returns the hashes of a raw text that begins here, and where its inside begins.
fn raw_text(text: &str) -> Option<(usize, usize)> {
    let rest = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let inside = rest.trim_start_matches('#');
    let hashes = rest.len() - inside.len();
    inside
        .starts_with('"')
        .then(|| (hashes, text.len() - inside.len() + 1))
}

/// Returns where the inside of a text ends.
fn text_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, one) in text.char_indices() {
        match one {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    text.len()
}

/// Returns where a character ends, or the quote of a lifetime.
fn quote_end(text: &str) -> usize {
    let mut inside = text.char_indices().skip(1);
    match inside.next() {
        Some((_, '\\')) => {
            let close = text.char_indices().skip(3).find(|(_, one)| *one == '\'');
            close.map_or(text.len(), |(at, _)| at + 1)
        }
        Some((_, _)) => match inside.next() {
            Some((at, '\'')) => at + 1,
            Some(_) | None => 1,
        },
        None => text.len(),
    }
}
