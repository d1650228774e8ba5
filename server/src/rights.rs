//! Rights of staff: given and taken by an administrator or on the command line, and by nobody else.
//!
//! # Invariants
//! * A change stands in the audit log with the rights before and after, in its own transaction.
//! * A change ends every session of the account; an account that gets its first right gets a
//!   one-time password with it, for whoever imported the account may know the one before.
//! * An administrator is left, and nobody takes that right from themselves.

use qorgan_protocol::ids::PersonId;
use qorgan_server_core::login::fold_login;

use crate::auth::{AuthError, OneTimePassword, StaffRole};
use crate::state::AppState;
use qorgan_store::people::by_login;
use qorgan_store::{StoreError, WriteTx, audit};

/// Says why rights are not changed.
#[derive(Debug, thiserror::Error)]
pub enum RightsError {
    /// Nobody has this login.
    #[error("nobody has this login")]
    NoAccount,
    /// No administrator would be left.
    #[error("no administrator would be left: make somebody else one first")]
    LastAdministrator,
    /// An administrator would take the right from themselves.
    #[error("an administrator's right is taken by another administrator")]
    OwnRight,
    /// Somebody else changed the rights at the same time.
    #[error("somebody else changed these rights at the same time: look and try again")]
    Meanwhile,
    /// A password cannot be made.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<qorgan_store::SqlError> for RightsError {
    fn from(error: qorgan_store::SqlError) -> Self {
        Self::Store(StoreError::Sql(error))
    }
}

/// Who changes rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changer {
    /// An administrator.
    Administrator(PersonId),
    /// Whoever may use the data folder.
    CommandLine,
}

/// Rights that were changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The rights before.
    pub old: Vec<StaffRole>,
    /// The rights now.
    pub new: Vec<StaffRole>,
    /// The password of an account that had no rights before; shown once.
    pub password: Option<OneTimePassword>,
}

/// Gives an account exactly these rights.
///
/// # Errors
/// `RightsError` says why not; nothing is changed then.
pub async fn set(
    state: &AppState,
    login: &str,
    rights: &[StaffRole],
    changer: Changer,
) -> Result<Changed, RightsError> {
    let login = fold_login(login);
    let person = by_login(state.store.read(), &login).await?;
    let person = person.ok_or(RightsError::NoAccount)?;
    let mut new = rights.to_vec();
    new.sort_unstable();
    new.dedup();
    let before = state.auth.roles(person).await?;
    let one_time = if before.is_empty() && !new.is_empty() {
        let password = crate::auth::one_time()?;
        let hash = state.auth.hash_password(&password).await?;
        Some((OneTimePassword { login, password }, hash))
    } else {
        None
    };
    let mut tx = state.store.begin().await?;
    let old = roles(&mut tx, person).await?;
    if old != before {
        return Err(RightsError::Meanwhile);
    }
    check(&mut tx, person, (&old, &new), changer).await?;
    write(&mut tx, state, person, &new).await?;
    if let Some((_, hash)) = &one_time {
        let auth = &state.auth;
        auth.put_credentials(&mut tx, person, hash, true).await?;
        auth.put_code_end(&mut tx, person).await?;
    }
    let actor = match changer {
        Changer::Administrator(by) => by.to_string(),
        Changer::CommandLine => "command line".to_owned(),
    };
    let entry = audit::Entry {
        institution: state.institution(),
        at: state.clock.wall(),
        actor: &actor,
        action: ACTION,
        subject: &person.to_string(),
        detail: &format!("{} > {}", words(&old), words(&new)),
    };
    audit::write(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(Changed {
        old,
        new,
        password: one_time.map(|(password, _)| password),
    })
}

async fn check(
    tx: &mut WriteTx,
    person: PersonId,
    (old, new): (&[StaffRole], &[StaffRole]),
    changer: Changer,
) -> Result<(), RightsError> {
    let administrator = StaffRole::Administrator;
    if !old.contains(&administrator) || new.contains(&administrator) {
        return Ok(());
    }
    if changer == Changer::Administrator(person) {
        return Err(RightsError::OwnRight);
    }
    let others: i64 = qorgan_store::query_scalar(
        "SELECT COUNT(*) FROM staff_roles WHERE role = 'administrator' AND person_id <> $1",
    )
    .bind(person.to_string())
    .fetch_one(&mut **tx)
    .await?;
    if others == 0 {
        return Err(RightsError::LastAdministrator);
    }
    Ok(())
}

async fn write(
    tx: &mut WriteTx,
    state: &AppState,
    person: PersonId,
    new: &[StaffRole],
) -> Result<(), StoreError> {
    qorgan_store::query("DELETE FROM staff_roles WHERE person_id = $1")
        .bind(person.to_string())
        .execute(&mut **tx)
        .await?;
    let at = state.clock.wall();
    for role in new {
        qorgan_store::people::add_role(tx, &state.keys, at, person, role.word()).await?;
    }
    if !new.contains(&StaffRole::Proctor) {
        // Who becomes a proctor again is assigned again.
        qorgan_store::query("DELETE FROM sitting_proctors WHERE person_id = $1")
            .bind(person.to_string())
            .execute(&mut **tx)
            .await?;
    }
    // What an agent still delivers is the recording of an exam, and no session.
    qorgan_store::query(
        "UPDATE tokens SET ended_ms = $2 WHERE person_id = $1 AND kind <> 'agent' \
         AND ended_ms IS NULL",
    )
    .bind(person.to_string())
    .bind(at.unix_ms())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn roles(tx: &mut WriteTx, person: PersonId) -> Result<Vec<StaffRole>, StoreError> {
    let known: Vec<String> =
        qorgan_store::query_scalar("SELECT role FROM staff_roles WHERE person_id = $1")
            .bind(person.to_string())
            .fetch_all(&mut **tx)
            .await?;
    let mut roles: Vec<_> = known
        .iter()
        .filter_map(|word| StaffRole::from_word(word))
        .collect();
    roles.sort_unstable();
    Ok(roles)
}

/// Puts rights into words of the audit log; `-` for none.
fn words(roles: &[StaffRole]) -> String {
    if roles.is_empty() {
        return "-".to_owned();
    }
    let words: Vec<&str> = roles.iter().map(|role| role.word()).collect();
    words.join("+")
}

/// The word of a change of rights in the audit log.
pub const ACTION: &str = "rights_changed";
