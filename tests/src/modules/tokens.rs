//! Rust text as words, marks and texts; comments are left out.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// One token and the line that it stands on, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// An identifier or a keyword.
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
///
/// # Errors
/// Fails where the text is not made of Rust's tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let stream: TokenStream = text
        .parse()
        .map_err(|error: proc_macro2::LexError| anyhow!("{:?}: {error}", error.span().start()))?;
    let mut found = Vec::new();
    flatten(stream, &mut found);
    Ok(found)
}

fn flatten(stream: TokenStream, found: &mut Vec<Token>) {
    let mut trees = stream.into_iter();
    while let Some(tree) = trees.next() {
        let line = tree.span().start().line;
        let kind = match tree {
            TokenTree::Group(group) => {
                let (open, close) = marks_of(group.delimiter());
                found.extend(open.map(|mark| token(Kind::Mark(mark), line)));
                flatten(group.stream(), found);
                let line = group.span_close().start().line;
                found.extend(close.map(|mark| token(Kind::Mark(mark), line)));
                None
            }
            TokenTree::Ident(word) => Some(Kind::Word(word.to_string())),
            TokenTree::Punct(mark) if mark.as_char() == ':' && mark.spacing() == Spacing::Joint => {
                trees.next();
                Some(Kind::Colons)
            }
            // The quote of a lifetime.
            TokenTree::Punct(mark) if mark.as_char() == '\'' => None,
            TokenTree::Punct(mark) => Some(Kind::Mark(mark.as_char())),
            TokenTree::Literal(literal) => inside(&literal.to_string()).map(Kind::Text),
        };
        found.extend(kind.map(|kind| token(kind, line)));
    }
}

const fn token(kind: Kind, line: usize) -> Token {
    Token { kind, line }
}

const fn marks_of(delimiter: Delimiter) -> (Option<char>, Option<char>) {
    match delimiter {
        Delimiter::Parenthesis => (Some('('), Some(')')),
        Delimiter::Brace => (Some('{'), Some('}')),
        Delimiter::Bracket => (Some('['), Some(']')),
        Delimiter::None => (None, None),
    }
}

/// Returns what stands between the quotes of a text; nothing of a number or a character.
fn inside(literal: &str) -> Option<String> {
    let (_, rest) = literal
        .split_once('"')
        .filter(|_| !literal.starts_with('\''))?;
    let (text, _) = rest.rsplit_once('"')?;
    Some(text.to_owned())
}
