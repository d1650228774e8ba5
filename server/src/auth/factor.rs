//! The second factor of staff: set up by a session, asked for at each sign-in.
//!
//! # Invariants
//! * A secret that is being set up belongs to the session that began: no other session sees it.
//! * Codes are counted apart from passwords, and before they are compared; a right password gives none
//!   back.
//! * A code is used by one statement: of two requests at once, one finds it used.
//! * A session that ended sets nothing up: that is asked in the transaction that writes.

use qorgan_protocol::ids::PersonId;

use super::entrance::account_key;
use super::limits::Counted;
use super::{Auth, AuthError, StaffSession, totp};
use qorgan_store::{WriteTx, audit};

/// The secret of a second factor, as an authenticator app takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotpSetup {
    /// The secret in base 32, for typing.
    pub secret: String,
    /// The `otpauth://` URI, for a QR code.
    pub uri: String,
}

impl Auth {
    /// Checks the second factor. Tells whether one is set up.
    pub(super) async fn check_factor(
        &self,
        person: PersonId,
        code: Option<&str>,
        login: &str,
    ) -> Result<bool, AuthError> {
        let Some((secret, used)) = self.factor(person).await? else {
            return Ok(false);
        };
        // An empty field is no guess and is not counted.
        let code = code.ok_or(AuthError::WrongPassword)?;
        let counted = Counted::Codes(account_key(login));
        self.limits.take(&[counted], self.clock.now())?;
        let step = totp::matching_step(&secret, code, self.clock.wall(), used);
        let is_right = match step {
            Some(step) => self.use_step(person, step).await?,
            None => false,
        };
        if is_right {
            self.limits.give_back(&[counted]);
            return Ok(true);
        }
        if self.limits.is_full(counted, self.clock.now()) {
            self.tell_of_guessing(person).await?;
        }
        Err(AuthError::WrongPassword)
    }

