//! Candidates and agents.

use std::net::IpAddr;

use qorgan_protocol::crypto::{self, PublicKey, SignedBytes};
use qorgan_protocol::ids::{AttemptId, Epoch, PersonId};
use qorgan_protocol::wire::{DeviceProof, EnrolProof, Hex, SignInReply, SignInRequest, SignedHex};
use qorgan_signing::Ring;
use sqlx::Row as _;

use super::limits::Counted;
use super::tokens::Holder;
use super::{Auth, AuthError, password};
use crate::registry::Caller;
use crate::store;

/// What an account's row says.
pub(super) struct Account {
    pub(super) person: PersonId,
    pub(super) display_name: String,
    pub(super) language: String,
    pub(super) password_hash: String,
    pub(super) must_change: bool,
    pub(super) disabled: bool,
}

impl Auth {
    /// Makes a nonce for one proof.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn challenge(&self) -> Result<[u8; 32], AuthError> {
        let nonce: [u8; 32] = qorgan_signing::random()?;
        self.challenges.put(nonce, self.clock.now());
        Ok(nonce)
    }

    /// Signs a candidate in on a device that proves its key (SOP 11).
    ///
    /// # Errors
    /// `NotProved`, `TooMany`, `WrongPassword`.
    //= tests/data/sop-2-28.md#11-sign-in
    pub async fn sign_in_client(
        &self,
        request: SignInRequest,
        address: IpAddr,
    ) -> Result<SignInReply, AuthError> {
        let device_key = public_key(&request.device_key)?;
        let proof: DeviceProof = self.open_proof(device_key, request.proof)?;
        if proof.device_key != device_key {
            return Err(AuthError::NotProved {
                detail: "another device key",
            });
        }
        if !self.challenges.take(&proof.nonce, self.clock.now()) {
            return Err(AuthError::NotProved {
                detail: "the challenge is over or was used",
            });
        }
        let device = Counted::Device(device_key.0);
        let account = self
            .check_password(&request.login, &request.password, vec![device], address)
            .await?;
        let caller = Caller {
            person: account.person,
            device_key,
            boot: proof.boot,
            instance: proof.instance,
        };
        let (token, expires) = self.issue(&Holder::Client(caller)).await?;
        Ok(SignInReply {
            token,
            expires,
            candidate: account.person,
            display_name: account.display_name,
            language: account.language,
        })
    }

    /// Makes the token of an attempt's agent; the one before ends.
    ///
    /// # Errors
    /// The database failed.
    pub async fn issue_agent_token(
        &self,
        person: PersonId,
        attempt: AttemptId,
        epoch: Epoch,
    ) -> Result<String, AuthError> {
        let mut tx = self.store.begin().await?;
        sqlx::query(
            "UPDATE tokens SET ended_ms = $2 \
             WHERE kind = 'agent' AND attempt_id = $1 AND ended_ms IS NULL",
        )
        .bind(attempt.to_string())
        .bind(self.clock.wall().unix_ms())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        let holder = Holder::Agent {
            person,
            attempt,
            epoch,
        };
        Ok(self.issue(&holder).await?.0)
    }

    /// Opens an agent's proof of its key.
    ///
    /// # Errors
    /// `NotProved` where signature, nonce, attempt or epoch do not hold.
    pub fn check_enrolment(
        &self,
        key: &Hex,
        proof: SignedHex,
        attempt: AttemptId,
        epoch: Epoch,
    ) -> Result<EnrolProof, AuthError> {
        let key = public_key(key)?;
        let proof: EnrolProof = self.open_proof(key, proof)?;
        if (proof.key, proof.attempt, proof.epoch) != (key, attempt, epoch) {
            return Err(AuthError::NotProved {
                detail: "another key, attempt or epoch",
            });
        }
        if !self.challenges.take(&proof.nonce, self.clock.now()) {
            return Err(AuthError::NotProved {
                detail: "the challenge is over or was used",
            });
        }
        Ok(proof)
    }

    /// Checks login and password under the limits.
    pub(super) async fn check_password(
        &self,
        login: &str,
        given: &str,
        device: Vec<Counted>,
        address: IpAddr,
    ) -> Result<Account, AuthError> {
        let now = self.clock.now();
        let address = [Counted::Address(address)];
        self.limits.check(&address, now)?;
        self.limits.count(&address, now);
        let by_account = Counted::Account(login.to_lowercase());
        let mut counted = device;
        counted.push(by_account.clone());
        self.limits.check(&counted, now)?;
        let account = self.account(login).await?;
        let stored = account
            .as_ref()
            .map(|account| account.password_hash.clone());
        let right = given.len() <= PASSWORD_BYTES_MAX
            && password::verify(self.config.passwords, stored, given).await?;
        match account {
            Some(account) if right && !account.disabled => {
                self.limits.forget(&by_account);
                Ok(account)
            }
            Some(_) | None => {
                self.limits.count(&counted, now);
                Err(AuthError::WrongPassword)
            }
        }
    }

    async fn account(&self, login: &str) -> Result<Option<Account>, AuthError> {
        let row = sqlx::query(
            "SELECT p.id, p.display_name, p.language, p.disabled_ms, c.password_hash, c.must_change \
             FROM people p JOIN credentials c ON c.person_id = p.id WHERE p.login = $1",
        )
        .bind(login)
        .fetch_optional(self.store.read())
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(Account {
            person: store::id(&row.try_get::<String, _>("id")?)?,
            display_name: row.try_get("display_name")?,
            language: row.try_get("language")?,
            password_hash: row.try_get("password_hash")?,
            must_change: row.try_get("must_change")?,
            disabled: row.try_get::<Option<i64>, _>("disabled_ms")?.is_some(),
        }))
    }

    fn open_proof<T: crypto::Signable>(
        &self,
        key: PublicKey,
        proof: SignedHex,
    ) -> Result<T, AuthError> {
        let signed = SignedBytes::from(proof);
        crypto::open(&Ring, &key, self.keys.institution(), &signed).map_err(|error| {
            tracing::debug!(%error, "A proof was refused");
            AuthError::NotProved {
                detail: "the signature does not match",
            }
        })
    }
}

fn public_key(hex: &Hex) -> Result<PublicKey, AuthError> {
    <[u8; 32]>::try_from(hex.0.as_slice())
        .map(PublicKey)
        .map_err(|_len| AuthError::NotProved {
            detail: "a key has 32 bytes",
        })
}

/// Longer passwords are refused before any work is done.
pub(super) const PASSWORD_BYTES_MAX: usize = 800;
