//! What the server wrote down, read beside it where its database lies on this machine.

use std::path::PathBuf;
use std::process::Command;

use qorgan_protocol::ids::AttemptId;

use crate::program::run;

/// The server's database, or nothing of it.
#[derive(Debug, Clone)]
pub(super) struct Record(Option<PathBuf>);

impl Record {
    pub(super) const fn new(database: Option<PathBuf>) -> Self {
        Self(database)
    }

    /// Returns the first number of a query; `None` without a database.
    pub(super) async fn number(&self, query: &str) -> Option<i64> {
        let (database, query) = (self.0.clone()?, query.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            let mut sqlite = Command::new("sqlite3");
            run(sqlite
                .args(["-readonly", "-cmd", ".timeout 10000"])
                .arg(database)
                .arg(query))
        });
        let said = read.await.ok()?.ok()?;
        said.trim().parse().ok()
    }

    /// Returns how many responses of an attempt stand without a mark.
    pub(super) async fn in_time(&self, attempt: AttemptId) -> Option<i64> {
        let query = format!(
            "SELECT COUNT(*) FROM responses WHERE attempt_id = '{attempt}' AND mark = 'in_time'"
        );
        self.number(&query).await
    }

    /// Holds items that left and responses that count against the record of leases.
    pub(super) async fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (what, query) in [
            ("items left without a lease", ITEMS),
            ("unmarked late responses", LATE),
        ] {
            if let Some(count) = self.number(query).await
                && count > 0
            {
                faults.push(format!("{what}: {count} by the server's own record"));
            }
        }
        faults
    }
}

/// Items that left at a moment of no lease of the same attempt and epoch; a span that runs was seen
/// five seconds ago at most.
const ITEMS: &str = "SELECT COUNT(*) FROM item_fetches f WHERE NOT EXISTS (SELECT 1 FROM lease_spans s \
    WHERE s.attempt_id = f.attempt_id AND s.epoch = f.epoch AND f.at_ms >= s.began_ms - 50 \
    AND f.at_ms <= COALESCE(s.ended_ms, s.seen_ms + 30000) + 50)";
/// Responses without a mark that came later than the longest network grace after every lease.
const LATE: &str = "SELECT COUNT(*) FROM responses r WHERE r.mark = 'in_time' AND NOT EXISTS \
    (SELECT 1 FROM lease_spans s WHERE s.attempt_id = r.attempt_id \
    AND r.received_ms >= s.began_ms - 50 \
    AND r.received_ms <= COALESCE(s.ended_ms, s.seen_ms + 30000) + 20050)";