    /// Somebody who knows the password has no code: that stands in the audit log.
    async fn tell_of_guessing(&self, person: PersonId) -> Result<(), AuthError> {
        tracing::warn!(%person, "Wrong codes of a second factor after a right password");
        let mut tx = self.store.begin().await?;
        let entry = self.entry("server", "second_factor_guessed", &person, "");
        audit::write(&mut tx, &entry.as_entry()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Begins to set up a second factor; it counts once confirmed in the same session.
    ///
    /// # Errors
    /// `Forbidden` where one is set up already or the password must be changed first, `NotSignedIn` where
    /// the session ended meanwhile, or the database failed.
    pub async fn totp_begin(&self, session: &StaffSession) -> Result<TotpSetup, AuthError> {
        let person = session.person;
        if session.must_change {
            return Err(AuthError::Forbidden);
        }
        // Read where it is written: of two requests at once, both are told the secret that stands.
        let mut tx = self.store.begin().await?;
        let secret = match self.begun(&mut tx, session).await? {
            Some(secret) => secret,
            None => {
                let secret: [u8; 20] = qorgan_signing::random()?;
                let sealed = self.keys.seal(&format!("totp:{person}"), &secret)?;
                qorgan_store::query("UPDATE tokens SET totp_begun = $2 WHERE hash = $1")
                    .bind(super::tokens::hash(&session.token).as_slice())
                    .bind(sealed)
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                secret.to_vec()
            }
        };
        let secret = totp::base32(&secret);
        let login: String = session
            .login
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let uri = format!("otpauth://totp/Qorgan:{login}?secret={secret}&issuer=Qorgan");
        Ok(TotpSetup { secret, uri })
    }

    /// Confirms the second factor with its first code: the session becomes a full one, and every other
    /// session of the account ends.
    ///
    /// # Errors
    /// `WrongPassword` where the code is not right, `TooMany`, `Forbidden` where one is set up already,
    /// `NotSignedIn` where the session ended meanwhile.
    pub async fn totp_confirm(&self, session: &StaffSession, code: &str) -> Result<(), AuthError> {
        let person = session.person;
        let mut tx = self.store.begin().await?;
        let begun = self.begun(&mut tx, session).await?;
        let secret = begun.ok_or(AuthError::WrongPassword)?;
        let counted = Counted::Codes(account_key(&session.login));
        self.limits.take(&[counted], self.clock.now())?;
        let step = totp::matching_step(&secret, code, self.clock.wall(), 0)
            .ok_or(AuthError::WrongPassword)?;
        let sealed = self.keys.seal(&format!("totp:{person}"), &secret)?;
        let hash = super::tokens::hash(&session.token);
        let set = qorgan_store::query(
            "UPDATE credentials SET totp_sealed = $2, totp_confirmed = 1, totp_step = $3 \
             WHERE person_id = $1 AND totp_confirmed = 0",
        )
        .bind(person.to_string())
        .bind(sealed)
        .bind(i64::try_from(step).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await?;
        if set.rows_affected() != 1 {
            return Err(AuthError::Forbidden);
        }
        qorgan_store::query("UPDATE tokens SET factor = 1, totp_begun = NULL WHERE hash = $1")
            .bind(hash.as_slice())
            .execute(&mut *tx)
            .await?;
        qorgan_store::query(
            "UPDATE tokens SET ended_ms = $3 WHERE person_id = $1 AND hash <> $2 \
             AND kind IN ('client', 'staff') AND ended_ms IS NULL",
        )
        .bind(person.to_string())
        .bind(hash.as_slice())
        .bind(self.clock.wall().unix_ms())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.limits.give_back(&[counted]);
        Ok(())
    }

    /// Returns the secret that is set up and the newest step that was used.
    async fn factor(&self, person: PersonId) -> Result<Option<(Vec<u8>, u64)>, AuthError> {
        let row = qorgan_store::query(
            "SELECT totp_sealed, totp_step FROM credentials \
             WHERE person_id = $1 AND totp_confirmed = 1 AND totp_sealed IS NOT NULL",
        )
        .bind(person.to_string())
        .fetch_optional(self.store.read())
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let sealed: Vec<u8> = row.get("totp_sealed")?;
        let secret = self.keys.open(&format!("totp:{person}"), &sealed)?;
        let used: i64 = row.get("totp_step")?;
        Ok(Some((secret, u64::try_from(used).unwrap_or_default())))
    }

    /// Returns the secret that an open session sets up, for an account without a factor. One from before
    /// a rotation of keys does not open and is as good as none.
    async fn begun(
        &self,
        tx: &mut WriteTx,
        session: &StaffSession,
    ) -> Result<Option<Vec<u8>>, AuthError> {
        super::tokens::must_be_open(tx, &session.token).await?;
        let (sealed, confirmed): (Option<Vec<u8>>, bool) = qorgan_store::query_as(
            "SELECT t.totp_begun, CAST(CASE WHEN EXISTS (SELECT 1 FROM credentials c \
             WHERE c.person_id = t.person_id AND c.totp_confirmed = 1 \
             AND c.totp_sealed IS NOT NULL) THEN 1 ELSE 0 END AS BIGINT) \
             FROM tokens t WHERE t.hash = $1",
        )
        .bind(super::tokens::hash(&session.token).as_slice())
        .fetch_one(&mut **tx)
        .await?;
        if confirmed {
            return Err(AuthError::Forbidden);
        }
        let place = format!("totp:{}", session.person);
        Ok(sealed.and_then(|sealed| self.keys.open(&place, &sealed).ok()))
    }

    /// Uses a step. Tells whether it was not used before, nor a later one.
    async fn use_step(&self, person: PersonId, step: u64) -> Result<bool, AuthError> {
        let mut tx = self.store.begin().await?;
        let used = qorgan_store::query(
            "UPDATE credentials SET totp_step = $2 \
             WHERE person_id = $1 AND totp_confirmed = 1 AND totp_step < $2",
        )
        .bind(person.to_string())
        .bind(i64::try_from(step).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(used.rows_affected() == 1)
    }
}

#[cfg(test)]
impl Auth {
    /// Returns the code that an authenticator app would show in a step.
    pub(crate) async fn code_for_tests(&self, person: PersonId, step: u64) -> String {
        let (secret, _used) = self
            .factor(person)
            .await
            .expect("readable")
            .expect("set up");
        totp::at_step(&secret, step)
    }

    /// Returns the code of a factor that a session sets up.
    pub(crate) async fn begun_code_for_tests(&self, session: &StaffSession, step: u64) -> String {
        let mut tx = self.store.begin().await.expect("a writer");
        let begun = self.begun(&mut tx, session).await.expect("readable");
        let secret = begun.expect("begun");
        totp::at_step(&secret, step)
    }
}
