//! Staff: password, sessions, cookie, recovery.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::HeaderValue;
use qorgan_protocol::ids::PersonId;

use super::entrance::Door;
use super::hashing::Flow;
use super::tokens::{Holder, SignedWith, must_be_open};
use super::{Auth, AuthError, StaffRole, StaffSession, password};
use qorgan_base::config::PasswordCost;
use qorgan_store::people::{self, NewPerson};
use qorgan_store::{WriteTx, audit};

/// A member of staff who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffSignIn {
    /// The cookie's value.
    pub token: String,
    /// The member of staff.
    pub person: PersonId,
    /// The language on file.
    pub language: String,
    /// The password is a one-time one and must be changed first.
    pub must_change: bool,
    /// The second factor must be set up first.
    pub needs_totp: bool,
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
    /// `WrongPassword` for any of the three and for an account without a role, `TooLong`, `TooMany`,
    /// `Busy`, `CodeOver`.
    pub async fn sign_in_staff(
        &self,
        login: &str,
        given: &str,
        code: Option<&str>,
        address: IpAddr,
    ) -> Result<StaffSignIn, AuthError> {
        let knock = self.knock((login, given), address, None)?;
        let checked = self.check_password(&knock, given, Door::Console).await?;
        let account = &checked.account;
        let confirmed = self
            .check_factor(account.person, code, &knock.login)
            .await?;
        let holder = Holder::Staff {
            person: account.person,
            csrf: hex::encode(qorgan_signing::random::<16>()?),
            with: SignedWith {
                one_time: account.must_change,
                factor: confirmed,
            },
        };
        let (token, _expires) = self.issue(&holder).await?;
        self.let_in(&knock, &checked, &token).await?;
        let account = checked.account;
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
    /// `TooMany`, `Busy`, or the database failed.
    pub async fn password_holds(
        &self,
        login: &str,
        given: &str,
        address: IpAddr,
    ) -> Result<bool, AuthError> {
        let knock = self.knock((login, given), address, None)?;
        match self.check_password(&knock, given, Door::Console).await {
            Ok(checked) => {
                self.give_back(&checked);
                Ok(true)
            }
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
            qorgan_store::query_scalar("SELECT role FROM staff_roles WHERE person_id = $1")
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

    /// Sets a person's password and ends the sessions that were signed in with the one before;
    /// `must_change` makes it a one-time one.
    ///
    /// # Errors
    /// `BadPassword` for one that is too short or too long.
    pub async fn set_password(
        &self,
        person: PersonId,
        new: &str,
        must_change: bool,
    ) -> Result<(), AuthError> {
        let hash = self.hash_new(new).await?;
        let mut tx = self.store.begin().await?;
        self.put_credentials(&mut tx, person, &hash, must_change)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn hash_new(&self, new: &str) -> Result<String, AuthError> {
        let chars = new.chars().count();
        if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
            return Err(AuthError::BadPassword);
        }
        self.hash_password(new).await
    }

    /// Sets the password of the person who is signed in, ends every session of the account, and returns
    /// the cookie's value of a new one for this browser.
    ///
    /// # Errors
    /// `BadPassword` for one that is too short or too long, `NotSignedIn` where the session ended while the
    /// password was hashed: whoever takes an account back is not overtaken by who is in it.
    pub async fn change_password(
        &self,
        session: &StaffSession,
        new: &str,
    ) -> Result<String, AuthError> {
        let hash = self.hash_new(new).await?;
        let holder = Holder::Staff {
            person: session.person,
            csrf: hex::encode(qorgan_signing::random::<16>()?),
            with: SignedWith {
                one_time: false,
                factor: session.factor,
            },
        };
        let mut tx = self.store.begin().await?;
        must_be_open(&mut tx, &session.token).await?;
        self.put_credentials(&mut tx, session.person, &hash, false)
            .await?;
        let (token, _expires) = self.issue_in(&mut tx, &holder).await?;
        tx.commit().await?;
        Ok(token)
    }

    /// Returns a password's hash, for imports that write many people in one transaction with
    /// [`Self::put_credentials`].
    ///
    /// # Errors
    /// There is no randomness, or the cost settings are unusable.
    pub async fn hash_password(&self, new: &str) -> Result<String, AuthError> {
        password::hash(&self.hashers, Flow::Server, self.config.passwords, new).await
    }

    /// Returns the hash of a one-time code of more than 80 random bits. Nobody guesses such a code
    /// from a stolen hash however cheap a guess is, so that a list of a thousand takes a second; the
    /// form is that of passwords. Signing in with it takes as long as with a password.
    ///
    /// # Errors
    /// There is no randomness, or the cost settings are unusable.
    pub async fn hash_code(&self, code: &str) -> Result<String, AuthError> {
        let cost = PasswordCost {
            memory_kib: CODE_MEMORY_KIB.min(self.config.passwords.memory_kib),
            passes: 1,
            ..self.config.passwords
        };
        password::hash(&self.hashers, Flow::Server, cost, code).await
    }

    /// Writes the hash of a password without an end, and ends the sessions of the one before; an
    /// attempt's agent goes on.
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
        qorgan_store::query(
            "INSERT INTO credentials (person_id, institution_id, password_hash, must_change, \
             changed_ms) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (person_id) DO UPDATE SET \
             password_hash = excluded.password_hash, must_change = excluded.must_change, \
             changed_ms = excluded.changed_ms, code_until_ms = NULL",
        )
        .bind(person.to_string())
        .bind(self.keys.institution().to_string())
        .bind(hash)
        .bind(must_change)
        .bind(self.clock.wall().unix_ms())
        .execute(&mut **tx)
        .await?;
        self.end_sessions(tx, person).await
    }

    /// Gives the password that was just written an end: it was made here and handed out.
    ///
    /// # Errors
    /// The database failed.
    pub async fn put_code_end(&self, tx: &mut WriteTx, person: PersonId) -> Result<(), AuthError> {
        let days = u64::from(self.config.sign_in.code_days);
        let lasts = Duration::from_secs(days.saturating_mul(24 * 60 * 60));
        qorgan_store::query("UPDATE credentials SET code_until_ms = $2 WHERE person_id = $1")
            .bind(person.to_string())
            .bind(self.clock.wall().after(lasts).unix_ms())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// Ends the sessions of a person in clients and browsers.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_sessions(&self, tx: &mut WriteTx, person: PersonId) -> Result<(), AuthError> {
        qorgan_store::query(
            "UPDATE tokens SET ended_ms = $2 WHERE person_id = $1 AND ended_ms IS NULL \
             AND kind IN ('client', 'staff')",
        )
        .bind(person.to_string())
        .bind(self.clock.wall().unix_ms())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Adds a member of staff with a one-time password, or gives a known one another role. An account that
    /// had no role gets a one-time password too: the one that it had was a candidate's.
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
        let hash = self.hash_password(&one_time).await?;
        let at = self.clock.wall();
        // Looked up where it is written: of two who add one login at once, one hands out a password.
        let mut tx = self.store.begin().await?;
        let id = match people::by_login(&mut *tx, &person.login).await? {
            Some(id) => id,
            None => people::put_person(&mut tx, &self.keys, at, person).await?,
        };
        let roles: i64 =
            qorgan_store::query_scalar("SELECT COUNT(*) FROM staff_roles WHERE person_id = $1")
                .bind(id.to_string())
                .fetch_one(&mut *tx)
                .await?;
        people::add_role(&mut tx, &self.keys, at, id, role.word()).await?;
        if roles == 0 {
            self.put_credentials(&mut tx, id, &hash, true).await?;
            self.put_code_end(&mut tx, id).await?;
        }
        let entry = self.entry(actor, "staff_added", &id, role.word());
        audit::write(&mut tx, &entry.as_entry()).await?;
        tx.commit().await?;
        Ok((roles == 0).then(|| OneTimePassword {
            login: person.login.clone(),
            password: one_time,
        }))
    }

    /// Makes the first administrator where there is none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn first_administrator(&self) -> Result<Option<OneTimePassword>, AuthError> {
        let count: i64 = qorgan_store::query_scalar(
            "SELECT COUNT(*) FROM staff_roles WHERE role = 'administrator'",
        )
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
        let person = people::by_login(self.store.read(), login)
            .await?
            .ok_or(AuthError::NotSignedIn)?;
        let one_time = password::one_time()?;
        let hash = self.hash_password(&one_time).await?;
        let mut tx = self.store.begin().await?;
        self.put_credentials(&mut tx, person, &hash, true).await?;
        self.put_code_end(&mut tx, person).await?;
        qorgan_store::query(
            "UPDATE credentials SET totp_sealed = NULL, totp_confirmed = 0, totp_step = 0 \
             WHERE person_id = $1",
        )
        .bind(person.to_string())
        .execute(&mut *tx)
        .await?;
        qorgan_store::query(
            "UPDATE tokens SET ended_ms = $2 WHERE person_id = $1 AND ended_ms IS NULL",
        )
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

    pub(super) fn entry<'a>(
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

    /// Returns the facts about a signed-in member of staff, and the duties that are left.
    pub(super) async fn staff_row(&self, person: PersonId) -> Result<StaffRow, AuthError> {
        let row = qorgan_store::query(
            "SELECT p.login, p.display_name, p.language, p.disabled_ms, c.must_change \
             FROM people p JOIN credentials c ON c.person_id = p.id WHERE p.id = $1",
        )
        .bind(person.to_string())
        .fetch_optional(self.store.read())
        .await?
        .ok_or(AuthError::NotSignedIn)?;
        if row.get::<Option<i64>>("disabled_ms")?.is_some() {
            return Err(AuthError::NotSignedIn);
        }
        Ok(StaffRow {
            login: row.get("login")?,
            display_name: row.get("display_name")?,
            language: row.get("language")?,
            must_change: row.get("must_change")?,
        })
    }
}

pub(super) struct StaffRow {
    pub(super) login: String,
    pub(super) display_name: String,
    pub(super) language: String,
    pub(super) must_change: bool,
}

pub(super) struct OwnedEntry<'a> {
    institution: qorgan_protocol::ids::InstitutionId,
    at: qorgan_protocol::time::WallTime,
    actor: &'a str,
    action: &'a str,
    subject: String,
    detail: &'a str,
}

impl OwnedEntry<'_> {
    pub(super) fn as_entry(&self) -> audit::Entry<'_> {
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
/// The memory of a hash of a code, in KiB.
const CODE_MEMORY_KIB: u32 = 256;
