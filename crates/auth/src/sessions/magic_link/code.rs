use rand::RngExt;

use crate::secrets::keys::Key;

/// Digits and letters that nobody takes for each other (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 40 bits, of which five guesses in ten minutes find nothing.
const LENGTH: usize = 8;

/// A new code, in two groups of four.
pub(super) fn generate() -> String {
    let mut rng = rand::rng();
    let code: String =
        (0..LENGTH).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect();
    format!("{}-{}", &code[..4], &code[4..])
}

/// What is stored of a code. It is short, so the hash has a key: a copy of the database is no help.
pub(super) fn hash(key: &Key, code: &str) -> [u8; 32] {
    let letters = code.chars().filter(char::is_ascii_alphanumeric).take(LENGTH + 1);
    let read: String = letters
        .map(|letter| match letter.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            letter => letter,
        })
        .collect();
    sealing::derive(&key.codes, &read)
}

#[cfg(test)]
mod tests {
    use super::{generate, hash};
    use crate::{Config, Keys};

    #[test]
    fn a_code_is_understood_however_it_is_typed() {
        let config = Config { auth_secret: Some("one".into()), ..Config::default() };
        let keys = Keys::new(&config).unwrap();
        let same = |one, other| hash(keys.current(), one) == hash(keys.current(), other);
        assert!(same("A0B1-CDEF", " aob1cdef "));
        assert!(same("A0B1-CDEF", "AoBL CDEF"));
        assert!(!same("A0B1-CDEF", "A0B1-CDEG"));
        assert!(!same("A0B1-CDEF", "A0B1-CDEFA"));
        assert_eq!(generate().len(), 9);
        assert_ne!(generate(), generate());
    }
}
