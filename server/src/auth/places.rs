//! Where an account signed in before. Tries from there are counted and queued apart from those of
//! strangers, so that nobody is shut out from afar.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use qorgan_protocol::crypto::{Hasher as _, PublicKey};
use qorgan_protocol::ids::PersonId;
use qorgan_signing::Ring;

use super::network::Network;
use super::{Auth, AuthError};

/// A device that proves its key, or the network of a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Device(PublicKey),
    Network(Network),
}

impl Place {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Device(_) => "device",
            Self::Network(_) => "network",
        }
    }

    const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Device(key) => &key.0,
            Self::Network(network) => network.as_bytes(),
        }
    }

    /// Returns the key under which a login is counted at this place.
    pub(super) fn of(&self, login: &str) -> [u8; 32] {
        digest(login, self.kind(), self.as_bytes())
    }
}

fn digest(login: &str, kind: &str, place: &[u8]) -> [u8; 32] {
    // A login holds no zero byte that could move the seam: it is folded and has no control characters.
    Ring.sha256(&[login.as_bytes(), b"\0", kind.as_bytes(), b"\0", place])
        .0
}

/// The places that accounts are known at, in memory: looked up before any work is done.
#[derive(Debug)]
pub(super) struct KnownPlaces(Mutex<LruCache<[u8; 32], ()>>);

impl Default for KnownPlaces {
    fn default() -> Self {
        let mut places = LruCache::unbounded();
        places.resize(KNOWN_MAX);
        Self(Mutex::new(places))
    }
}

impl KnownPlaces {
    pub(super) fn has(&self, login: &str, place: Place) -> bool {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(&place.of(login)).is_some()
    }

    fn add(&self, key: [u8; 32]) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.put(key, ());
    }
}

impl Auth {
    /// Reads the places that accounts are known at.
    ///
    /// # Errors
    /// The database failed.
    pub async fn load_places(&self) -> Result<(), AuthError> {
        let rows = qorgan_store::query(
            "SELECT p.login, s.kind, s.place FROM sign_in_places s JOIN people p \
             ON p.id = s.person_id ORDER BY s.last_ms DESC LIMIT $1",
        )
        .bind(i64::try_from(KNOWN_MAX.get()).unwrap_or(i64::MAX))
        .fetch_all(self.store.read())
        .await?;
        // The newest last, so that they stay the longest.
        for row in rows.iter().rev() {
            let (login, kind): (String, String) = (row.get("login")?, row.get("kind")?);
            let place: Vec<u8> = row.get("place")?;
            self.places.add(digest(&login, &kind, &place));
        }
        Ok(())
    }

    /// Remembers where somebody signed in, where it is new.
    pub(super) async fn remember(
        &self,
        login: &str,
        person: PersonId,
        places: &[Place],
    ) -> Result<(), AuthError> {
        let new = places
            .iter()
            .filter(|place| !self.places.has(login, **place));
        let new: Vec<&Place> = new.collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        for place in &new {
            qorgan_store::query(
                "INSERT INTO sign_in_places (person_id, institution_id, kind, place, last_ms) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (person_id, kind, place) \
                 DO UPDATE SET last_ms = excluded.last_ms",
            )
            .bind(person.to_string())
            .bind(self.keys.institution().to_string())
            .bind(place.kind())
            .bind(place.as_bytes())
            .bind(self.clock.wall().unix_ms())
            .execute(&mut *tx)
            .await?;
            qorgan_store::query(
                "DELETE FROM sign_in_places WHERE person_id = $1 AND kind = $2 AND place NOT IN \
                 (SELECT place FROM sign_in_places WHERE person_id = $1 AND kind = $2 \
                 ORDER BY last_ms DESC LIMIT $3)",
            )
            .bind(person.to_string())
            .bind(place.kind())
            .bind(PLACES_OF_ONE_MAX)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        for place in new {
            self.places.add(place.of(login));
        }
        Ok(())
    }
}

/// Some 100 bytes each; those used least lately go and are strangers until the next start.
const KNOWN_MAX: NonZeroUsize = match NonZeroUsize::new(100_000) {
    Some(max) => max,
    None => NonZeroUsize::MIN,
};
const PLACES_OF_ONE_MAX: i64 = 8;
