//! The modules of a crate with the paths that their code names.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};

use super::tokens::{Kind, Token, tokens};
use crate::tree::SourceFile;

/// Where a module stands below its crate's root; empty for the root.
pub(super) type ModulePath = Vec<String>;

/// One module.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// The items that it defines.
    pub(super) items: BTreeSet<String>,
    /// What `use` gives a name here.
    pub(super) imports: BTreeMap<String, Vec<String>>,
    /// The modules whose names all come here.
    pub(super) globs: Vec<Vec<String>>,
    /// Every path that is named, imports among them.
    pub(super) named: Vec<Named>,
}

/// A path in the code.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) path: Vec<String>,
    pub(super) file: String,
    pub(super) line: usize,
}

/// Reads every module of the crate in `folder`, code of tests left out.
///
/// # Errors
/// Fails where the crate has no root.
pub(super) fn modules(files: &[SourceFile], folder: &str) -> Result<BTreeMap<ModulePath, Module>> {
    let texts: BTreeMap<_, _> = files
        .iter()
        .map(|file| (file.path.as_str(), file.text.as_str()))
        .collect();
    let root = ["lib.rs", "main.rs"]
        .map(|name| format!("{folder}/src/{name}"))
        .into_iter()
        .find(|root| texts.contains_key(root.as_str()))
        .with_context(|| format!("{folder} has no src/lib.rs and no src/main.rs"))?;
    let mut found = BTreeMap::new();
    let mut waiting = vec![Source {
        module: ModulePath::new(),
        children: format!("{folder}/src"),
        beside: format!("{folder}/src"),
        file: root,
    }];
    while let Some(source) = waiting.pop() {
        let Some(text) = texts.get(source.file.as_str()) else {
            continue;
        };
        let tokens = tokens(text).with_context(|| source.file.clone())?;
        let mut reading = Reading {
            source: &source,
            tokens: &tokens,
            at: 0,
            module: source.module.clone(),
            inline: Vec::new(),
            depth: 0,
            path: None,
            path_is_sure: false,
            found: &mut found,
            declared: Vec::new(),
        };
        reading.run();
        let declared = reading.declared;
        waiting.extend(declared.iter().flat_map(|one| one.sources(&texts)));
    }
    Ok(found)
}

/// A file that is to be read.
#[derive(Debug)]
struct Source {
    module: ModulePath,
    file: String,
    /// The folder of its modules' files.
    children: String,
    /// The folder that it stands in.
    beside: String,
}

/// `mod name;`.
#[derive(Debug)]
struct Declared {
    module: ModulePath,
    children: String,
    /// The file that `#[path]` names.
    file: Option<String>,
    /// Whether it stands there in every build.
    file_is_sure: bool,
}

impl Declared {
    fn sources(&self, texts: &BTreeMap<&str, &str>) -> Vec<Source> {
        let Some(name) = self.module.last() else {
            return Vec::new();
        };
        let own = format!("{}/{name}", self.children);
        let mut candidates = Vec::new();
        if let Some(file) = &self.file {
            candidates.push((file.clone(), folder_of(file)));
        }
        if self.file.is_none() || !self.file_is_sure {
            candidates.push((format!("{own}.rs"), own.clone()));
            candidates.push((format!("{own}/mod.rs"), own));
        }
        candidates
            .into_iter()
            .filter(|(file, _)| texts.contains_key(file.as_str()))
            .map(|(file, children)| Source {
                module: self.module.clone(),
                beside: folder_of(&file),
                file,
                children,
            })
            .collect()
    }
}

fn folder_of(file: &str) -> String {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    folder.to_owned()
}

struct Reading<'a> {
    source: &'a Source,
    tokens: &'a [Token],
    at: usize,
    module: ModulePath,
    /// The depths at which modules within the file began.
    inline: Vec<usize>,
    depth: usize,
    /// The file that the next module is said to stand in.
    path: Option<String>,
    /// Whether it stands there in every build.
    path_is_sure: bool,
    found: &'a mut BTreeMap<ModulePath, Module>,
    declared: Vec<Declared>,
}

