//! `attempt`: legal holds and deletion.

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use qorgan_protocol::ids::{AttemptId, PersonId};
use qorgan_server_core::login::fold_login;

use super::say;
use crate::retention;
use crate::state::AppState;
use qorgan_base::keys;
use qorgan_store::people::by_login;

#[derive(Debug, Subcommand)]
pub(super) enum Attempt {
    /// Keep an attempt's recording beyond its term, until the hold is lifted.
    Hold(Decision),
    /// Lift the hold; the recording is deleted when its term ends.
    Release(Decision),
    /// Delete the recording of an attempt that ended: its key is destroyed, then its files are
    /// removed. A running server does so within seconds. Acts, verdicts and the audit log stay.
    Delete(Decision),
}

#[derive(Debug, Args)]
pub(super) struct Decision {
    /// The attempt's identifier.
    attempt: AttemptId,
    /// The reason, as it shall stand in the audit log.
    #[arg(long)]
    reason: String,
    /// The login of the member of staff who decided.
    #[arg(long)]
    by: String,
}

impl Attempt {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        match self {
            Self::Hold(decision) => {
                decision.hold(state, true).await?;
                say("Held: it is not deleted before the hold is lifted");
            }
            Self::Release(decision) => {
                decision.hold(state, false).await?;
                say("Released: it is deleted when its term ends");
            }
            Self::Delete(decision) => decision.delete(state).await?,
        }
        state.store.close().await;
        Ok(())
    }
}

impl Decision {
    async fn hold(&self, state: &AppState, held: bool) -> anyhow::Result<()> {
        let by = self.decider(state).await?;
        retention::hold(state, self.attempt, (by, &self.reason), held).await?;
        Ok(())
    }

    async fn delete(&self, state: &AppState) -> anyhow::Result<()> {
        let by = self.decider(state).await?;
        retention::ask(state, self.attempt, (by, &self.reason)).await?;
        // A server may hold the key in memory and the files open: it deletes by itself.
        match keys::hold(&state.data) {
            Ok(held) => {
                retention::delete_due(state).await?;
                drop(held);
                say("Deleted");
            }
            Err(_runs) => say("Asked for: the running server deletes it within seconds"),
        }
        Ok(())
    }

    async fn decider(&self, state: &AppState) -> anyhow::Result<PersonId> {
        let login = fold_login(&self.by);
        let person = by_login(state.store.read(), &login)
            .await?
            .with_context(|| format!("nobody has the login `{login}`"))?;
        if state.auth.roles(person).await?.is_empty() {
            bail!("`{login}` is no member of staff");
        }
        Ok(person)
    }
}
