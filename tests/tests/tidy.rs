//! What every file of the tree keeps to, beyond what the compiler checks.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]
#![expect(
    clippy::print_stdout,
    reason = "the table and the warnings are for whoever runs it"
)]

use std::collections::BTreeSet;
use std::path::Path;

use qorgan_tests::tree::{SourceFile, files, paths, top};

const FOLDERS: [&str; 6] = [
    "agent",
    "client",
    "installer",
    "protocol",
    "server",
    "tests",
];
const LINES_WARNED: usize = 600;
const LINES_MAX: usize = 1000;

#[test]
fn the_top_holds_six_folders_and_nothing_else_but_dotted_ones() {
    let found: BTreeSet<_> = paths()
        .expect("git lists the tree")
        .iter()
        .filter_map(|path| path.split_once('/').map(|(folder, _)| folder.to_owned()))
        .filter(|folder| !folder.starts_with('.'))
        .collect();

    assert_eq!(found, FOLDERS.map(str::to_owned).into());
}

#[test]
fn each_promise_names_tests_that_are_there() {
    let security = read("SECURITY.md");
    let cited = cited_tests(&security);
    let sources = files(&["rs"]).expect("git lists the tree");
    let is_there = |name: &&str| {
        let begins = format!("fn {name}(");
        sources.iter().any(|file| file.text.contains(&begins))
    };

    let missing: Vec<_> = cited.iter().filter(|name| !is_there(name)).collect();

    assert!(cited.len() > 30, "promises cite tests: {cited:?}");
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

#[test]
fn every_crate_inherits_the_lints() {
    let bare: Vec<_> = manifests()
        .into_iter()
        .filter(|manifest| !manifest.text.contains("[lints]\nworkspace = true"))
        .map(|manifest| manifest.path)
        .collect();

    assert!(
        bare.is_empty(),
        "crates without `[lints] workspace = true`: {bare:?}"
    );
}

#[test]
fn every_dependency_comes_from_the_workspace_table() {
    let strays = manifests()
        .iter()
        .flat_map(stray_dependencies)
        .collect::<Vec<_>>();

    assert!(
        strays.is_empty(),
        "write `NAME.workspace = true`: {strays:#?}"
    );
}

#[test]
fn the_workspace_table_turns_default_features_off() {
    let manifest = read("Cargo.toml");

    let on: Vec<_> = section(&manifest, "[workspace.dependencies]")
        .filter(|line| line.contains('=') && !line.contains("path = "))
        .filter(|line| !line.contains("default-features = false"))
        .collect();

    assert!(on.is_empty(), "dependencies with default features: {on:#?}");
}

#[test]
fn only_the_agents_own_feature_turns_simulated_sources_on() {
    let on: Vec<_> = manifests()
        .iter()
        .flat_map(|manifest| {
            let path = manifest.path.clone();
            manifest
                .lines()
                .filter(|(_, line)| line.contains("features = [") && line.contains("\"simulated\""))
                .map(move |(number, line)| format!("{path}:{number}: {line}"))
                .collect::<Vec<_>>()
        })
        .collect();

    assert!(on.is_empty(), "the packaged agent would simulate: {on:#?}");
}

#[test]
fn every_crate_is_named_in_the_architecture() {
    let architecture = read("ARCHITECTURE.md");
    let unnamed: Vec<_> = manifests()
        .into_iter()
        .filter_map(|manifest| manifest.path.strip_suffix("/Cargo.toml").map(str::to_owned))
        .filter(|folder| !architecture.contains(&format!("`{folder}`")))
        .collect();

    assert!(
        unnamed.is_empty(),
        "ARCHITECTURE.md does not name {unnamed:?}"
    );
}

#[test]
fn no_source_file_is_longer_than_a_thousand_lines() {
    let long: Vec<_> = files(&["rs", "js", "css", "html", "sql"])
        .expect("git lists the tree")
        .into_iter()
        .map(|file| (file.text.lines().count(), file.path))
        .filter(|(lines, _)| *lines > LINES_WARNED)
        .collect();

    for (lines, path) in &long {
        println!("{path} has {lines} lines; split it before it grows");
    }
    assert!(
        long.iter().all(|(lines, _)| *lines <= LINES_MAX),
        "too long: {long:?}"
    );
}

#[test]
fn unsafe_code_stands_only_behind_a_seam() {
    let strays = found_in_code(|file, line| {
        is_product(&file.path)
            && !is_behind_seam(&file.path)
            && words(line).any(|word| word == "unsafe")
    });

    assert!(strays.is_empty(), "unsafe outside `imp/`: {strays:#?}");
}

#[test]
fn only_a_facade_chooses_by_operating_system() {
    let strays = found_in_code(|file, line| {
        let chooses = SYSTEM_CHOICES.iter().any(|choice| line.contains(choice));
        chooses && is_product(&file.path) && !is_behind_seam(&file.path) && !is_facade(&file.path)
    });

    assert!(
        strays.is_empty(),
        "`cfg` of a system outside a facade: {strays:#?}"
    );
}

#[test]
fn nothing_is_left_to_be_done_and_no_test_is_switched_off() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("todo", "!("),
        concat!("#[igno", "re"),
        concat!("#[all", "ow("),
        concat!("#![all", "ow("),
    ];

    let mut left = found_in_tree(&marks);
    left.retain(|line| !is_excused(line));

    assert!(left.is_empty(), "left over: {left:#?}");
}

#[test]
fn no_file_names_a_folder_of_somebodys_machine() {
    let folders = [
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/wo", "rk/"),
        concat!("/Us", "ers/"),
        concat!("C:\\Us", "ers"),
    ];

    let named = found_in_tree(&folders);

    assert!(named.is_empty(), "machine paths: {named:#?}");
}

