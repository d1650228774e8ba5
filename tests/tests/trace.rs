//! Every clause of the procedure that is due is kept by code and proved by a test.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]
#![expect(
    clippy::print_stdout,
    reason = "the table and the warnings are for whoever runs it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use qorgan_tests::tree::{SourceFile, files};

const CLAUSES: &str = "tests/data/sop-2-28.md";

#[test]
fn every_due_clause_is_cited_by_code_and_by_a_test() {
    let trace = Trace::read();

    let table = trace.table();
    println!("{table}");

    let open: Vec<_> = trace
        .clauses
        .values()
        .filter(|clause| clause.is_due && !clause.is_traced())
        .collect();
    assert!(
        open.is_empty(),
        "due clauses without code or test: {open:#?}\n{table}"
    );
}

#[test]
fn every_citation_names_a_clause_that_exists() {
    let trace = Trace::read();

    assert!(
        trace.unknown.is_empty(),
        "no such clause: {:#?}",
        trace.unknown
    );
}

#[test]
fn all_twenty_two_clauses_stand_in_the_file_in_order() {
    let trace = Trace::read();

    let numbers: BTreeSet<_> = trace.clauses.values().map(|clause| clause.number).collect();
    assert_eq!(numbers, (1..=22).collect());
    assert_eq!(trace.clauses.len(), 22);
}

#[test]
fn the_clauses_due_are_the_ones_that_were_promised() {
    let trace = Trace::read();

    let due: BTreeSet<_> = trace
        .clauses
        .values()
        .filter(|clause| clause.is_due)
        .map(|clause| clause.number)
        .collect();
    assert_eq!(due, BTreeSet::from([3, 7, 8, 9, 10, 11, 13, 17]));
}

#[derive(Debug)]
struct Clause {
    number: u32,
    is_due: bool,
    kept_at: BTreeSet<String>,
    proved_at: BTreeSet<String>,
}

impl Clause {
    fn is_traced(&self) -> bool {
        !self.kept_at.is_empty() && !self.proved_at.is_empty()
    }
}

#[derive(Debug)]
struct Trace {
    clauses: BTreeMap<String, Clause>,
    unknown: Vec<String>,
}

impl Trace {
    fn read() -> Self {
        let sources = files(&["md", "rs", "sql", "html", "js"]).expect("git lists the tree");
        let text = sources
            .iter()
            .find(|file| file.path == CLAUSES)
            .map(|file| file.text.as_str())
            .expect("the clauses stand in the tree");
        let mut trace = Self {
            clauses: clauses(text),
            unknown: Vec::new(),
        };
        for file in sources.iter().filter(|file| !file.has_extension("md")) {
            trace.read_file(file);
        }
        trace
    }

    fn read_file(&mut self, file: &SourceFile) {
        let lines: Vec<_> = file.lines().collect();
        for (index, (number, line)) in lines.iter().enumerate() {
            let Some(anchor) = anchor(line) else { continue };
            let place = format!("{}:{number}", file.path);
            let proves = lines
                .iter()
                .skip(index + 1)
                .map(|(_, line)| line.trim())
                .take_while(|line| line.starts_with("//="))
                .any(|line| line.replace(' ', "") == "//=type=test");
            match self.clauses.get_mut(anchor) {
                Some(clause) if proves => drop(clause.proved_at.insert(place)),
                Some(clause) => drop(clause.kept_at.insert(place)),
                None => self.unknown.push(format!("{place}: #{anchor}")),
            }
        }
    }

    fn table(&self) -> String {
        let mut rows: Vec<_> = self.clauses.iter().collect();
        rows.sort_by_key(|(_, clause)| clause.number);
        let mut table = String::from("clause                  due    code  tests\n");
        for (anchor, clause) in rows {
            let due = if clause.is_due { "now" } else { "-" };
            let (kept, proved) = (clause.kept_at.len(), clause.proved_at.len());
            writeln!(table, "{anchor:<23} {due:<5} {kept:>5} {proved:>6}")
                .expect("a string takes every write");
        }
        table
    }
}

fn clauses(text: &str) -> BTreeMap<String, Clause> {
    let mut clauses = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(heading) = line.strip_prefix("## ") else {
            continue;
        };
        let (number, _) = heading
            .split_once(' ')
            .expect("a heading is a number and a name");
        let due = lines.next().expect("a heading is followed by its term");
        assert!(
            ["Due: now", "Due: later", "Due: never"].contains(&due),
            "{heading}: {due}?"
        );
        let clause = Clause {
            number: number.parse().expect("a heading starts with a number"),
            is_due: due == "Due: now",
            kept_at: BTreeSet::new(),
            proved_at: BTreeSet::new(),
        };
        clauses.insert(heading.replace(' ', "-"), clause);
    }
    clauses
}

fn anchor(line: &str) -> Option<&str> {
    let cited = line.trim().strip_prefix("//= ")?.strip_prefix(CLAUSES)?;
    cited.strip_prefix('#').map(str::trim_end)
}
