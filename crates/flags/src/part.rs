use sha2::{Digest, Sha256};
use uuid::Uuid;

/// In which of a hundred equal parts of everybody `subject` is: for a name always the same, and
/// unrelated to the parts of other names.
pub(crate) fn hundredth(name: &str, subject: Uuid) -> i16 {
    let hash = Sha256::new().chain_update(name).chain_update(subject).finalize();
    let number = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    i16::try_from(number % 100).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::hundredth;

    const MANY: u128 = 20_000;

    fn share(is_in: impl Fn(Uuid) -> bool) -> u128 {
        (0..MANY).filter(|&it| is_in(Uuid::from_u128(it))).count() as u128 * 100 / MANY
    }

    #[test]
    fn parts_are_of_equal_size_and_those_of_two_names_are_unrelated() {
        assert!((9..=11).contains(&share(|it| hundredth("one", it) < 10)));
        assert!((49..=51).contains(&share(|it| hundredth("two", it) < 50)));
        let both = share(|it| hundredth("one", it) < 50 && hundredth("two", it) < 50);
        assert!((24..=26).contains(&both), "{both}");
    }
}