#[test]
fn no_file_names_the_host_of_a_registry() {
    let hosts = [
        concat!("crates", ".io/"),
        concat!("pypi", ".org"),
        concat!("pythonhosted", ".org"),
        concat!("npmjs", ".org"),
        concat!("deb.debian", ".org"),
        concat!("static.rust-lang", ".org"),
    ];

    let named = found_in_tree(&hosts);

    assert!(named.is_empty(), "registry hosts: {named:#?}");
}

#[test]
fn no_comment_cites_a_finding_that_is_not_in_the_tree() {
    let mut cites = Vec::new();
    for file in files(&["rs"]).expect("git lists the tree") {
        for (number, line) in file.lines() {
            let comment = line.split_once("//").map_or("", |(_, comment)| comment);
            if cites_finding(comment) {
                cites.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }

    assert!(cites.is_empty(), "say it in words: {cites:#?}");
    assert!(cites_finding("/ What is meant (M1, D12)."));
    assert!(cites_finding("/ What is meant (finding H3)."));
    assert!(!cites_finding("/ Stands on X11 (key F4)."));
}

const SYSTEM_CHOICES: [&str; 6] = [
    "cfg(target_os",
    "cfg(windows",
    "cfg(unix",
    "cfg(target_family",
    "cfg!(target_os",
    "cfg_select!",
];

const TEXTS: &[&str] = &[
    "css", "csv", "ftl", "html", "js", "json", "md", "mjs", "rs", "sh", "sql", "toml", "txt",
    "xml", "yaml", "yml",
];

fn manifests() -> Vec<SourceFile> {
    files(&["toml"])
        .expect("git lists the tree")
        .into_iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"))
        .collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(top().join(path)).expect("the file stands at the top")
}

fn section<'a>(manifest: &'a str, heading: &'a str) -> impl Iterator<Item = &'a str> {
    manifest
        .lines()
        .skip_while(move |line| line.trim() != heading)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
}

fn stray_dependencies(manifest: &SourceFile) -> Vec<String> {
    let mut is_table = false;
    let mut strays = Vec::new();
    for (number, line) in manifest.lines() {
        if line.starts_with('[') {
            is_table = line.trim_end().ends_with("dependencies]");
            if line.contains("dependencies.") {
                strays.push(format!("{}:{number}: {line}", manifest.path));
            }
        } else if is_table && line.contains('=') && !line.starts_with('#') {
            let inherits = line.contains(".workspace = true") || line.contains("workspace = true");
            let continues = line.starts_with(char::is_whitespace);
            if !inherits && !continues {
                strays.push(format!("{}:{number}: {line}", manifest.path));
            }
        }
    }
    strays
}

/// A name of a test, as SECURITY.md cites it: at least five words.
fn cited_tests(text: &str) -> BTreeSet<&str> {
    let cited = text.split('`').skip(1).step_by(2);
    let is_name = |name: &&str| name.matches('_').count() >= 4 && words(name).count() == 1;
    cited.filter(is_name).collect()
}

/// Returns the lines of code, comments and texts in quotes left out, that `is_wrong`.
fn found_in_code(is_wrong: impl Fn(&SourceFile, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files(&["rs"]).expect("git lists the tree") {
        if file.path == THIS_FILE {
            continue;
        }
        for (number, line) in file.lines() {
            let code = line.split("//").next().unwrap_or(line);
            let code = code.split('"').step_by(2).collect::<String>();
            if is_wrong(&file, &code) {
                found.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    found
}

fn found_in_tree(marks: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files(TEXTS).expect("git lists the tree") {
        for (number, line) in file.lines() {
            if marks.iter().any(|mark| line.contains(mark)) {
                found.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    found
}

/// Helpers that several test binaries share leave some of them unused code, which `expect`
/// cannot say; a test that plays another process's part is run by name alone.
fn is_excused(line: &str) -> bool {
    let is_helper = line.contains("/tests/") && line.contains(concat!("all", "ow(dead_code"));
    let is_part = line.contains("= \"is run by ");
    is_helper || is_part || line.contains("/tests/support/")
}

/// A number of a finding is a capital with one or two digits, alone in its parentheses or after
/// the word; a list of them may follow.
fn cites_finding(comment: &str) -> bool {
    let is_number = |word: &str| {
        let mut letters = word.chars();
        let is_led = letters
            .next()
            .is_some_and(|letter| letter.is_ascii_uppercase());
        let digits = letters.as_str();
        is_led && matches!(digits.len(), 1 | 2) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    comment.split('(').skip(1).any(|inside| {
        let inside = inside.split(')').next().unwrap_or(inside);
        let mut named = words(inside).filter(|word| !word.is_empty());
        let first = named.next().unwrap_or_default();
        let second = named.next().unwrap_or_default();
        is_number(first) || matches!(first, "finding" | "findings") && is_number(second)
    })
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
}

fn is_product(path: &str) -> bool {
    !path.contains("/tests/") && !path.contains("/examples/")
}

fn is_behind_seam(path: &str) -> bool {
    Path::new(path)
        .components()
        .any(|part| part.as_os_str() == "imp")
}

/// A facade is a file beside an `imp` folder, or `name.rs` beside `name/imp`.
fn is_facade(path: &str) -> bool {
    let file = top().join(path);
    let (Some(folder), Some(stem)) = (file.parent(), file.file_stem()) else {
        return false;
    };
    folder.join("imp").is_dir() || folder.join(stem).join("imp").is_dir()
}

const THIS_FILE: &str = "tests/tests/tidy.rs";
