use std::{collections::HashSet, sync::LazyLock};

use kernel::EmailAddress;

static DOMAINS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let lines = include_str!("disposable.txt").lines();
    lines.filter(|line| !line.starts_with('#')).collect()
});

/// Whether mail to `email` goes to a mailbox to be thrown away: at a domain that is known for it, one
/// of `more`, or one below those.
pub(super) fn is_disposable(email: &EmailAddress, more: &[String]) -> bool {
    let mut domain = email.domain();
    loop {
        if DOMAINS.contains(domain) || more.iter().any(|known| known.eq_ignore_ascii_case(domain)) {
            return true;
        }
        match domain.split_once('.') {
            Some((_, above)) if above.contains('.') => domain = above,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DOMAINS, is_disposable};

    #[test]
    fn mailboxes_to_be_thrown_away_are_known_with_everything_below_their_domain() {
        let disposable =
            |email: &str| is_disposable(&email.parse().unwrap(), &["More.example".to_owned()]);
        for email in ["a@mailinator.com", "a@sub.mailinator.com", "a@more.example"] {
            assert!(disposable(email), "{email}");
        }
        for email in ["a@gmail.com", "a@notmailinator.example.org", "a@mailinator.com.example.org"]
        {
            assert!(!disposable(email), "{email}");
        }
        assert!(DOMAINS.len() > 1000 && DOMAINS.iter().all(|it| *it == it.to_lowercase()));
    }
}
