//! What the office says of a candidate and a sitting, read whenever it decides something.

use qorgan_protocol::attempt::Entry;
use qorgan_protocol::time::WallTime;
use sqlx::Row as _;

use super::Registry;
use super::cell::CellState;
use super::error::RegistryError;

impl Registry {
    /// Reads what the office says of the candidate and the sitting now (finding M8).
    pub(super) async fn entry(&self, state: &mut CellState) -> Result<Entry, RegistryError> {
        let row = sqlx::query(
            "SELECT s.opens_ms, s.closes_ms, d.admitted, d.reason \
             FROM attempts a JOIN sittings s ON s.id = a.sitting_id \
             LEFT JOIN admissions d ON d.sitting_id = a.sitting_id AND d.person_id = a.person_id \
             WHERE a.id = $1",
        )
        .bind(state.facts.attempt.to_string())
        .fetch_one(self.inner.store.read())
        .await?;
        let facts = &mut state.facts;
        facts.opens = WallTime::from_unix_ms(row.try_get("opens_ms")?);
        facts.closes = WallTime::from_unix_ms(row.try_get("closes_ms")?);
        facts.admitted = row.try_get::<Option<bool>, _>("admitted")?.unwrap_or(false);
        facts.reason = row
            .try_get::<Option<String>, _>("reason")?
            .unwrap_or_default();
        Ok(Entry {
            admitted: facts.admitted,
            opens: facts.opens,
            closes: facts.closes,
        })
    }
}
