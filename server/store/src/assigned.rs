//! Which proctors watch and review a sitting: what is not assigned to them, they do not see.

use std::collections::BTreeSet;

use qorgan_protocol::ids::{AttemptId, PersonId, SittingId};
use qorgan_protocol::time::WallTime;
use qorgan_server_core::login::fold_login;

use crate::audit;
use crate::sql::WriteTx;
use crate::store::{Store, StoreError, id};
use qorgan_base::keys::ServerKeys;

/// What a member of staff is shown of sittings and attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every sitting: the testing centre's, and the command line's.
    All,
    /// The sittings that are assigned to this proctor.
    Proctor(PersonId),
}

impl Scope {
    /// Returns the proctor for SQL; NULL sees all.
    pub fn proctor(self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Proctor(person) => Some(person.to_string()),
        }
    }
}

/// What a path names that belongs to a sitting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// A sitting.
    Sitting(&'a str),
    /// An attempt.
    Attempt(&'a str),
    /// An act.
    Act(&'a str),
}

/// Tells whether what a path names belongs to a sitting that is assigned to a proctor.
///
/// # Errors
/// The database failed.
pub async fn is_assigned(
    store: &Store,
    person: PersonId,
    named: Named<'_>,
) -> Result<bool, StoreError> {
    let (sql, of) = match named {
        Named::Sitting(of) => (
            "SELECT COUNT(*) FROM sitting_proctors WHERE sitting_id = $1 AND person_id = $2",
            of,
        ),
        Named::Attempt(of) => (
            "SELECT COUNT(*) FROM attempts a JOIN sitting_proctors g ON g.sitting_id = a.sitting_id \
             WHERE a.id = $1 AND g.person_id = $2",
            of,
        ),
        Named::Act(of) => (
            "SELECT COUNT(*) FROM acts c JOIN attempts a ON a.id = c.attempt_id \
             JOIN sitting_proctors g ON g.sitting_id = a.sitting_id \
             WHERE c.id = $1 AND g.person_id = $2",
            of,
        ),
    };
    let count: i64 = crate::sql::query_scalar(sql)
        .bind(of)
        .bind(person.to_string())
        .fetch_one(store.read())
        .await?;
    Ok(count > 0)
}

/// Returns the attempts under way that a proctor may watch.
///
/// # Errors
/// The database failed.
pub async fn watched(store: &Store, person: PersonId) -> Result<BTreeSet<AttemptId>, StoreError> {
    let rows: Vec<String> = crate::sql::query_scalar(
        "SELECT a.id FROM attempts a JOIN sitting_proctors g ON g.sitting_id = a.sitting_id \
         WHERE g.person_id = $1 AND a.phase_word IN ('check_in', 'ready', 'running', 'paused')",
    )
    .bind(person.to_string())
    .fetch_all(store.read())
    .await?;
    rows.iter().map(|row| id(row)).collect()
}

/// Says why a proctor is not assigned or withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum AssignError {
    /// There is no such sitting.
    #[error("there is no such sitting")]
    NoSitting,
    /// Nobody with this login is a proctor.
    #[error("nobody with this login is a proctor; `staff add` makes one")]
    NoProctor,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<crate::sql::SqlError> for AssignError {
    fn from(error: crate::sql::SqlError) -> Self {
        Self::Store(StoreError::Sql(error))
    }
}

/// Assigns a proctor to a sitting, or withdraws them from it; it stands in the audit log.
///
/// # Errors
/// `AssignError` says why not; nothing is changed then.
pub async fn assign(
    tx: &mut WriteTx,
    keys: &ServerKeys,
    (at, actor): (WallTime, &str),
    (sitting, login): (SittingId, &str),
    assigned: bool,
) -> Result<PersonId, AssignError> {
    let institution = keys.institution();
    let sitting = sitting.to_string();
    let known: i64 = crate::sql::query_scalar("SELECT COUNT(*) FROM sittings WHERE id = $1")
        .bind(&sitting)
        .fetch_one(&mut **tx)
        .await?;
    if known == 0 {
        return Err(AssignError::NoSitting);
    }
    // One who lost the role can still be withdrawn.
    let person: Option<String> = crate::sql::query_scalar(
        "SELECT p.id FROM people p WHERE p.login = $1 AND (EXISTS (SELECT 1 FROM staff_roles r \
         WHERE r.person_id = p.id AND r.role = 'proctor') OR CAST($2 AS BIGINT) = 0)",
    )
    .bind(fold_login(login))
    .bind(assigned)
    .fetch_optional(&mut **tx)
    .await?;
    let person = person.ok_or(AssignError::NoProctor)?;
    let (sql, action) = if assigned {
        (
            "INSERT INTO sitting_proctors (sitting_id, person_id, institution_id, assigned_by, \
             assigned_ms) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            "proctor_assigned",
        )
    } else {
        (
            "DELETE FROM sitting_proctors WHERE sitting_id = $1 AND person_id = $2",
            "proctor_withdrawn",
        )
    };
    let query = crate::sql::query(sql).bind(&sitting).bind(&person);
    let query = if assigned {
        query
            .bind(institution.to_string())
            .bind(actor)
            .bind(at.unix_ms())
    } else {
        query
    };
    query.execute(&mut **tx).await?;
    let entry = audit::Entry {
        institution,
        at,
        actor,
        action,
        subject: &sitting,
        detail: &person,
    };
    audit::write(tx, &entry).await?;
    Ok(id(&person)?)
}

/// Proctors of a sitting and those who could be: login and name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proctors {
    pub assigned: Vec<(String, String)>,
    pub others: Vec<(String, String)>,
}

/// Returns the proctors of a sitting, and every other proctor.
///
/// # Errors
/// The database failed.
pub async fn proctors(store: &Store, sitting: SittingId) -> Result<Proctors, StoreError> {
    let rows = crate::sql::query(
        "SELECT p.login, p.display_name, CAST(CASE WHEN g.person_id IS NOT NULL \
         THEN 1 ELSE 0 END AS BIGINT) AS assigned FROM people p \
         LEFT JOIN sitting_proctors g ON g.person_id = p.id AND g.sitting_id = $1 \
         WHERE g.person_id IS NOT NULL OR EXISTS (SELECT 1 FROM staff_roles r \
         WHERE r.person_id = p.id AND r.role = 'proctor') \
         ORDER BY assigned DESC, p.folded NULLS FIRST, p.login LIMIT $2",
    )
    .bind(sitting.to_string())
    .bind(PROCTORS_MAX)
    .fetch_all(store.read())
    .await?;
    let mut proctors = Proctors::default();
    for row in rows {
        let one = (row.get("login")?, row.get("display_name")?);
        if row.get("assigned")? {
            proctors.assigned.push(one);
        } else {
            proctors.others.push(one);
        }
    }
    Ok(proctors)
}

/// The most proctors that a sitting's page offers; the command line assigns any.
const PROCTORS_MAX: i64 = 500;
