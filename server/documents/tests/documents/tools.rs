//! The outside tools that judge the documents.

#![expect(
    clippy::panic,
    reason = "a missing tool stops the test with the remedy"
)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs a tool and returns what it said.
///
/// # Panics
/// Panics with the remedy when the tool is not installed.
pub(crate) fn tool(program: &str, package: &str, arguments: &[&str]) -> Output {
    match Command::new(program).args(arguments).output() {
        Ok(output) => output,
        Err(error) => panic!("{program} does not run ({error}): install the package {package}"),
    }
}

/// Returns the text of a PDF as poppler reads it, line by line, without its indents.
pub(crate) fn text_of(pdf: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder for the document");
    let path = write(folder.path(), "act.pdf", pdf);
    let output = tool(
        "pdftotext",
        "poppler-utils",
        &["-layout", "-enc", "UTF-8", &path, "-"],
    );
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8 was asked for");
    text.replace('\u{c}', "\n")
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Writes a file and returns its path as tools take it.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("the folder can be written");
    path.into_os_string()
        .into_string()
        .expect("temporary folders have plain names")
}

/// Runs one of this folder's Python helpers.
///
/// # Panics
/// Panics with the remedy when Python or pyHanko is missing.
pub(crate) fn python(script: &str, arguments: &[&str]) -> String {
    let interpreter = interpreter();
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(script);
    let output = match Command::new(&interpreter)
        .arg(&script)
        .args(arguments)
        .output()
    {
        Ok(output) => output,
        Err(error) => panic!("{} does not run ({error}): {REMEDY}", interpreter.display()),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("No module named"), "{said}\n{REMEDY}");
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("the helpers write UTF-8")
}

fn interpreter() -> PathBuf {
    env::var_os("QORGAN_PYTHON").map_or_else(
        || {
            let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
                || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
                PathBuf::from,
            );
            target.join("qorgan-venv/bin/python")
        },
        PathBuf::from,
    )
}

const REMEDY: &str = "let QORGAN_PYTHON name a Python that has pyHanko, or make one with \
    `python3 -m venv target/qorgan-venv && target/qorgan-venv/bin/pip install pyhanko`";
