use std::{collections::HashSet, sync::LazyLock};

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use web::{FieldError, Problem};

use super::{Config, hashing::normalized};

/// Next to words that anybody would try, so many characters must be unguessable.
const BESIDES_WORDS: usize = 6;

static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let lines = include_str!("common.txt").lines();
    lines.filter(|line| !line.starts_with('#')).collect()
});

/// Why a password is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefused {
    /// It has fewer characters than the setting asks for.
    #[error("must have at least {0} characters")]
    TooShort(usize),
    /// It has more characters than we take.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// It is in the list of common passwords, or made of words that are known of its owner.
    #[error("is one that many people use, or is made of your name, your address or our name")]
    Blocklist,
}

/// Accepts a password or says why not. There are no rules on kinds of characters, which only
/// make passwords harder to remember. `words` are what anybody would try first on this account.
pub(crate) fn check(
    password: &SecretString,
    config: &Config,
    words: &[&str],
) -> Result<(), PasswordRefused> {
    let (shortest, longest) =
        (config.password_min_length.into(), config.password_max_length.into());
    let password = normalized(password);
    let length = password.expose_secret().chars().count();
    if length < shortest {
        return Err(PasswordRefused::TooShort(shortest));
    }
    if length > longest {
        return Err(PasswordRefused::TooLong(longest));
    }
    let password = password.expose_secret().to_lowercase();
    if COMMON.contains(password.as_str()) || is_made_of(&password, words) {
        return Err(PasswordRefused::Blocklist);
    }
    Ok(())
}

fn is_made_of(password: &str, words: &[&str]) -> bool {
    let pieces = |words: &str| -> Vec<String> {
        let pieces = words.split(|c: char| !c.is_alphanumeric());
        std::iter::once(words).chain(pieces).map(str::to_lowercase).collect()
    };
    let words = words.iter().chain(&["password"]).flat_map(|words| pieces(words));
    let words = words.filter(|word| word.chars().count() >= 3);
    let rest = words.fold(password.to_owned(), |rest, word| rest.replace(&word, ""));
    rest.chars().count() < BESIDES_WORDS
}

impl From<PasswordRefused> for Problem {
    fn from(refused: PasswordRefused) -> Self {
        let reason = match refused {
            PasswordRefused::TooShort(_) => "too_short",
            PasswordRefused::TooLong(_) => "too_long",
            PasswordRefused::Blocklist => "blocklist",
        };
        let error = FieldError { pointer: "/password".to_owned(), detail: refused.to_string() };
        Self::unprocessable("password_refused", format!("the password {refused}"))
            .errors(vec![error])
            .with("reason", json!(reason))
            .action("Choose another one: a few unrelated words are long and easy to remember.")
    }
}

#[cfg(test)]
mod tests {
    use super::{COMMON, PasswordRefused, check};
    use crate::passwords::Config;

    fn refusal(password: &str) -> Option<PasswordRefused> {
        check(&password.into(), &Config::default(), &["ada.lovelace", "Ada Lovelace", "Slipway"])
            .err()
    }

    #[test]
    fn the_length_counts_in_characters() {
        assert_eq!(refusal("password123"), Some(PasswordRefused::TooShort(12)));
        assert_eq!(refusal("\u{1F980}gecko-äöü-1"), None);
        assert_eq!(refusal(&"correct horse".repeat(9)), None);
        assert_eq!(refusal(&"0123456789abcdef".repeat(8)), None);
        assert_eq!(
            refusal(&("0123456789abcdef".repeat(8) + "x")),
            Some(PasswordRefused::TooLong(128))
        );
        assert_eq!(refusal(&"x".repeat(1_000_000)), Some(PasswordRefused::TooLong(128)));
    }

    #[test]
    fn what_anybody_would_try_is_refused_with_the_reason() {
        for password in [
            "qwerty123456",
            "QWERTY123456",
            "1qaz2wsx3edc",
            "passwordpassword",
            "Password1234!",
            "ada.lovelace",
            "Ada.Lovelace2026",
            "Ada Lovelace!",
            "lovelace1815",
            "slipwayslipway",
            "Slipway12345",
            "aaaaaaaaaaaa",
            "121212121212",
        ] {
            assert_eq!(refusal(password), Some(PasswordRefused::Blocklist), "{password}");
        }
    }

    #[test]
    fn unrelated_words_and_random_characters_are_accepted() {
        for password in ["correct horse battery staple", "hK2%vq9_Lw0zP", "slipway tortoise"] {
            assert_eq!(refusal(password), None, "{password}");
        }
    }

    #[test]
    fn the_range_of_lengths_is_a_setting() {
        let config =
            Config { password_min_length: 15, password_max_length: 64, ..Config::default() };
        let refusal = |length| check(&"hK2%vq9_Lw0zP".repeat(9)[..length].into(), &config, &[]);
        assert_eq!(refusal(14), Err(PasswordRefused::TooShort(15)));
        assert_eq!((refusal(15), refusal(64)), (Ok(()), Ok(())));
        assert_eq!(refusal(65), Err(PasswordRefused::TooLong(64)));
    }

    #[test]
    fn the_list_is_in_the_form_that_passwords_are_compared_in() {
        assert!(COMMON.len() >= 3000);
        assert!(COMMON.iter().filter(|password| password.len() >= 15).count() >= 3000);
        for password in COMMON.iter() {
            assert!(password.len() >= 12 && password.to_lowercase() == *password, "{password}");
        }
    }
}
