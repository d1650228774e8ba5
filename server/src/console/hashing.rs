//! The passwords and codes of an import, hashed side by side before anything is written.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::imports::{Progress, Step};
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
    told: Progress<'_>,
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
        told(Step::Hashed, hashes.len());
    }
    Ok(hashes)
}

/// Returns a code of eighteen characters (89 bits) in three groups that nobody takes for another:
/// no 0, O, 1, I or L.
pub(super) fn one_time_code(random: &[u8; 32]) -> String {
    const LETTERS: &[u8; 31] = b"ABCDEFGHJKMNPQRSTUVWXYZ23456789";
    // Only whole turns of the alphabet are fair; should too few bytes be, the others fill up.
    let fair = random.iter().filter(|byte| **byte < 248);
    let bytes = fair.chain(random).take(CODE_CHARS);
    let mut code = String::new();
    for (place, byte) in bytes.enumerate() {
        if place > 0 && place % CODE_GROUP == 0 {
            code.push('-');
        }
        let letter = LETTERS.get(usize::from(byte % 31)).copied().unwrap_or(b'A');
        code.push(char::from(letter));
    }
    code
}

/// So many characters of 31 make more than 80 bits: the code need not be hashed slowly.
const CODE_CHARS: usize = 18;
const CODE_GROUP: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_no_letters_that_look_alike() {
        let mut random = [0; 32];
        for (byte, value) in random.iter_mut().zip(0_u8..) {
            *byte = value.wrapping_mul(31);
        }
        let code = one_time_code(&random);

        assert_eq!((code.len(), code.matches('-').count()), (20, 2));
        assert!(!code.contains(['0', 'O', '1', 'I', 'L']));
    }
}
