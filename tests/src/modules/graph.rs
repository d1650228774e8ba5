//! From paths to arrows between siblings, and from arrows to cycles.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::read::{Module, ModulePath, modules};
use crate::tree::SourceFile;

/// Modules of one parent that all reach one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    /// The crate's folder and the parent below its root.
    pub parent: String,
    /// The modules, sorted.
    pub modules: Vec<String>,
    /// `one -> two: FILE:LINE PATH`, at most [`LINES_MAX`] an arrow.
    pub lines: Vec<String>,
}

/// Returns the cycles of the crate in `folder`, by parent.
///
/// # Errors
/// Fails where the crate has no root.
pub fn cycles(files: &[SourceFile], folder: &str) -> Result<Vec<Cycle>> {
    let modules = modules(files, folder)?;
    let mut found = Vec::new();
    for (parent, arrows) in arrows(&modules) {
        let reached = reached(&arrows);
        let mut told = BTreeSet::new();
        for (name, reaches) in &reached {
            if !reaches.contains(name) || told.contains(name) {
                continue;
            }
            let knot: BTreeSet<_> = reaches
                .iter()
                .filter(|other| reached.get(*other).is_some_and(|back| back.contains(name)))
                .cloned()
                .collect();
            told.extend(knot.iter().cloned());
            found.push(Cycle {
                parent: format!("{folder} {}", parent.join("::"))
                    .trim_end()
                    .to_owned(),
                lines: lines(&arrows, &knot),
                modules: knot.into_iter().collect(),
            });
        }
    }
    Ok(found)
}

/// From one sibling to another, with the lines that say so.
type Arrows = BTreeMap<(String, String), Vec<String>>;

fn arrows(modules: &BTreeMap<ModulePath, Module>) -> BTreeMap<ModulePath, Arrows> {
    let mut found: BTreeMap<ModulePath, Arrows> = BTreeMap::new();
    for (from, module) in modules {
        for named in &module.named {
            let Some(path) = absolute(modules, from, &named.path) else {
                continue;
            };
            let to = owner(modules, path, FOLLOWED_MAX);
            let shared = from.iter().zip(&to).take_while(|(one, two)| one == two);
            let shared = shared.count();
            let (Some(one), Some(two)) = (from.get(shared), to.get(shared)) else {
                continue;
            };
            let parent = from.iter().take(shared).cloned().collect();
            let arrow = (one.clone(), two.clone());
            let lines = found.entry(parent).or_default().entry(arrow).or_default();
            lines.push(format!(
                "{}:{} {}",
                named.file,
                named.line,
                named.path.join("::")
            ));
        }
    }
    found
}

/// Returns a path from the crate's root, where it stays in the crate.
fn absolute(
    modules: &BTreeMap<ModulePath, Module>,
    from: &[String],
    path: &[String],
) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    let below = |parent: &[String], rest: &[String]| [parent, rest].concat();
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some(below(from, rest)),
        "super" => {
            let ups = path.iter().take_while(|part| *part == "super").count();
            let parent = from.get(..from.len().checked_sub(ups)?)?;
            Some(below(parent, path.get(ups..)?))
        }
        _ => {
            let child = below(from, core::slice::from_ref(first));
            if modules.contains_key(&child) {
                return Some(below(&child, rest));
            }
            let import = modules.get(from)?.imports.get(first)?;
            if import.first() == Some(first) {
                return None;
            }
            let import = absolute(modules, from, import)?;
            Some(below(&import, rest))
        }
    }
}

/// Returns the module that has what `path` names, behind whatever passes it on.
fn owner(modules: &BTreeMap<ModulePath, Module>, path: Vec<String>, left: usize) -> ModulePath {
    let depth = (0..path.len())
        .take_while(|depth| {
            path.get(..=*depth)
                .is_some_and(|at| modules.contains_key(at))
        })
        .count();
    let (at, rest) = path.split_at(depth);
    let (Some((name, behind)), Some(module), Some(left)) =
        (rest.split_first(), modules.get(at), left.checked_sub(1))
    else {
        return at.to_vec();
    };
    let elsewhere = |stem: &[String], name: &[String]| {
        let stem = absolute(modules, at, stem)?;
        let path = [stem.as_slice(), name, behind].concat();
        (path != [at, rest].concat()).then_some(path)
    };
    if let Some(import) = module.imports.get(name) {
        return match elsewhere(import, &[]) {
            Some(path) => owner(modules, path, left),
            None => at.to_vec(),
        };
    }
    if module.items.contains(name) {
        return at.to_vec();
    }
    for glob in &module.globs {
        let there = elsewhere(glob, core::slice::from_ref(name));
        let has = absolute(modules, at, glob)
            .and_then(|stem| modules.get(&stem))
            .is_some_and(|module| module.items.contains(name) || module.imports.contains_key(name));
        if let Some(path) = there.filter(|_| has) {
            return owner(modules, path, left);
        }
    }
    at.to_vec()
}

fn reached(arrows: &Arrows) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeSet<_> = arrows.keys().map(|(from, _)| from).collect();
    let from = |name: &String| {
        let mut found = BTreeSet::new();
        let mut waiting = vec![name.clone()];
        while let Some(at) = waiting.pop() {
            let next = arrows.keys().filter(|(from, _)| *from == at);
            for (_, to) in next {
                if found.insert(to.clone()) {
                    waiting.push(to.clone());
                }
            }
        }
        found
    };
    names
        .into_iter()
        .map(|name| (name.clone(), from(name)))
        .collect()
}

fn lines(arrows: &Arrows, knot: &BTreeSet<String>) -> Vec<String> {
    arrows
        .iter()
        .filter(|((from, to), _)| knot.contains(from) && knot.contains(to))
        .flat_map(|((from, to), lines)| {
            let lines = lines.iter().take(LINES_MAX);
            lines.map(move |line| format!("{from} -> {to}: {line}"))
        })
        .collect()
}

/// How often a name is passed on at most.
const FOLLOWED_MAX: usize = 8;
/// Lines that are shown of one arrow.
const LINES_MAX: usize = 3;
