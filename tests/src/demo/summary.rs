//! What a walk through the demo leaves behind: `summary.json` and lines on the
//! terminal while it goes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

/// One phase of the walk.
#[derive(Debug, Clone, Serialize)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// When it began, in milliseconds since the walk began.
    pub began_ms: u64,
    /// How long it took.
    pub took_ms: u64,
    /// What was seen, in one line.
    pub seen: String,
    /// Whether what should be seen was.
    pub passed: bool,
}

/// Everything that `summary.json` holds.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Whether every phase passed.
    pub passed: bool,
    /// How long the walk took.
    pub took_ms: u64,
    /// The phases in order.
    pub phases: Vec<Phase>,
    /// What feeds each stream, as the agent stated it to the server.
    pub sources: Vec<Value>,
    /// The incidents of the attempt.
    pub incidents: Vec<Value>,
    /// What `verify` said of the export.
    pub verification: Value,
    /// Figures that were measured on the way, by name with its unit.
    pub figures: BTreeMap<String, f64>,
    /// Where things lie, from the folder of this file.
    pub paths: BTreeMap<String, String>,
}

/// A walk in progress.
pub struct Walk<'a> {
    start: Instant,
    out: PathBuf,
    say: &'a mut dyn Write,
    /// What is known so far.
    pub summary: Summary,
}

impl std::fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk")
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

impl<'a> Walk<'a> {
    /// Begins a walk whose pieces go to `out` and whose lines go to `say`.
    pub fn begin(out: &Path, say: &'a mut dyn Write) -> Self {
        let summary = Summary::default();
        Self {
            start: Instant::now(),
            out: out.to_path_buf(),
            say,
            summary,
        }
    }

    /// Returns the folder of what the walk leaves.
    #[must_use]
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// Says a line.
    ///
    /// # Errors
    /// Fails where the terminal is gone.
    pub fn say(&mut self, line: &str) -> Result<()> {
        writeln!(self.say, "{line}")?;
        Ok(self.say.flush()?)
    }

    /// Runs one phase; what it returns is its line in the summary.
    ///
    /// # Errors
    /// Passes the phase's error on, after it is in the summary.
    pub fn phase(
        &mut self,
        name: &str,
        act: impl FnOnce(&mut Self) -> Result<String>,
    ) -> Result<()> {
        let began = self.start.elapsed();
        self.say(&format!("{:>6.1} s  {name} …", began.as_secs_f64()))?;
        let outcome = act(self);
        let took = self.start.elapsed().saturating_sub(began);
        let seen = match &outcome {
            Ok(seen) => seen.clone(),
            Err(error) => format!("{error:#}"),
        };
        let passed = outcome.is_ok();
        let mark = if passed { "✓" } else { "✗" };
        self.say(&format!(
            "          {mark} {seen} ({:.1} s)",
            took.as_secs_f64()
        ))?;
        let (began_ms, took_ms) = (milliseconds(began), milliseconds(took));
        let name = name.to_owned();
        self.summary.phases.push(Phase {
            name,
            began_ms,
            took_ms,
            seen,
            passed,
        });
        outcome.map(drop)
    }

    /// Notes where something lies, given inside the walk's folder.
    pub fn note_path(&mut self, name: &str, path: &Path) {
        let inside = path.strip_prefix(&self.out).unwrap_or(path);
        self.summary
            .paths
            .insert(name.to_owned(), inside.display().to_string());
    }

    /// Ends the walk and writes `summary.json`.
    ///
    /// # Errors
    /// Fails where the file cannot be written.
    pub fn end(mut self, outcome: &Result<()>) -> Result<Summary> {
        self.summary.took_ms = milliseconds(self.start.elapsed());
        self.summary.passed =
            outcome.is_ok() && self.summary.phases.iter().all(|phase| phase.passed);
        let text = serde_json::to_string_pretty(&self.summary)?;
        fs::write(self.out.join("summary.json"), text)?;
        Ok(self.summary)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn a_failed_phase_stands_in_the_summary_with_its_reason() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut said = Vec::new();
        let mut walk = Walk::begin(folder.path(), &mut said);

        walk.phase("first", |_| Ok("all well".to_owned()))
            .expect("it passes");
        let outcome = walk.phase("second", |_| bail!("no camera"));
        let summary = walk.end(&outcome).expect("the summary is written");

        assert!(!summary.passed);
        let read = fs::read_to_string(folder.path().join("summary.json")).expect("it is there");
        let read: Value = serde_json::from_str(&read).expect("it is JSON");
        assert_eq!(read["phases"][1]["seen"], "no camera");
        assert_eq!(read["phases"][0]["passed"], true);
        assert!(String::from_utf8_lossy(&said).contains("✗ no camera"));
    }
}
