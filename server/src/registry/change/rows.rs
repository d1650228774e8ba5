//! How many incidents of an attempt are kept, by who saw them.

use qorgan_protocol::ids::IncidentId;
use qorgan_protocol::incident::IncidentKind;

use super::super::cell::Witness;
use super::super::error::RegistryError;
use super::{Change, Entry, SERVER};

/// How many incidents of an attempt each witness made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    machine: i64,
    server: i64,
}

impl Rows {
    const fn and_one(self, witness: Witness) -> Self {
        match witness {
            Witness::Machine => Self {
                machine: self.machine.saturating_add(1),
                ..self
            },
            Witness::Server => Self {
                server: self.server.saturating_add(1),
                ..self
            },
        }
    }
}

impl Change<'_> {
    /// Inserts an incident; `None` where the attempt holds as many of its witness as are kept. What
    /// the server saw takes no room of the machine's, and the other way round, so that neither can be
    /// used up to hide the other.
    pub(super) async fn insert(
        &mut self,
        entry: &Entry<'_>,
    ) -> Result<Option<IncidentId>, RegistryError> {
        let rows = self.rows().await?;
        let (kept, most) = match entry.key.witness {
            Witness::Machine => (rows.machine, MACHINES_MAX),
            Witness::Server => (rows.server, SERVERS_MAX),
        };
        if kept < most {
            self.rows = Some(rows.and_one(entry.key.witness));
            return self.insert_row(entry).await.map(Some);
        }
        self.tell_full(entry.key.witness, most).await?;
        Ok(None)
    }

    /// Says once that no more incidents of a witness are kept; counts what came after.
    async fn tell_full(&mut self, witness: Witness, most: i64) -> Result<(), RegistryError> {
        let detail = match witness {
            Witness::Machine => format!(
                "{most} incidents that the machine told are kept; what was seen after them stands \
                 in the recording's events"
            ),
            Witness::Server => format!("{most} incidents that the server saw are kept"),
        };
        let told = qorgan_store::query(
            "UPDATE incidents SET observations = observations + 1, ended_ms = $4 \
             WHERE attempt_id = $1 AND detector = $2 AND detail = $3",
        )
        .bind(self.state.facts.attempt.to_string())
        .bind(SERVER)
        .bind(&detail)
        .bind(self.now.unix_ms())
        .execute(&mut *self.tx)
        .await?;
        if told.rows_affected() > 0 {
            return Ok(());
        }
        tracing::error!(attempt = %self.state.facts.attempt, most, "No more incidents are kept");
        let last = Entry {
            ended: Some(self.now),
            scored: None,
            ..self.servers(IncidentKind::NotWatched, self.now, &detail)
        };
        self.insert_row(&last).await.map(drop)
    }

    async fn rows(&mut self) -> Result<Rows, RegistryError> {
        if let Some(rows) = self.rows {
            return Ok(rows);
        }
        let (server, all): (i64, i64) = qorgan_store::query_as(
            "SELECT COUNT(*) FILTER (WHERE detector = $2), COUNT(*) FROM incidents \
             WHERE attempt_id = $1",
        )
        .bind(self.state.facts.attempt.to_string())
        .bind(SERVER)
        .fetch_one(&mut *self.tx)
        .await?;
        let rows = Rows {
            machine: all.saturating_sub(server),
            server,
        };
        self.rows = Some(rows);
        Ok(rows)
    }
}

/// The most incidents of an attempt that its machine tells: a candidate in three hours makes a few
/// dozen, and a person has to judge each.
const MACHINES_MAX: i64 = 1_000;
/// The most incidents of an attempt that the server saw.
const SERVERS_MAX: i64 = 2_000;
