//! `audit`: the log of who did what, and whether it is whole.

use anyhow::{Context as _, bail};
use clap::Subcommand;
use qorgan_protocol::crypto::Sha256;
use qorgan_protocol::time::WallTime;

use super::say;
use super::schedule::local;
use crate::state::AppState;
use qorgan_store::audit::{self, Chain, LISTED_MAX};

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Check that no entry was changed, removed, added or moved. Prints the hash of the newest entry:
    /// note it down elsewhere, and give it back later with `--head`.
    Verify {
        /// A hash that was noted down before; it must be found in the log.
        #[arg(long)]
        head: Option<String>,
    },
    /// Print entries, newest first: number, time, who, what was done, to what, details.
    List {
        /// Only entries with a number below this one.
        #[arg(long)]
        before: Option<i64>,
        /// Only entries about this identifier.
        #[arg(long)]
        subject: Option<String>,
        /// The most entries that are printed.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(LISTED_MAX)))]
        limit: u32,
    },
}

impl Audit {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        match self {
            Self::Verify { head } => verify(state, head.as_deref()).await?,
            Self::List {
                before,
                subject,
                limit,
            } => {
                let entries = audit::list(&state.store, before, subject.as_deref(), limit).await?;
                for one in entries {
                    let at = local(WallTime::from_unix_ms(one.at_ms), state)?;
                    say(&format!(
                        "{}\t{at}\t{}\t{}\t{}\t{}",
                        one.id, one.actor, one.action, one.subject, one.detail
                    ));
                }
            }
        }
        state.store.close().await;
        Ok(())
    }
}

async fn verify(state: &AppState, noted: Option<&str>) -> anyhow::Result<()> {
    let noted = noted.map(|text| {
        let mut hash = [0; 32];
        hex::decode_to_slice(text.trim(), &mut hash)
            .with_context(|| format!("`{text}` is no hash of 64 hexadecimal digits"))?;
        anyhow::Ok(Sha256(hash))
    });
    match audit::verify(&state.store, noted.transpose()?).await? {
        Chain::Whole { entries, head } => {
            say(&format!("WHOLE: {entries} entries, head {head}"));
            Ok(())
        }
        Chain::Broken { entry, why } => bail!("BROKEN at entry {entry}: {why}"),
    }
}
