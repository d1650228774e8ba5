//! Bearer tokens: random, stored hashed, short, sliding up to an absolute end.

use std::time::Duration;

use qorgan_protocol::crypto::{Hasher as _, PublicKey, Sha256};
use qorgan_protocol::ids::{AttemptId, BootId, Epoch, PersonId};
use qorgan_protocol::time::WallTime;
use qorgan_signing::Ring;

use super::proofs::Taken;
use super::{Auth, AuthError};
use crate::registry::Caller;
use qorgan_store::{StoreError, WriteTx};

/// The holder of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A client on a machine that proved its key.
    Client(Caller),
    /// The agent of one attempt and epoch.
    Agent {
        person: PersonId,
        attempt: AttemptId,
        epoch: Epoch,
    },
    /// A member of staff in a browser.
    Staff {
        person: PersonId,
        csrf: String,
        with: SignedWith,
    },
}

/// The proofs that a session of staff was signed in with; a factor that the account gets later changes
/// nothing in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SignedWith {
    /// A one-time password: nothing but another password can be set.
    pub(crate) one_time: bool,
    /// The second factor.
    pub(crate) factor: bool,
}

impl Holder {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Client(_) => "client",
            Self::Agent { .. } => "agent",
            Self::Staff { .. } => "staff",
        }
    }
}

impl Auth {
    /// Makes a token for `holder`; returns it with its end.
    pub(crate) async fn issue(&self, holder: &Holder) -> Result<(String, WallTime), AuthError> {
        let mut tx = self.store.begin().await?;
        let issued = self.issue_in(&mut tx, holder).await?;
        tx.commit().await?;
        Ok(issued)
    }

