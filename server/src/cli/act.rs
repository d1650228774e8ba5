//! `review` and `act`: a named proctor's verdict and the act, without a browser.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use qorgan_protocol::ids::{AttemptId, IncidentId, PersonId};

use super::say;
use crate::acts;
use crate::console::{Language, review_by_hand};
use crate::state::AppState;
use crate::store::assigned::{Named, is_assigned};
use crate::store::people::by_login;

/// Reviews an attempt: the named incidents are confirmed, the others dismissed.
#[derive(Debug, Args)]
pub(super) struct Review {
    /// The attempt's identifier.
    attempt: AttemptId,
    /// The proctor's login.
    #[arg(long)]
    by: String,
    /// An incident that is confirmed; may be given again.
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
    /// Make the act of an attempt whose review ended with a violation; one that was made before is
    /// written out again.
    Make {
        /// The attempt's identifier.
        attempt: AttemptId,
        /// Where the sealed PDF is written.
        #[arg(long)]
        out: PathBuf,
        /// The proctor's login; needed where the act is new.
        #[arg(long)]
        by: Option<String>,
        /// `kk`, `ru` or `en`.
        #[arg(long, default_value = "kk")]
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
        crate::platform::write_new_private(&out, &sealed.pdf)
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
