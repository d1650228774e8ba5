//! Candidates and agents.

use std::net::IpAddr;

use qorgan_protocol::crypto::{self, PublicKey, SignedBytes};
use qorgan_protocol::ids::{AttemptId, Epoch, PersonId};
use qorgan_protocol::wire::{DeviceProof, EnrolProof, Hex, SignInReply, SignInRequest, SignedHex};
use qorgan_signing::Ring;

use super::entrance::Door;
use super::tokens::Holder;
use super::{Auth, AuthError};
use crate::registry::Caller;

impl Auth {
    /// Makes a nonce for one proof.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn challenge(&self) -> Result<[u8; 32], AuthError> {
        let (fresh, random) = (qorgan_signing::random()?, qorgan_signing::random()?);
        Ok(self.challenges.make(&fresh, random, self.clock.now()))
    }

    /// Signs a candidate in on a device that proves its key (SOP 11).
    ///
    /// An account of staff is refused like a wrong password: it has the console, and this door tells
    /// nothing of its password.
    ///
    /// # Errors
    /// `TooLong`, `NotProved`, `TooMany`, `Busy`, `WrongPassword`, `CodeOver`.
    //= tests/data/sop-2-28.md#11-sign-in
    pub async fn sign_in_client(
        &self,
        request: SignInRequest,
        address: IpAddr,
    ) -> Result<SignInReply, AuthError> {
        let device_key = public_key(&request.device_key)?;
        let typed = (request.login.as_str(), request.password.as_str());
        let knock = self.knock(typed, address, Some(device_key))?;
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
        let checked = self
            .check_password(&knock, &request.password, Door::Client)
            .await?;
        let account = &checked.account;
        let caller = Caller {
            person: account.person,
            device_key,
            boot: proof.boot,
            instance: proof.instance,
        };
        let (token, expires) = self.issue(&Holder::Client(caller)).await?;
        self.let_in(&knock, &checked, &token).await?;
        let account = checked.account;
        Ok(SignInReply {
            token,
            expires,
            candidate: account.person,
            display_name: account.display_name,
            language: account.language,
        })
    }

    /// Makes the token of an attempt's agent in the place of the one before: however often a client asks,
    /// one is kept.
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
        qorgan_store::query("DELETE FROM tokens WHERE kind = 'agent' AND attempt_id = $1")
            .bind(attempt.to_string())
            .execute(&mut *tx)
            .await?;
        let holder = Holder::Agent {
            person,
            attempt,
            epoch,
        };
        let (token, _expires) = self.issue_in(&mut tx, &holder).await?;
        tx.commit().await?;
        Ok(token)
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