    /// Makes a token for `holder` as [`Self::issue`], in the transaction that gives the right to it.
    pub(super) async fn issue_in(
        &self,
        tx: &mut WriteTx,
        holder: &Holder,
    ) -> Result<(String, WallTime), AuthError> {
        let secret: [u8; 32] = qorgan_signing::random()?;
        let token = hex::encode(secret);
        let (now, lasts) = (self.clock.wall(), self.lasts(holder.kind()));
        let expires = now.after(lasts);
        let (person, attempt, epoch, caller, csrf) = match holder {
            Holder::Client(caller) => (caller.person, None, None, Some(caller), None),
            Holder::Agent {
                person,
                attempt,
                epoch,
            } => (
                *person,
                Some(attempt.to_string()),
                Some(i64::from(epoch.0)),
                None,
                None,
            ),
            Holder::Staff { person, csrf, .. } => (*person, None, None, None, Some(csrf.as_str())),
        };
        qorgan_store::query(
            "INSERT INTO tokens (hash, institution_id, kind, person_id, attempt_id, epoch, \
             device_key, boot, instance, csrf, created_ms, expires_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(hash(&token).as_slice())
        .bind(self.keys.institution().to_string())
        .bind(holder.kind())
        .bind(person.to_string())
        .bind(attempt)
        .bind(epoch)
        .bind(caller.map(|c| c.device_key.0.to_vec()))
        .bind(caller.map(|c| c.boot.0.to_vec()))
        .bind(caller.map(|c| c.instance.to_vec()))
        .bind(csrf)
        .bind(now.unix_ms())
        .bind(expires.unix_ms())
        .execute(&mut **tx)
        .await?;
        if let Holder::Staff { with, .. } = holder {
            qorgan_store::query("UPDATE tokens SET one_time = $2, factor = $3 WHERE hash = $1")
                .bind(hash(&token).as_slice())
                .bind(with.one_time)
                .bind(with.factor)
                .execute(&mut **tx)
                .await?;
        }
        Ok((token, expires))
    }

    /// Returns the holder of a token that is good now, and moves its end on.
    pub(crate) async fn holder(&self, token: &str) -> Result<Holder, AuthError> {
        let (row, kind) = self.good(token).await?;
        let (created, expires): (i64, i64) = (row.get("created_ms")?, row.get("expires_ms")?);
        let last = WallTime::from_unix_ms(created).after(self.absolute(&kind));
        let slid = self.clock.wall().after(self.lasts(&kind)).min(last);
        if slid.unix_ms().saturating_sub(expires) > SLIDE_MS {
            self.slide(&hash(token), slid).await?;
        }
        holder_of(&row, &kind)
    }

    /// Returns the holder of a token that is good now, and leaves its end as it is: looking on is no use
    /// of it.
    pub(crate) async fn still_holds(&self, token: &str) -> Result<Holder, AuthError> {
        let (row, kind) = self.good(token).await?;
        holder_of(&row, &kind)
    }

    async fn good(&self, token: &str) -> Result<(qorgan_store::Row, String), AuthError> {
        let row = qorgan_store::query(
            "SELECT * FROM tokens WHERE hash = $1 AND ended_ms IS NULL AND NOT EXISTS \
             (SELECT 1 FROM people p WHERE p.id = person_id AND p.disabled_ms IS NOT NULL)",
        )
        .bind(hash(token).as_slice())
        .fetch_optional(self.store.read())
        .await?
        .ok_or(AuthError::NotSignedIn)?;
        let (created, expires): (i64, i64) = (row.get("created_ms")?, row.get("expires_ms")?);
        let kind: String = row.get("kind")?;
        let last = WallTime::from_unix_ms(created).after(self.absolute(&kind));
        if expires.min(last.unix_ms()) <= self.clock.wall().unix_ms() {
            return Err(AuthError::NotSignedIn);
        }
        Ok((row, kind))
    }

    /// Takes the number of a proof whose signature holds.
    pub(super) fn take_proof(
        &self,
        token: Sha256,
        nonce: [u8; 16],
        number: u64,
    ) -> Result<Taken, AuthError> {
        let fresh = qorgan_signing::random()?;
        Ok(self.proofs.take(token.0, nonce, number, fresh))
    }

    /// Ends a token.
    pub(crate) async fn end(&self, token: &str) -> Result<(), AuthError> {
        let mut tx = self.store.begin().await?;
        qorgan_store::query("UPDATE tokens SET ended_ms = $2 WHERE hash = $1 AND ended_ms IS NULL")
            .bind(hash(token).as_slice())
            .bind(self.clock.wall().unix_ms())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Deletes tokens that have been over for a day, [`DELETED_AT_ONCE`] at the most; returns how many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete_over(&self) -> Result<u64, AuthError> {
        // After a day, so that a clock that ran ahead and is put right signs nobody out.
        let before = self.clock.wall().unix_ms().saturating_sub(KEPT_MS);
        // Nobody waits for a writer where there is nothing to delete.
        let any: Option<i64> = qorgan_store::query_scalar(
            "SELECT CAST(1 AS BIGINT) FROM tokens WHERE CASE WHEN ended_ms < expires_ms \
             THEN ended_ms ELSE expires_ms END < $1 LIMIT 1",
        )
        .bind(before)
        .fetch_optional(self.store.read())
        .await?;
        if any.is_none() {
            return Ok(0);
        }
        let mut tx = self.store.begin().await?;
        let deleted = qorgan_store::query(
            "DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE CASE WHEN \
             ended_ms < expires_ms THEN ended_ms ELSE expires_ms END < $1 LIMIT $2)",
        )
        .bind(before)
        .bind(DELETED_AT_ONCE)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(deleted.rows_affected())
    }

    async fn slide(&self, hash: &[u8; 32], until: WallTime) -> Result<(), AuthError> {
        let mut tx = self.store.begin().await?;
        qorgan_store::query(
            "UPDATE tokens SET expires_ms = $2 WHERE hash = $1 AND ended_ms IS NULL",
        )
        .bind(hash.as_slice())
        .bind(until.unix_ms())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    fn lasts(&self, kind: &str) -> Duration {
        let minutes = match kind {
            "client" => self.config.sign_in.client_minutes,
            "staff" => self.config.sign_in.staff_minutes,
            _ => AGENT_MINUTES,
        };
        Duration::from_secs(u64::from(minutes).saturating_mul(60))
    }

    /// Returns how long a token lasts at the most, however it is used.
    fn absolute(&self, kind: &str) -> Duration {
        let hours = match kind {
            "client" => self.config.sign_in.client_hours_max,
            "staff" => self.config.sign_in.staff_hours_max,
            _ => AGENT_HOURS_MAX,
        };
        Duration::from_secs(u64::from(hours).saturating_mul(60 * 60))
    }
}

fn holder_of(row: &qorgan_store::Row, kind: &str) -> Result<Holder, AuthError> {
    let person = qorgan_store::id(&row.get::<String>("person_id")?).map_err(AuthError::Store)?;
    let bytes = |column: &str| row.get::<Option<Vec<u8>>>(column);
    match kind {
        "client" => Ok(Holder::Client(Caller {
            person,
            device_key: PublicKey(needed("device key", bytes("device_key")?)?),
            boot: BootId(needed("boot id", bytes("boot")?)?),
            instance: needed("instance", bytes("instance")?)?,
        })),
        "agent" => {
            let attempt: Option<String> = row.get("attempt_id")?;
            let epoch: Option<u32> = row.get("epoch")?;
            let (Some(attempt), Some(epoch)) = (attempt, epoch) else {
                return Err(AuthError::Store(StoreError::Corrupt { what: "token" }));
            };
            Ok(Holder::Agent {
                person,
                attempt: qorgan_store::id(&attempt)?,
                epoch: Epoch(epoch),
            })
        }
        "staff" => Ok(Holder::Staff {
            person,
            csrf: row.get::<Option<String>>("csrf")?.unwrap_or_default(),
            with: SignedWith {
                one_time: row.get("one_time")?,
                factor: row.get("factor")?,
            },
        }),
        _ => Err(AuthError::Store(StoreError::Corrupt { what: "token" })),
    }
}

fn needed<const N: usize>(
    what: &'static str,
    bytes: Option<Vec<u8>>,
) -> Result<[u8; N], AuthError> {
    Ok(qorgan_store::array(what, &bytes.unwrap_or_default())?)
}

/// Refuses where a session that was good a moment ago has ended: whoever ended it must find nothing
/// done by it afterwards.
pub(super) async fn must_be_open(tx: &mut WriteTx, token: &str) -> Result<(), AuthError> {
    let open: i64 = qorgan_store::query_scalar(
        "SELECT COUNT(*) FROM tokens t JOIN people p ON p.id = t.person_id \
         WHERE t.hash = $1 AND t.ended_ms IS NULL AND p.disabled_ms IS NULL",
    )
    .bind(hash(token).as_slice())
    .fetch_one(&mut **tx)
    .await?;
    if open == 0 {
        return Err(AuthError::NotSignedIn);
    }
    Ok(())
}

pub(super) fn hash(token: &str) -> [u8; 32] {
    Ring.sha256(&[token.as_bytes()]).0
}

/// An agent delivers its spool after the attempt ended; its token ends with the epoch at the latest.
const AGENT_MINUTES: u32 = 12 * 60;
/// A spool that waits longer than three days for its network is delivered by hand.
const AGENT_HOURS_MAX: u32 = 72;
/// How many tokens that are over are deleted in one transaction: nobody waits for it.
const DELETED_AT_ONCE: u32 = 500;
/// How long a token that is over is kept.
const KEPT_MS: i64 = 24 * 60 * 60 * 1_000;
/// A token's end is moved on at most once a minute.
const SLIDE_MS: i64 = 60_000;
