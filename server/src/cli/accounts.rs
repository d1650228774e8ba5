//! `init`, `admin`, `staff`.

use std::io::IsTerminal as _;

use anyhow::{Context as _, anyhow};
use clap::Subcommand;

use super::say;
use crate::auth::{OneTimePassword, StaffRole, forget_first_password, keep_first_password};
use crate::http::{enrol_link, served_address};
use crate::rights::{self, Changer};
use crate::state::AppState;
use qorgan_store::people::{NewPerson, by_login};

#[derive(Debug, Subcommand)]
pub(super) enum Admin {
    /// Give an account a new one-time password, remove its second factor, and sign it out everywhere.
    Reset {
        /// The account's login.
        #[arg(long, default_value = "admin")]
        login: String,
    },
}

impl Admin {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        let Self::Reset { login } = self;
        let reset = state
            .auth
            .reset(&login)
            .await
            .with_context(|| format!("the account `{login}` cannot be reset"))?;
        forget_first_password(&state.data, &reset.login);
        say(&format!(
            "{}  one-time password: {}",
            reset.login, reset.password
        ));
        state.store.close().await;
        Ok(())
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Staff {
    /// Add a member of staff and print a one-time password. Somebody who has an account already gets
    /// the role in addition.
    Add {
        /// The login.
        #[arg(long)]
        login: String,
        /// What they may do: `proctor`, `test_centre` or `administrator`.
        #[arg(long, value_parser = role)]
        role: StaffRole,
        /// The name that is shown; if it is left out, the login.
        #[arg(long, default_value = "")]
        name: String,
        /// The language in which the console speaks to them.
        #[arg(long, default_value = "kk", value_parser = super::LANGUAGES)]
        language: String,
    },
    /// Give an account exactly these rights, and end its sessions.
    Rights {
        /// The login.
        #[arg(long)]
        login: String,
        /// `proctor`, `test_centre` or `administrator`; may be given several times. Without it the
        /// account loses every right.
        #[arg(long, value_parser = role)]
        role: Vec<StaffRole>,
    },
}

impl Staff {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        match self {
            Self::Add {
                login,
                role,
                name,
                language,
            } => {
                let person = NewPerson {
                    display_name: if name.is_empty() { login.clone() } else { name },
                    login,
                    language,
                    ..NewPerson::default()
                };
                add(state, &person, role).await?;
            }
            Self::Rights { login, role } => change(state, &login, &role).await?,
        }
        state.store.close().await;
        Ok(())
    }
}

/// Hands the first administrator's one-time password to a person: on a terminal, else in a file that only
/// the owner reads, since what a service prints stays in its journal.
pub(super) fn hand_over(state: &AppState, first: &OneTimePassword) -> anyhow::Result<()> {
    if std::io::stdout().is_terminal() {
        say(&format!(
            "Administrator: {}  one-time password: {}",
            first.login, first.password
        ));
        return Ok(());
    }
    let path = keep_first_password(&state.data, first)?;
    say(&format!(
        "Administrator: {}  one-time password: in {} (removed once it is changed)",
        first.login,
        path.display()
    ));
    Ok(())
}

async fn add(state: &AppState, person: &NewPerson, role: StaffRole) -> anyhow::Result<()> {
    if let Some(known) = by_login(state.store.read(), &person.login).await? {
        let mut rights = state.auth.roles(known).await?;
        rights.push(role);
        return change(state, &person.login, &rights).await;
    }
    let added = state.auth.add_staff(person, role, "command line").await?;
    let one = added.context("somebody else added this login just now")?;
    tell(&one);
    Ok(())
}

async fn change(state: &AppState, login: &str, rights: &[StaffRole]) -> anyhow::Result<()> {
    let changed = rights::set(state, login, rights, Changer::CommandLine).await?;
    let words = |roles: &[StaffRole]| {
        let words: Vec<&str> = roles.iter().map(|role| role.word()).collect();
        if words.is_empty() {
            "none".to_owned()
        } else {
            words.join(", ")
        }
    };
    let (old, new) = (words(&changed.old), words(&changed.new));
    say(&format!("{login}: rights were {old}, are {new}"));
    if let Some(one) = &changed.password {
        tell(one);
    }
    Ok(())
}

fn tell(one: &OneTimePassword) {
    say(&format!(
        "{}  one-time password: {}",
        one.login, one.password
    ));
}

/// Makes the data folder and says what must be noted down.
pub(super) async fn init(state: &AppState) -> anyhow::Result<()> {
    match state.auth.first_administrator().await? {
        Some(first) => hand_over(state, &first)?,
        None => say("The data folder is there already."),
    }
    say(&format!(
        "Enrolment link: {}",
        enrol_link(state, served_address(state).await?)
    ));
    say(&format!("Server key: {}", state.keys.public_key().to_hex()));
    state.store.close().await;
    Ok(())
}

fn role(word: &str) -> anyhow::Result<StaffRole> {
    StaffRole::from_word(word)
        .ok_or_else(|| anyhow!("`{word}` is none of proctor, test_centre, administrator"))
}
