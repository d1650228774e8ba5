//! Staff: password, second factor, cookie, recovery.

use std::net::IpAddr;

use axum::http::HeaderValue;
use qorgan_protocol::ids::PersonId;
use sqlx::Row as _;

use super::limits::Counted;
use super::tokens::Holder;
use super::{Auth, AuthError, StaffRole, password, totp};
use crate::store::people::{self, NewPerson};
use crate::store::{WriteTx, audit};

/// A member of staff who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffSignIn {
    /// The cookie's value.
    pub token: String,
    /// Who.
    pub person: PersonId,
    /// The language on file.
    pub language: String,
    /// The password is a one-time one and must be changed first.
    pub must_change: bool,
    /// The second factor must be set up first.
    pub needs_totp: bool,
}

/// What an authenticator app takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotpSetup {
    /// The secret in base 32, for typing.
    pub secret: String,
    /// The `otpauth://` URI, for a QR code.
    pub uri: String,
}

/// A password that must be changed at the first sign-in.
#[derive(Clone, PartialEq, Eq)]
pub struct OneTimePassword {
    /// The login.
    pub login: String,
    /// The password; shown once.
    pub password: String,
}

impl core::fmt::Debug for OneTimePassword {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OneTimePassword").finish_non_exhaustive()
    }
}

impl Auth {
    /// Signs a member of staff in; `code` is the second factor's, where one is set up.
    ///
    /// # Errors
    /// `WrongPassword` for any of the three, `TooMany`, `Forbidden` for an account without a role.
    pub async fn sign_in_staff(
        &self,
        login: &str,
        given: &str,
        code: Option<&str>,
        address: IpAddr,
    ) -> Result<StaffSignIn, AuthError> {
        let account = self
            .check_password(login, given, Vec::new(), address)
            .await?;
        if self.roles(account.person).await?.is_empty() {
            return Err(AuthError::Forbidden);
        }
        let confirmed = self.check_totp(account.person, code, login).await?;
        let csrf = hex::encode(qorgan_signing::random::<16>()?);
        let holder = Holder::Staff {
            person: account.person,
            csrf,
        };
        let (token, _expires) = self.issue(&holder).await?;
        Ok(StaffSignIn {
            token,
            person: account.person,
            language: account.language,
            must_change: account.must_change,
            needs_totp: self.config.sign_in.staff_totp_required && !confirmed,
        })
    }

