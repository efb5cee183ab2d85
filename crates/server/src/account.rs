//! Passwords and tokens: how they are made, and what of them is kept.

use std::fmt;

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use sha2::{Digest as _, Sha256};

/// The shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 8;

/// The longest password, in bytes: hashing it must not be work without end.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// The longest name of an account, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// What a hash costs: memory in KiB, passes and lanes. The smaller of the two settings that the
/// memo of Argon2 (RFC 9106) and OWASP recommend: a Raspberry Pi takes a tenth of a second for it.
const COSTS: (u32, u32, u32) = (19 * 1024, 2, 1);

/// Why a name or password cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadCredential {
    /// The name has other characters, or too many.
    #[error("a name has up to 64 letters, digits, dots, dashes and underscores")]
    Name,
    /// The password is too short.
    #[error("a password has at least 8 characters")]
    Short,
    /// The password is too long.
    #[error("a password has at most 1,024 bytes")]
    Long,
}

/// Why no hash or token could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no password can be hashed and no token made: {what}")]
pub struct NoSecret {
    what: String,
}

/// Whether this can be the name of an account.
///
/// # Errors
/// [`BadCredential::Name`].
pub fn check_name(name: &str) -> Result<(), BadCredential> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(is_plain)
        && name.as_bytes()[0].is_ascii_alphanumeric();
    if is_name { Ok(()) } else { Err(BadCredential::Name) }
}

/// Whether this can be a password.
///
/// # Errors
/// Why not.
pub fn check_password(password: &str) -> Result<(), BadCredential> {
    if password.len() > PASSWORD_BYTES_MAX {
        Err(BadCredential::Long)
    } else if password.chars().count() < PASSWORD_CHARS_MIN {
        Err(BadCredential::Short)
    } else {
        Ok(())
    }
}

/// Hashes a password with Argon2id, in the text form that names its own costs. Takes 19 MiB and some
/// tens of milliseconds.
///
/// # Errors
/// No random numbers.
pub fn hash_password(password: &str) -> Result<String, NoSecret> {
    let salt = SaltString::encode_b64(&random()?).map_err(no_secret)?;
    let hash = argon2()?.hash_password(password.as_bytes(), &salt).map_err(no_secret)?;
    Ok(hash.to_string())
}

/// Whether a password is the one that was hashed. Costs as much as hashing it, whether it is or not.
pub fn is_password(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

/// What a password is checked against where there is no such account, so that it takes as long: a hash of
/// the usual costs that is the hash of nothing.
pub(crate) const NOBODYS_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$\
    bm9ib2R5IGlzIGhlcmUh$bm9ib2R5J3MgcGFzc3dvcmQgaGFzIHRoaXMgaGFzaCE";

/// A token: 32 hexadecimal digits that are shown once. `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Makes one.
    ///
    /// # Errors
    /// No random numbers.
    pub fn make() -> Result<Self, NoSecret> {
        Ok(Self(random()?.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Reads one, in upper or lower case.
    pub fn read(text: &str) -> Option<Self> {
        let is_token = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_token.then(|| Self(text.to_ascii_lowercase()))
    }

    /// What is kept of it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The token itself, to be shown to its owner.
    pub fn dangerously_reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

fn random() -> Result<[u8; 16], NoSecret> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(no_secret)?;
    Ok(bytes)
}

fn argon2() -> Result<Argon2<'static>, NoSecret> {
    let (memory, passes, lanes) = COSTS;
    let params = Params::new(memory, passes, lanes, None).map_err(no_secret)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn no_secret(error: impl fmt::Display) -> NoSecret {
    NoSecret { what: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_alone() {
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(is_password("correct horse", &hash));
        assert!(!is_password("correct horsf", &hash));
        assert!(!is_password("correct horse", "no hash"));
        assert_ne!(hash, hash_password("correct horse").unwrap(), "each has its own salt");
    }

    #[test]
    fn nobodys_hash_costs_what_a_real_one_does() {
        let costs = |hash: &str| {
            let hash = PasswordHash::new(hash).unwrap();
            let length = hash.hash.unwrap().as_bytes().len();
            (hash.algorithm.to_string(), hash.version, hash.params.to_string(), length)
        };
        assert_eq!(costs(NOBODYS_HASH), costs(&hash_password("correct horse").unwrap()));
        assert!(!is_password("nobody", NOBODYS_HASH));
    }

    #[test]
    fn names_and_passwords_have_bounds() {
        for good in ["ann", "a", "ann.b-c_9", &"x".repeat(64)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "-ann", "ann b", "änn", "a:b", &"x".repeat(65)] {
            assert_eq!(check_name(bad), Err(BadCredential::Name), "{bad}");
        }
        assert_eq!(check_password("1234567"), Err(BadCredential::Short));
        assert_eq!(check_password("12345678"), Ok(()));
        assert_eq!(check_password(&"x".repeat(1025)), Err(BadCredential::Long));
    }

    #[test]
    fn tokens_have_32_digits_and_show_themselves_to_nobody() {
        let token = Token::make().unwrap();
        let text = token.dangerously_reveal().to_owned();
        assert_eq!(Token::read(&text.to_uppercase()), Some(token.clone()));
        assert!(!format!("{token:?}").contains(&text));
        assert_ne!(token, Token::make().unwrap());
        for bad in ["", "xyz", &"g".repeat(32), &"0".repeat(33)] {
            assert_eq!(Token::read(bad), None);
        }
    }
}
