//! Argon2id.

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use super::AuthError;
use super::hashing::{Flow, Hashers};
use qorgan_base::config::PasswordCost;

/// Returns the hash of a password in PHC form, computed when it is the flow's turn.
pub(crate) async fn hash(
    hashers: &Hashers,
    flow: Flow,
    cost: PasswordCost,
    password: &str,
) -> Result<String, AuthError> {
    let salt: [u8; 16] = qorgan_signing::random()?;
    let password = password.to_owned();
    let work = move || {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None).ok()?;
        let salt = SaltString::encode_b64(&salt).ok()?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password(password.as_bytes(), &salt).ok()?;
        Some(hash.to_string())
    };
    hashers.run(flow, work).await?.ok_or(AuthError::Hash)
}

/// Tells whether a password is the one hashed. Without a hash the same work is done in vain, so
/// that an unknown login takes as long as a known one.
pub(crate) async fn verify(
    hashers: &Hashers,
    flow: Flow,
    cost: PasswordCost,
    (stored, password): (Option<String>, &str),
) -> Result<bool, AuthError> {
    let Some(stored) = stored else {
        hash(hashers, flow, cost, password).await?;
        return Ok(false);
    };
    let password = password.to_owned();
    let work = move || {
        PasswordHash::new(&stored).is_ok_and(|hash| {
            let right = Argon2::default().verify_password(password.as_bytes(), &hash);
            level(&hash, cost, &password);
            right.is_ok()
        })
    };
    hashers.run(flow, work).await
}

/// Does the work of a password in vain where a hash cost less, as that of a code: how long a sign-in
/// takes tells nobody which logins there are.
fn level(hash: &PasswordHash<'_>, cost: PasswordCost, password: &str) {
    let known = Params::try_from(hash).map_or(0, |params| params.m_cost());
    if known < cost.memory_kib
        && let Ok(params) = Params::new(cost.memory_kib, cost.passes, cost.lanes, None)
    {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut vain = [0; Params::DEFAULT_OUTPUT_LEN];
        // The bytes are of no use, and neither is an error.
        let _vain = argon2.hash_password_into(password.as_bytes(), b"no salt of use", &mut vain);
    }
}

/// Returns a password of sixteen letters and digits that are not mistaken for one another.
pub(crate) fn one_time() -> Result<String, AuthError> {
    let bytes: [u8; 16] = qorgan_signing::random()?;
    let letter = |byte: u8| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]);
    Ok(bytes.into_iter().map(letter).collect())
}

const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: PasswordCost = PasswordCost {
        memory_kib: 64,
        passes: 1,
        lanes: 1,
        threads: 1,
    };

    #[tokio::test]
    async fn only_the_password_that_was_hashed_is_accepted() {
        let hashers = Hashers::start(1);
        let stored = hash(&hashers, Flow::Server, CHEAP, "құпия сөз").await;
        let stored = stored.expect("hashable");
        assert!(stored.starts_with("$argon2id$"));
        let holds = async |stored: Option<String>, password| {
            let given = (stored, password);
            verify(&hashers, Flow::Server, CHEAP, given)
                .await
                .expect("verifiable")
        };
        assert!(holds(Some(stored.clone()), "құпия сөз").await);
        assert!(!holds(Some(stored), "other").await);
        assert!(!holds(None, "other").await);
    }
}