    /// Tells whether a password is the account's, counted like a sign-in.
    ///
    /// # Errors
    /// `TooMany`, or the database failed.
    pub async fn password_holds(
        &self,
        login: &str,
        given: &str,
        address: IpAddr,
    ) -> Result<bool, AuthError> {
        match self.check_password(login, given, Vec::new(), address).await {
            Ok(_account) => Ok(true),
            Err(AuthError::WrongPassword) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Signs a member of staff out.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sign_out(&self, token: &str) -> Result<(), AuthError> {
        self.end(token).await
    }

    /// Returns a person's roles, in order.
    ///
    /// # Errors
    /// The database failed.
    pub async fn roles(&self, person: PersonId) -> Result<Vec<StaffRole>, AuthError> {
        let words: Vec<String> =
            sqlx::query_scalar("SELECT role FROM staff_roles WHERE person_id = $1")
                .bind(person.to_string())
                .fetch_all(self.store.read())
                .await?;
        let mut roles: Vec<_> = words
            .iter()
            .filter_map(|w| StaffRole::from_word(w))
            .collect();
        roles.sort_unstable();
        Ok(roles)
    }

    /// Checks the second factor. Tells whether one is set up.
    async fn check_totp(
        &self,
        person: PersonId,
        code: Option<&str>,
        login: &str,
    ) -> Result<bool, AuthError> {
        let Some((secret, used, confirmed)) = self.totp_secret(person).await? else {
            return Ok(false);
        };
        if !confirmed {
            return Ok(false);
        }
        let step = code.and_then(|c| totp::matching_step(&secret, c, self.clock.wall(), used));
        let Some(step) = step else {
            let counted = [Counted::Account(login.to_lowercase())];
            self.limits.count(&counted, self.clock.now());
            return Err(AuthError::WrongPassword);
        };
        self.totp_used(person, step).await?;
        Ok(true)
    }

    /// Begins to set up a second factor; it counts once confirmed.
    ///
    /// # Errors
    /// `Forbidden` where one is set up already, or the database failed.
    pub async fn totp_begin(&self, person: PersonId, login: &str) -> Result<TotpSetup, AuthError> {
        let known = self.totp_secret(person).await?;
        let secret = match known {
            Some((_secret, _used, true)) => return Err(AuthError::Forbidden),
            Some((secret, _used, false)) => secret,
            None => {
                let secret: [u8; 20] = qorgan_signing::random()?;
                let sealed = self.keys.seal(&format!("totp:{person}"), &secret)?;
                let mut tx = self.store.begin().await?;
                sqlx::query("UPDATE credentials SET totp_sealed = $2 WHERE person_id = $1")
                    .bind(person.to_string())
                    .bind(sealed)
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                secret.to_vec()
            }
        };
        let secret = totp::base32(&secret);
        let login: String = login.chars().filter(char::is_ascii_alphanumeric).collect();
        let uri = format!("otpauth://totp/Qorgan:{login}?secret={secret}&issuer=Qorgan");
        Ok(TotpSetup { secret, uri })
    }

    /// Confirms the second factor with its first code.
    ///
    /// # Errors
    /// `WrongPassword` where the code is not right.
    pub async fn totp_confirm(&self, person: PersonId, code: &str) -> Result<(), AuthError> {
        let Some((secret, used, _confirmed)) = self.totp_secret(person).await? else {
            return Err(AuthError::WrongPassword);
        };
        let step = totp::matching_step(&secret, code, self.clock.wall(), used)
            .ok_or(AuthError::WrongPassword)?;
        self.totp_used(person, step).await
    }

    async fn totp_secret(
        &self,
        person: PersonId,
    ) -> Result<Option<(Vec<u8>, u64, bool)>, AuthError> {
        let row = sqlx::query(
            "SELECT totp_sealed, totp_confirmed, totp_step FROM credentials WHERE person_id = $1",
        )
        .bind(person.to_string())
        .fetch_optional(self.store.read())
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let Some(sealed) = row.try_get::<Option<Vec<u8>>, _>("totp_sealed")? else {
            return Ok(None);
        };
        let secret = self.keys.open(&format!("totp:{person}"), &sealed)?;
        let used: i64 = row.try_get("totp_step")?;
        let used = u64::try_from(used).unwrap_or_default();
        Ok(Some((secret, used, row.try_get("totp_confirmed")?)))
    }

    async fn totp_used(&self, person: PersonId, step: u64) -> Result<(), AuthError> {
        let mut tx = self.store.begin().await?;
        sqlx::query(
            "UPDATE credentials SET totp_confirmed = 1, totp_step = $2 WHERE person_id = $1",
        )
        .bind(person.to_string())
        .bind(i64::try_from(step).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Sets a person's password; `must_change` makes it a one-time one.
    ///
    /// # Errors
    /// `BadPassword` for one that is too short or too long.
    pub async fn set_password(
        &self,
        person: PersonId,
        new: &str,
        must_change: bool,
    ) -> Result<(), AuthError> {
        let chars = new.chars().count();
        if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
            return Err(AuthError::BadPassword);
        }
        let hash = password::hash(self.config.passwords, new).await?;
        let mut tx = self.store.begin().await?;
        self.put_credentials(&mut tx, person, &hash, must_change)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Returns a password's hash, for imports that write many people in one transaction with
    /// [`Self::put_credentials`].
    ///
    /// # Errors
    /// There is no randomness, or the cost settings are unusable.
    pub async fn hash_password(&self, new: &str) -> Result<String, AuthError> {
        password::hash(self.config.passwords, new).await
    }

    /// Writes a password's hash.
    ///
    /// # Errors
    /// The database failed.
    pub async fn put_credentials(
        &self,
        tx: &mut WriteTx,
        person: PersonId,
        hash: &str,
        must_change: bool,
    ) -> Result<(), AuthError> {
        sqlx::query(
            "INSERT INTO credentials (person_id, institution_id, password_hash, must_change, \
             changed_ms) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (person_id) DO UPDATE SET \
             password_hash = excluded.password_hash, must_change = excluded.must_change, \
             changed_ms = excluded.changed_ms",
        )
        .bind(person.to_string())
        .bind(self.keys.institution().to_string())
        .bind(hash)
        .bind(must_change)
        .bind(self.clock.wall().unix_ms())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Adds a member of staff with a one-time password, or gives a known one another role.
    ///
    /// # Errors
    /// The database failed.
    pub async fn add_staff(
        &self,
        person: &NewPerson,
        role: StaffRole,
        actor: &str,
    ) -> Result<Option<OneTimePassword>, AuthError> {
        let one_time = password::one_time()?;
        let hash = password::hash(self.config.passwords, &one_time).await?;
        let at = self.clock.wall();
        let known = people::by_login(&self.store, &person.login).await?;
        let mut tx = self.store.begin().await?;
        let id = match known {
            Some(id) => id,
            None => people::put_person(&mut tx, &self.keys, at, person).await?,
        };
        people::add_role(&mut tx, &self.keys, id, role.word()).await?;
        if known.is_none() {
            self.put_credentials(&mut tx, id, &hash, true).await?;
        }
        let entry = self.entry(actor, "staff_added", &id, role.word());
        audit::write(&mut tx, &entry.as_entry()).await?;
        tx.commit().await?;
        Ok(known.is_none().then(|| OneTimePassword {
            login: person.login.clone(),
            password: one_time,
        }))
    }

    /// Makes the first administrator where there is none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn first_administrator(&self) -> Result<Option<OneTimePassword>, AuthError> {
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM staff_roles WHERE role = 'administrator'")
                .fetch_one(self.store.read())
                .await?;
        if count > 0 {
            return Ok(None);
        }
        let person = NewPerson {
            login: "admin".to_owned(),
            display_name: "Administrator".to_owned(),
            language: "kk".to_owned(),
            ..NewPerson::default()
        };
        self.add_staff(&person, StaffRole::Administrator, "server")
            .await
    }

    /// Gives an account a one-time password, takes its second factor and ends its tokens; works
    /// offline and stands in the audit log.
    ///
    /// # Errors
    /// `NotSignedIn` where there is no such account, or the database failed.
    pub async fn reset(&self, login: &str) -> Result<OneTimePassword, AuthError> {
        let person = people::by_login(&self.store, login)
            .await?
            .ok_or(AuthError::NotSignedIn)?;
        let one_time = password::one_time()?;
        let hash = password::hash(self.config.passwords, &one_time).await?;
        let mut tx = self.store.begin().await?;
        self.put_credentials(&mut tx, person, &hash, true).await?;
        sqlx::query(
            "UPDATE credentials SET totp_sealed = NULL, totp_confirmed = 0, totp_step = 0 \
             WHERE person_id = $1",
        )
        .bind(person.to_string())
        .execute(&mut *tx)
        .await?;
        sqlx::query("UPDATE tokens SET ended_ms = $2 WHERE person_id = $1 AND ended_ms IS NULL")
            .bind(person.to_string())
            .bind(self.clock.wall().unix_ms())
            .execute(&mut *tx)
            .await?;
        let entry = self.entry("command line", "account_reset", &person, "");
        audit::write(&mut tx, &entry.as_entry()).await?;
        tx.commit().await?;
        Ok(OneTimePassword {
            login: login.to_owned(),
            password: one_time,
        })
    }

    fn entry<'a>(
        &self,
        actor: &'a str,
        action: &'a str,
        subject: &PersonId,
        detail: &'a str,
    ) -> OwnedEntry<'a> {
        OwnedEntry {
            institution: self.keys.institution(),
            at: self.clock.wall(),
            actor,
            action,
            subject: subject.to_string(),
            detail,
        }
    }

    /// Returns what a signed-in member of staff is shown and must still do.
    pub(super) async fn staff_row(&self, person: PersonId) -> Result<StaffRow, AuthError> {
        let row = sqlx::query(
            "SELECT p.login, p.display_name, p.language, p.disabled_ms, c.must_change, \
             c.totp_confirmed FROM people p JOIN credentials c ON c.person_id = p.id \
             WHERE p.id = $1",
        )
        .bind(person.to_string())
        .fetch_optional(self.store.read())
        .await?
        .ok_or(AuthError::NotSignedIn)?;
        if row.try_get::<Option<i64>, _>("disabled_ms")?.is_some() {
            return Err(AuthError::NotSignedIn);
        }
        let confirmed: bool = row.try_get("totp_confirmed")?;
        Ok(StaffRow {
            login: row.try_get("login")?,
            display_name: row.try_get("display_name")?,
            language: row.try_get("language")?,
            must_change: row.try_get("must_change")?,
            needs_totp: self.config.sign_in.staff_totp_required && !confirmed,
        })
    }
}

#[cfg(test)]
impl Auth {
    /// Returns the code that an authenticator app would show in a step.
    pub(crate) async fn code_for_tests(&self, person: PersonId, step: u64) -> String {
        let secret = self.totp_secret(person).await.expect("readable");
        let (secret, _used, _confirmed) = secret.expect("set up");
        totp::at_step(&secret, step)
    }
}

pub(super) struct StaffRow {
    pub(super) login: String,
    pub(super) display_name: String,
    pub(super) language: String,
    pub(super) must_change: bool,
    pub(super) needs_totp: bool,
}

struct OwnedEntry<'a> {
    institution: qorgan_protocol::ids::InstitutionId,
    at: qorgan_protocol::time::WallTime,
    actor: &'a str,
    action: &'a str,
    subject: String,
    detail: &'a str,
}

impl OwnedEntry<'_> {
    fn as_entry(&self) -> audit::Entry<'_> {
        audit::Entry {
            institution: self.institution,
            at: self.at,
            actor: self.actor,
            action: self.action,
            subject: &self.subject,
            detail: self.detail,
        }
    }
}

/// Returns the `Set-Cookie` value for a token.
///
/// # Errors
/// `NotSignedIn` for a text that is no token.
pub fn cookie(token: &str) -> Result<HeaderValue, AuthError> {
    let text = format!("{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict");
    HeaderValue::from_str(&text).map_err(|_bad| AuthError::NotSignedIn)
}

/// Returns the `Set-Cookie` value that takes the cookie back.
#[must_use]
pub const fn clear_cookie() -> HeaderValue {
    HeaderValue::from_static("__Host-qorgan=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")
}

/// The cookie's name; the prefix binds it to this host, path `/` and TLS.
pub(super) const COOKIE: &str = "__Host-qorgan";
const PASSWORD_CHARS_MIN: usize = 10;
const PASSWORD_CHARS_MAX: usize = 200;
