//! Time-based one-time passwords (RFC 6238): HMAC-SHA1, 30 s, six digits.

use qorgan_protocol::time::WallTime;
use ring::hmac;

/// Returns the step that `code` belongs to, if it is right now or one step off and newer than
/// `used`: a code is good once.
pub(crate) fn matching_step(secret: &[u8], code: &str, at: WallTime, used: u64) -> Option<u64> {
    let current = u64::try_from(at.unix_ms()).ok()? / (STEP_S * 1_000);
    let steps = current.saturating_sub(1)..=current.saturating_add(1);
    steps
        .filter(|step| *step > used)
        .find(|step| same(&at_step(secret, *step), code.trim()))
}

/// Returns the code of a step.
pub(crate) fn at_step(secret: &[u8], step: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last().copied().unwrap_or_default() & 0x0f);
    let mut word = [0; 4];
    for (to, from) in word.iter_mut().zip(tag.iter().skip(offset)) {
        *to = *from;
    }
    format!(
        "{:06}",
        (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000
    )
}

/// Returns bytes in base 32 without padding, as authenticator apps take it.
pub(crate) fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(5) {
        let mut padded = [0; 8];
        padded[3..3 + group.len()].copy_from_slice(group);
        let word = u64::from_be_bytes(padded);
        let letters = (group.len() * 8).div_ceil(5);
        for place in 0..letters {
            let index = usize::try_from((word >> (35 - 5 * place)) & 31).unwrap_or_default();
            text.push(char::from(BASE32[index]));
        }
    }
    text
}

/// Compares in constant time.
fn same(a: &str, b: &str) -> bool {
    let differing = a.bytes().zip(b.bytes()).fold(0, |d, (x, y)| d | (x ^ y));
    a.len() == b.len() && differing == 0
}

const STEP_S: u64 = 30;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_rfc_6238_come_out() {
        let secret = b"12345678901234567890";
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(at_step(secret, seconds / STEP_S), code);
        }
    }

    #[test]
    fn a_code_is_good_once() {
        let (secret, at) = (b"12345678901234567890", WallTime::from_unix_ms(59_000));
        let step = matching_step(secret, "287082", at, 0).expect("the code of now");
        assert_eq!(matching_step(secret, "287082", at, step), None);
        assert_eq!(matching_step(secret, "287083", at, 0), None);
    }

    #[test]
    fn secrets_are_written_as_apps_read_them() {
        assert_eq!(base32(b"foobar"), "MZXW6YTBOI");
        assert_eq!(
            base32(b"12345678901234567890"),
            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        );
    }
}