impl Reading<'_> {
    fn run(&mut self) {
        self.here();
        while let Some(token) = self.tokens.get(self.at) {
            match &token.kind {
                Kind::Mark('#') if self.is_attribute() => self.attribute(),
                Kind::Mark(mark) => self.mark(*mark),
                Kind::Word(word) => self.word(word),
                Kind::Text(_) | Kind::Colons => self.at += 1,
            }
        }
    }

    fn here(&mut self) -> &mut Module {
        self.found.entry(self.module.clone()).or_default()
    }

    fn next_word(&self, ahead: usize) -> Option<&str> {
        self.tokens.get(self.at + ahead)?.word()
    }

    fn is_mark(&self, ahead: usize, mark: char) -> bool {
        let token = self.tokens.get(self.at + ahead);
        token.is_some_and(|token| token.is_mark(mark))
    }

    fn is_attribute(&self) -> bool {
        self.is_mark(1, '[') || (self.is_mark(1, '!') && self.is_mark(2, '['))
    }

    fn mark(&mut self, mark: char) {
        self.at += 1;
        match mark {
            '{' => self.depth += 1,
            '}' => {
                self.depth = self.depth.saturating_sub(1);
                if self.inline.last() == Some(&self.depth) {
                    self.inline.pop();
                    self.module.pop();
                }
            }
            _ => {}
        }
    }

    /// Passes over an attribute, and over what only tests see.
    fn attribute(&mut self) {
        let begin = self.at;
        while !self.is_mark(0, '[') {
            self.at += 1;
        }
        let mut depth = 0_usize;
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            if token.is_mark('[') {
                depth += 1;
            } else if token.is_mark(']') {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
        }
        let inside = self.tokens.get(begin..self.at).unwrap_or_default();
        let words: Vec<_> = inside.iter().filter_map(Token::word).collect();
        if matches!(
            words.as_slice(),
            ["cfg", "test"] | ["cfg", "all", "test", ..]
        ) {
            self.pass_item();
        } else if words.contains(&"path") {
            self.path_is_sure = words.first() == Some(&"path");
            self.path = inside.iter().rev().find_map(|token| match &token.kind {
                Kind::Text(text) => Some(text.clone()),
                Kind::Word(_) | Kind::Colons | Kind::Mark(_) => None,
            });
        }
    }

    fn pass_item(&mut self) {
        let mut depth = 0_usize;
        while let Some(token) = self.tokens.get(self.at) {
            let Kind::Mark(mark) = token.kind else {
                self.at += 1;
                continue;
            };
            match mark {
                '{' | '(' | '[' => depth += 1,
                // The parent of the item ends here.
                '}' | ')' | ']' if depth == 0 => return,
                '}' | ')' | ']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 && matches!(mark, '}' | ';' | ',') {
                return;
            }
        }
    }

    fn word(&mut self, word: &str) {
        match word {
            "use" => self.import(),
            "mod" => self.declare(),
            "struct" | "enum" | "fn" | "trait" | "type" | "const" | "static" | "union" => {
                if let Some(name) = self.next_word(1).map(str::to_owned) {
                    self.here().items.insert(name);
                }
                self.at += 1;
            }
            _ => self.named_path(),
        }
    }

    fn declare(&mut self) {
        let Some(name) = self.next_word(1).map(str::to_owned) else {
            self.at += 1;
            return;
        };
        self.here().items.insert(name.clone());
        let within: Vec<_> = self.module.iter().skip(self.source.module.len()).collect();
        let below = |folder: &str| {
            within
                .iter()
                .fold(folder.to_owned(), |folder, name| format!("{folder}/{name}"))
        };
        let path = self.path.take();
        let file = path.map(|path| match within.is_empty() {
            true => format!("{}/{path}", self.source.beside),
            false => format!("{}/{path}", below(&self.source.children)),
        });
        let children = below(&self.source.children);
        let mut module = self.module.clone();
        module.push(name);
        if self.is_mark(2, '{') {
            self.inline.push(self.depth);
            self.module = module;
            self.depth += 1;
            self.here();
        } else if self.is_mark(2, ';') {
            let file_is_sure = self.path_is_sure;
            self.declared.push(Declared {
                module,
                children,
                file,
                file_is_sure,
            });
        }
        self.at += 3;
    }

    fn import(&mut self) {
        self.at += 1;
        self.tree(&[]);
    }

    /// Reads one branch of a `use`, up to the mark after it.
    fn tree(&mut self, stem: &[String]) {
        let mut path = stem.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        let mut name = None;
        while let Some(token) = self.tokens.get(self.at) {
            match &token.kind {
                Kind::Word(word) if word == "as" => {
                    name = self.next_word(1).map(str::to_owned);
                    self.at += 2;
                }
                Kind::Word(word) => {
                    path.push(word.clone());
                    self.at += 1;
                }
                Kind::Mark('{') => return self.branches(&path),
                Kind::Mark('*') => {
                    self.at += 1;
                    self.here().globs.push(path.clone());
                    return self.name(path, line);
                }
                Kind::Colons => self.at += 1,
                Kind::Mark(_) | Kind::Text(_) => break,
            }
        }
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        let Some(name) = name.or_else(|| path.last().cloned()) else {
            return;
        };
        self.here().imports.insert(name, path.clone());
        self.name(path, line);
    }

    fn branches(&mut self, stem: &[String]) {
        self.at += 1;
        while self.at < self.tokens.len() {
            if self.is_mark(0, '}') {
                self.at += 1;
                return;
            }
            if self.is_mark(0, ',') {
                self.at += 1;
            } else {
                self.tree(stem);
            }
        }
    }

    /// Reads `one::two::Three` in the code.
    fn named_path(&mut self) {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let goes_on = before.is_some_and(|token| token.kind == Kind::Colons || token.is_mark('.'));
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        let mut path = Vec::new();
        while let Some(word) = self.next_word(0) {
            path.push(word.to_owned());
            self.at += 1;
            let colons = self.tokens.get(self.at);
            if colons.is_some_and(|token| token.kind == Kind::Colons) && self.next_word(1).is_some()
            {
                self.at += 1;
            } else {
                break;
            }
        }
        if path.len() > 1 && !goes_on {
            self.name(path, line);
        }
    }

    fn name(&mut self, path: Vec<String>, line: usize) {
        let file = self.source.file.clone();
        self.here().named.push(Named { path, file, line });
    }
}
