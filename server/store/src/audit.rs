//! Who did what: written in the transaction of what was done, each entry chained to the one before.
//!
//! # Invariants
//! * An entry's hash covers every column of it and the hash of the entry before, so that a
//!   changed, removed, added or moved entry breaks the chain at its place.
//! * The head counts the entries and holds the newest hash, so that a cut end is told. Whoever may
//!   write the whole database can chain it anew; a head that was noted elsewhere then tells
//!   (`audit verify --head`).

use crate::sql::Target;
use qorgan_protocol::crypto::{Hasher as _, Sha256};
use qorgan_protocol::ids::InstitutionId;
use qorgan_protocol::time::WallTime;
use qorgan_signing::Ring;

use crate::sql::WriteTx;
use crate::store::{Store, StoreError};

/// One line of the audit log; no names, no content.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The institution.
    pub institution: InstitutionId,
    /// When.
    pub at: WallTime,
    /// Who: a person's identifier, `server` or `command line`.
    pub actor: &'a str,
    /// What, as a word.
    pub action: &'a str,
    /// On what: an identifier.
    pub subject: &'a str,
    /// Facts in few words.
    pub detail: &'a str,
}

/// An entry as it is stored, without its own hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its number, rising.
    pub id: i64,
    /// The institution.
    pub institution_id: String,
    /// When, UTC in milliseconds.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// On what.
    pub subject: String,
    /// Facts in few words.
    pub detail: String,
    /// The hash of the entry before.
    pub prev: Option<Vec<u8>>,
    /// Its own hash.
    pub hash: Option<Vec<u8>>,
}

crate::from_row!(Stored {
    id,
    institution_id,
    at_ms,
    actor,
    action,
    subject,
    detail,
    prev,
    hash,
});

impl Stored {
    /// Returns the hash of this entry after the one whose hash is `prev`: SHA-256 over the label, the
    /// hash before, and every column with its length before it.
    #[must_use]
    pub fn chained(&self, prev: &[u8]) -> Sha256 {
        let (id, at) = (self.id.to_be_bytes(), self.at_ms.to_be_bytes());
        let columns: [&[u8]; 8] = [
            prev,
            &id,
            self.institution_id.as_bytes(),
            &at,
            self.actor.as_bytes(),
            self.action.as_bytes(),
            self.subject.as_bytes(),
            self.detail.as_bytes(),
        ];
        let mut bytes = LABEL.to_vec();
        for column in columns {
            let len = u64::try_from(column.len()).unwrap_or(u64::MAX);
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(column);
        }
        Ring.sha256(&[&bytes])
    }
}

