//! `review` and `act`: a named proctor's verdict and the act, without a browser.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use qorgan_protocol::ids::{AttemptId, IncidentId, PersonId};

use super::say;
use crate::acts;
use crate::console::{Language, review_by_hand};
use crate::state::AppState;
use qorgan_store::assigned::{Named, is_assigned};
use qorgan_store::people::by_login;

#[derive(Debug, Args)]
pub(super) struct Review {
    /// The attempt's identifier.
    attempt: AttemptId,
    /// The login of the proctor in whose name it is done; the sitting must be assigned to them.
    #[arg(long)]
    by: String,
    /// The identifier of an incident that is confirmed; may be given several times.
    #[arg(long)]
    confirm: Vec<IncidentId>,
}

impl Review {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        let by = proctor(state, self.attempt, &self.by).await?;
        let verdict = review_by_hand(state, self.attempt, by, &self.confirm).await?;
        say(verdict.word());
        state.store.close().await;
        Ok(())
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Act {
    /// Make the act of an attempt whose review ended with a violation, and print its number. An act
    /// that was made before is only written to the file again.
    Make {
        /// The attempt's identifier.
        attempt: AttemptId,
        /// The file to which the sealed PDF is written; it must not exist yet.
        #[arg(long)]
        out: PathBuf,
        /// The login of the proctor whose act it is; needed for a new act.
        #[arg(long)]
        by: Option<String>,
        /// The language of the act.
        #[arg(long, default_value = "kk", value_parser = super::LANGUAGES)]
        language: String,
    },
}

impl Act {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        let Self::Make {
            attempt,
            out,
            by,
            language,
        } = self;
        let language = Language::from_code(&language).context("none of kk, ru, en")?;
        let act = match acts::of_attempt(state, attempt).await? {
            Some((id, _number)) => id.parse()?,
            None => {
                let by = by.context("say with --by whose act it is")?;
                let by = proctor(state, attempt, &by).await?;
                acts::make(state, attempt, by, language).await?.id
            }
        };
        let sealed = acts::sealed_pdf(state, act)
            .await?
            .context("the act is gone")?;
        qorgan_base::platform::write_new_private(&out, &sealed.pdf)
            .with_context(|| format!("cannot write {}", out.display()))?;
        say(&sealed.number);
        state.store.close().await;
        Ok(())
    }
}

/// Returns the proctor with a login, to whom the attempt's sitting is assigned.
async fn proctor(state: &AppState, attempt: AttemptId, login: &str) -> anyhow::Result<PersonId> {
    let person = by_login(state.store.read(), login)
        .await?
        .with_context(|| format!("nobody has the login `{login}`"))?;
    if !state
        .auth
        .roles(person)
        .await?
        .contains(&crate::auth::StaffRole::Proctor)
    {
        bail!("`{login}` is no proctor");
    }
    let named = attempt.to_string();
    if !is_assigned(&state.store, person, Named::Attempt(&named)).await? {
        bail!("`{login}` is not assigned to this attempt's sitting; `sitting assign` assigns");
    }
    Ok(person)
}
