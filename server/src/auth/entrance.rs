//! Login and password under the limits; the same for clients and browsers.
//!
//! # Invariants
//! * Nothing is looked up, hashed or kept for a login or password that is too long.
//! * Every try is counted before it is hashed, and given back only after the whole sign-in was right.
//! * Strangers who use up an account's tries leave each other network a few of its own.
//! * A wrong login, a wrong password, and a right one at the wrong door look alike and take as long.

use std::net::IpAddr;

use qorgan_protocol::crypto::PublicKey;
use qorgan_protocol::ids::PersonId;
use qorgan_protocol::time::Now;
use qorgan_server_core::login::fold_login;

use super::hashing::Flow;
use super::limits::{Counted, RateLimits};
use super::network::Network;
use super::places::Place;
use super::spare::spare;
use super::{Auth, AuthError, password};

/// Which door somebody stands at: candidates sign in to the client, staff to the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Client,
    Console,
}

/// A sign-in that was asked for and is counted by network already.
#[derive(Debug)]
pub(super) struct Knock {
    pub(super) login: String,
    network: Network,
    device: Option<PublicKey>,
    /// Where the account signed in before, if it did here.
    known: Option<Place>,
}

/// An account whose password was right.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) account: Account,
    counted: Vec<Counted>,
}

/// The facts of an account's row.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) person: PersonId,
    pub(super) display_name: String,
    pub(super) language: String,
    password_hash: String,
    pub(super) must_change: bool,
    disabled: bool,
    is_staff: bool,
    code_until_ms: Option<i64>,
}

impl Knock {
    /// Returns what each try counts as, whoever knocks.
    fn counted(&self) -> Vec<Counted> {
        let place = self.known.unwrap_or(Place::Network(self.network));
        let mut counted = vec![Counted::Place(place.of(&self.login))];
        counted.extend(self.device.map(|key| Counted::Device(key.0)));
        counted
    }

    /// Counts one try; returns what it counts as.
    fn count(&self, limits: &RateLimits, now: Now) -> Result<Vec<Counted>, AuthError> {
        let mut usual = self.counted();
        if self.known.is_some() {
            limits.take(&usual, now)?;
            return Ok(usual);
        }
        let mut instead = usual.clone();
        usual.push(Counted::Account(account_key(&self.login)));
        instead.extend(spare(&self.login, &self.network));
        limits.take_or(usual, instead, now)
    }

    fn flow(&self) -> Flow {
        match self.known {
            Some(place) => Flow::Known(place.of(&self.login)),
            None => Flow::Network(self.network),
        }
    }
}

impl Auth {
    /// Bounds the typed texts and counts the network, unless the account is known here.
    pub(super) fn knock(
        &self,
        (login, given): (&str, &str),
        address: IpAddr,
        device: Option<PublicKey>,
    ) -> Result<Knock, AuthError> {
        if login.len() > LOGIN_BYTES_MAX || login.chars().count() > LOGIN_CHARS_MAX {
            return Err(AuthError::TooLong);
        }
        if given.len() > PASSWORD_BYTES_MAX {
            return Err(AuthError::TooLong);
        }
        let login = fold_login(login);
        let network = Network::of(address);
        let places = [device.map(Place::Device), Some(Place::Network(network))];
        let known = places
            .into_iter()
            .flatten()
            .find(|place| self.places.has(&login, *place));
        if known.is_none() {
            let counted = [Counted::Network(network)];
            self.limits.take(&counted, self.clock.now())?;
        }
        Ok(Knock {
            login,
            network,
            device,
            known,
        })
    }

    /// Checks login and password; the tries that were counted are given back by
    /// [`Self::let_in`].
    pub(super) async fn check_password(
        &self,
        knock: &Knock,
        given: &str,
        door: Door,
    ) -> Result<Checked, AuthError> {
        let counted = knock.count(&self.limits, self.clock.now())?;
        let looked_at = self.look_at(knock, given, door).await;
        if let Err(AuthError::Busy { .. } | AuthError::Store(_)) = &looked_at {
            self.limits.give_back(&counted);
        }
        looked_at.map(|account| Checked { account, counted })
    }

    async fn look_at(&self, knock: &Knock, given: &str, door: Door) -> Result<Account, AuthError> {
        let account = self.account(&knock.login).await?.filter(|account| {
            let here = match door {
                Door::Client => !account.is_staff,
                Door::Console => account.is_staff,
            };
            here && !account.disabled
        });
        let stored = account.as_ref().map(|found| found.password_hash.clone());
        let (hashers, cost) = (&self.hashers, self.config.passwords);
        let right = password::verify(hashers, knock.flow(), cost, (stored, given)).await?;
        let account = account.filter(|_found| right);
        let account = account.ok_or(AuthError::WrongPassword)?;
        let now = self.clock.wall().unix_ms();
        if account.code_until_ms.is_some_and(|until| until <= now) {
            return Err(AuthError::CodeOver);
        }
        Ok(account)
    }

    /// Lets in a person who has a token now: gives back the tries that were counted, and remembers the
    /// place.
    ///
    /// A password that was changed while this sign-in was under way ends it: the change ends the tokens
    /// that it finds, and a later one finds the change here.
    pub(super) async fn let_in(
        &self,
        knock: &Knock,
        checked: &Checked,
        token: &str,
    ) -> Result<(), AuthError> {
        let now = self.account(&knock.login).await?;
        let is_same = |now: &Account| now.password_hash == checked.account.password_hash;
        if !now.as_ref().is_some_and(is_same) {
            self.end(token).await?;
            return Err(AuthError::WrongPassword);
        }
        self.give_back(checked);
        let mut places = vec![Place::Network(knock.network)];
        places.extend(knock.device.map(Place::Device));
        self.remember(&knock.login, checked.account.person, &places)
            .await
    }

    /// Gives back the tries that were counted, for a password that was right.
    pub(super) fn give_back(&self, checked: &Checked) {
        self.limits.give_back(&checked.counted);
    }

    async fn account(&self, login: &str) -> Result<Option<Account>, AuthError> {
        let row = qorgan_store::query(
            "SELECT p.id, p.display_name, p.language, p.disabled_ms, c.password_hash, \
             c.must_change, c.code_until_ms, \
             CAST(CASE WHEN EXISTS (SELECT 1 FROM staff_roles r WHERE r.person_id = p.id) \
             THEN 1 ELSE 0 END AS BIGINT) AS is_staff \
             FROM people p JOIN credentials c ON c.person_id = p.id WHERE p.login = $1",
        )
        .bind(login)
        .fetch_optional(self.store.read())
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(Account {
            person: qorgan_store::id(&row.get::<String>("id")?)?,
            display_name: row.get("display_name")?,
            language: row.get("language")?,
            password_hash: row.get("password_hash")?,
            must_change: row.get("must_change")?,
            disabled: row.get::<Option<i64>>("disabled_ms")?.is_some(),
            is_staff: row.get("is_staff")?,
            code_until_ms: row.get("code_until_ms")?,
        }))
    }
}

/// Returns the key under which an account is counted, whether there is one or not.
pub(super) fn account_key(login: &str) -> [u8; 32] {
    use qorgan_protocol::crypto::Hasher as _;
    qorgan_signing::Ring.sha256(&[login.as_bytes()]).0
}

/// Longer ones are refused before any work is done.
const LOGIN_CHARS_MAX: usize = 128;
const LOGIN_BYTES_MAX: usize = 4 * LOGIN_CHARS_MAX;
/// Two hundred characters of four bytes.
const PASSWORD_BYTES_MAX: usize = 800;
