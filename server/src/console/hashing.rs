//! The passwords and codes of an import, hashed side by side before anything is written.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::auth::AuthError;
use crate::state::AppState;

/// What somebody signs in with.
pub(super) enum Secret {
    /// A password that a person chose.
    Password(String),
    /// A code of more than 80 random bits.
    Code(String),
}

/// Hashes the secrets of many accounts; `told` hears how many are done.
///
/// # Errors
/// There is no randomness, or the cost settings are unusable.
pub(super) async fn hash_all(
    state: &AppState,
    secrets: Vec<(String, Secret)>,
    told: &(dyn Fn(usize) + Sync),
) -> Result<BTreeMap<String, String>, AuthError> {
    let side_by_side = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut hashes = BTreeMap::new();
    let mut hashing = stream::iter(secrets)
        .map(|(login, secret)| async move {
            let hash = match &secret {
                Secret::Password(password) => state.auth.hash_password(password).await?,
                Secret::Code(code) => state.auth.hash_code(code).await?,
            };
            Ok::<_, AuthError>((login, hash))
        })
        .buffer_unordered(side_by_side);
    while let Some((login, hash)) = hashing.try_next().await? {
        hashes.insert(login, hash);
        told(hashes.len());
    }
    Ok(hashes)
}