/// Writes an entry at the end of the chain.
///
/// # Errors
/// The database failed.
pub async fn write(tx: &mut WriteTx, entry: &Entry<'_>) -> Result<(), StoreError> {
    let (entries, prev) = head(&mut **tx)
        .await?
        .unwrap_or_else(|| (0, BEFORE_ALL.to_vec()));
    let last: Option<i64> = crate::sql::query_scalar("SELECT MAX(id) FROM audit_log")
        .fetch_one(&mut **tx)
        .await?;
    let stored = Stored {
        id: last.unwrap_or(0).saturating_add(1),
        institution_id: entry.institution.to_string(),
        at_ms: entry.at.unix_ms(),
        actor: entry.actor.to_owned(),
        action: entry.action.to_owned(),
        subject: entry.subject.to_owned(),
        detail: entry.detail.to_owned(),
        prev: None,
        hash: None,
    };
    let hash = stored.chained(&prev);
    crate::sql::query(
        "INSERT INTO audit_log (id, institution_id, at_ms, actor, action, subject, detail, prev, \
         hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(stored.id)
    .bind(&stored.institution_id)
    .bind(stored.at_ms)
    .bind(&stored.actor)
    .bind(&stored.action)
    .bind(&stored.subject)
    .bind(&stored.detail)
    .bind(prev)
    .bind(hash.0.as_slice())
    .execute(&mut **tx)
    .await?;
    put_head(
        tx,
        &stored.institution_id,
        (entries.saturating_add(1), &hash),
    )
    .await
}

async fn head(from: impl Into<Target<'_>>) -> Result<Option<(i64, Vec<u8>)>, StoreError> {
    let sql = "SELECT entries, hash FROM audit_head WHERE id = 1";
    Ok(crate::sql::query_as(sql).fetch_optional(from).await?)
}

async fn put_head(
    tx: &mut WriteTx,
    institution: &str,
    (entries, hash): (i64, &Sha256),
) -> Result<(), StoreError> {
    crate::sql::query(
        "INSERT INTO audit_head (id, institution_id, entries, hash) VALUES (1, $1, $2, $3) \
         ON CONFLICT (id) DO UPDATE SET entries = excluded.entries, hash = excluded.hash",
    )
    .bind(institution)
    .bind(entries)
    .bind(hash.0.as_slice())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Chains the entries from before there was a chain, once.
pub(crate) async fn chain_old(store: &Store) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    if head(&mut *tx).await?.is_some() {
        // What has no hash now was put in past the server: it stays so, and verification tells.
        return Ok(());
    }
    let (mut entries, mut prev, mut last) = (0, Sha256(BEFORE_ALL), 0);
    let mut institution = None;
    loop {
        let page = page(&mut *tx, last).await?;
        if page.is_empty() {
            break;
        }
        for one in page {
            let hash = one.chained(&prev.0);
            crate::sql::query("UPDATE audit_log SET prev = $2, hash = $3 WHERE id = $1")
                .bind(one.id)
                .bind(prev.0.as_slice())
                .bind(hash.0.as_slice())
                .execute(&mut *tx)
                .await?;
            (entries, prev, last) = (entries + 1, hash, one.id);
            institution = Some(one.institution_id);
        }
    }
    if let Some(institution) = institution {
        put_head(&mut tx, &institution, (entries, &prev)).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn page(from: impl Into<Target<'_>>, after: i64) -> Result<Vec<Stored>, StoreError> {
    let sql = "SELECT * FROM audit_log WHERE id > $1 ORDER BY id LIMIT 1000";
    Ok(crate::sql::query_as(sql)
        .bind(after)
        .fetch_all(from)
        .await?)
}

/// What a verification of the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// Every entry follows from the one before.
    Whole {
        /// How many entries there are.
        entries: i64,
        /// The newest one's hash.
        head: Sha256,
    },
    /// The chain breaks.
    Broken {
        /// The number of the first entry that does not follow.
        entry: i64,
        /// What is wrong there.
        why: &'static str,
    },
}

/// Checks the whole chain; `noted` is a head that was noted elsewhere and must be in it.
///
/// # Errors
/// The database failed.
pub async fn verify(store: &Store, noted: Option<Sha256>) -> Result<Chain, StoreError> {
    // One reading transaction, so that the head is that of the entries.
    let mut tx = store.snapshot().await?;
    let head = head(&mut tx).await?;
    let (mut entries, mut prev, mut last) = (0, Sha256(BEFORE_ALL), 0);
    let mut met = noted.is_none_or(|noted| noted == prev);
    loop {
        let page = page(&mut tx, last).await?;
        if page.is_empty() {
            break;
        }
        for one in page {
            let hash = one.chained(&prev.0);
            if let Some(why) = fault(&one, &prev, &hash) {
                return Ok(Chain::Broken { entry: one.id, why });
            }
            met = met || noted == Some(hash);
            (entries, prev, last) = (entries + 1, hash, one.id);
        }
    }
    let broken = |why| {
        let entry = last.saturating_add(1);
        Ok(Chain::Broken { entry, why })
    };
    let (counted, newest) = head.unwrap_or_else(|| (0, BEFORE_ALL.to_vec()));
    if counted != entries || newest != prev.0 {
        return broken("entries after the one before this are missing");
    }
    if !met {
        return broken("the noted head is not in the chain: it was made anew or cut");
    }
    Ok(Chain::Whole {
        entries,
        head: prev,
    })
}

/// Returns what is wrong with an entry.
fn fault(one: &Stored, prev: &Sha256, hash: &Sha256) -> Option<&'static str> {
    if one.hash.is_none() || one.prev.is_none() {
        return Some("it was put in past the server");
    }
    if one.prev.as_deref() != Some(prev.0.as_slice()) {
        return Some("the entry before it was removed, added or moved");
    }
    (one.hash.as_deref() != Some(hash.0.as_slice())).then_some("it was changed")
}

/// Returns the newest entries before one, newest first; at most [`LISTED_MAX`].
///
/// # Errors
/// The database failed.
pub async fn list(
    store: &Store,
    before: Option<i64>,
    subject: Option<&str>,
    limit: u32,
) -> Result<Vec<Stored>, StoreError> {
    let rows = crate::sql::query_as(
        "SELECT * FROM audit_log WHERE id < $1 AND (CAST($2 AS TEXT) IS NULL OR subject = $2) \
         ORDER BY id DESC LIMIT $3",
    )
    .bind(before.unwrap_or(i64::MAX))
    .bind(subject)
    .bind(limit.min(LISTED_MAX))
    .fetch_all(store.read())
    .await?;
    Ok(rows)
}

/// The most entries that are listed at once.
pub const LISTED_MAX: u32 = 1_000;
const LABEL: &[u8] = b"qorgan audit entry 1";
/// What the first entry follows.
const BEFORE_ALL: [u8; 32] = [0; 32];

#[cfg(test)]
mod tests {
    use super::*;

    async fn store(folder: &std::path::Path) -> Store {
        let file = folder.join("qorgan.db");
        crate::open(&qorgan_base::config::Location::File(file))
            .await
            .expect("opens")
    }

    async fn log(store: &Store, count: i64) {
        let institution = InstitutionId::new(WallTime::from_unix_ms(1), [1; 10]);
        let mut tx = store.begin().await.expect("a writer");
        crate::sql::query(
            "INSERT INTO institutions (id, created_ms) VALUES ($1, 1) ON CONFLICT DO NOTHING",
        )
        .bind(institution.to_string())
        .execute(&mut *tx)
        .await
        .expect("stored");
        for number in 0..count {
            let entry = Entry {
                institution,
                at: WallTime::from_unix_ms(number),
                actor: "server",
                action: "tested",
                subject: "nothing",
                detail: &number.to_string(),
            };
            write(&mut tx, &entry).await.expect("stored");
        }
        tx.commit().await.expect("stored");
    }

    async fn do_sql(store: &Store, sql: &'static str) -> Result<(), crate::sql::SqlError> {
        let mut tx = store.begin().await.expect("a writer");
        crate::sql::script(sql).execute(&mut *tx).await?;
        tx.commit().await
    }

    #[tokio::test]
    async fn the_chain_names_the_first_entry_that_was_changed_removed_added_or_cut() {
        let unlock = "DROP TRIGGER audit_log_unchanged; DROP TRIGGER audit_log_kept;";
        let damages = [
            ("UPDATE audit_log SET actor = 'nobody' WHERE id = 4;", 4),
            ("UPDATE audit_log SET at_ms = 99 WHERE id = 2;", 2),
            ("DELETE FROM audit_log WHERE id = 3;", 4),
            ("DELETE FROM audit_log WHERE id > 6;", 7),
            ("DELETE FROM audit_log;", 1),
            (
                "INSERT INTO audit_log (id, institution_id, at_ms, actor, action, subject) \
                 SELECT 9, institution_id, 1, 'x', 'y', 'z' FROM audit_log LIMIT 1;",
                9,
            ),
            (
                "UPDATE audit_log SET prev = NULL, hash = NULL WHERE id = 5;",
                5,
            ),
        ];
        for (damage, broken) in damages {
            let folder = tempfile::tempdir().expect("a folder");
            let store = store(folder.path()).await;
            log(&store, 8).await;
            let whole = verify(&store, None).await.expect("readable");
            assert!(
                matches!(whole, Chain::Whole { entries: 8, .. }),
                "{whole:?}"
            );
            do_sql(&store, unlock).await.expect("unlocked");
            do_sql(&store, damage).await.expect("damaged");
            let found = verify(&store, None).await.expect("readable");
            let Chain::Broken { entry, .. } = found else {
                panic!("{damage}: {found:?}");
            };
            assert_eq!(entry, broken, "{damage}");
        }
    }

    #[tokio::test]
    async fn a_chain_that_was_made_anew_lacks_the_head_that_was_noted() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(folder.path()).await;
        log(&store, 3).await;
        let Chain::Whole { head, .. } = verify(&store, None).await.expect("readable") else {
            panic!("it is whole");
        };
        log(&store, 2).await;
        let later = verify(&store, Some(head)).await.expect("readable");
        assert!(
            matches!(later, Chain::Whole { entries: 5, .. }),
            "{later:?}"
        );
        let anew = "DROP TRIGGER audit_log_unchanged; \
            UPDATE audit_log SET actor = 'nobody' WHERE id = 2; \
            UPDATE audit_log SET prev = NULL, hash = NULL; DELETE FROM audit_head;";
        do_sql(&store, anew).await.expect("made anew");
        chain_old(&store).await.expect("chained");
        let found = verify(&store, None).await.expect("readable");
        assert!(matches!(found, Chain::Whole { .. }), "{found:?}");
        let found = verify(&store, Some(head)).await.expect("readable");
        assert!(matches!(found, Chain::Broken { .. }), "{found:?}");
    }

    #[tokio::test]
    async fn entries_from_before_the_chain_are_chained_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = store(folder.path()).await;
        log(&first, 4).await;
        let before = "DROP TRIGGER audit_log_unchanged; \
            UPDATE audit_log SET prev = NULL, hash = NULL; DELETE FROM audit_head;";
        do_sql(&first, before).await.expect("as before");
        first.close().await;
        let second = store(folder.path()).await;
        log(&second, 1).await;
        let found = verify(&second, None).await.expect("readable");
        assert!(
            matches!(found, Chain::Whole { entries: 5, .. }),
            "{found:?}"
        );
        do_sql(&second, "UPDATE audit_log SET hash = NULL WHERE id = 2;")
            .await
            .expect("damaged");
        second.close().await;
        let third = store(folder.path()).await;
        let found = verify(&third, None).await.expect("readable");
        assert!(matches!(found, Chain::Broken { entry: 2, .. }), "{found:?}");
    }

    #[tokio::test]
    async fn a_slip_changes_no_entry() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(folder.path()).await;
        log(&store, 2).await;
        for slip in [
            "UPDATE audit_log SET detail = '' WHERE id = 1;",
            "DELETE FROM audit_log WHERE id = 1;",
        ] {
            do_sql(&store, slip).await.expect_err("refused");
        }
    }
}
