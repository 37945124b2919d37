use crate::{Error, Result};

/// The name without space around it, if it can be shown in one line.
pub(crate) fn in_one_line(name: &str, field: &'static str) -> Result<String> {
    let name = name.trim();
    if (1..=100).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        Ok(name.to_owned())
    } else {
        Err(Error::InvalidName(field))
    }
}

/// What the copy `number` of something is called.
pub(crate) fn name_of_copy(name: &str, number: u32) -> String {
    // With room for what is added.
    let name: String = name.chars().take(90).collect();
    match number {
        1 => format!("{name} (copy)"),
        _ => format!("{name} (copy {number})"),
    }
}

#[cfg(test)]
mod tests {
    use super::in_one_line;

    #[test]
    fn a_name_has_1_to_100_characters_without_the_space_around_it() {
        let hundred = "é".repeat(100);
        for (name, kept) in [(" Apollo\n", "Apollo"), ("月", "月"), (&hundred, &hundred)] {
            assert_eq!(in_one_line(name, "/name").unwrap(), kept);
        }
        for name in ["", " \t ", &"é".repeat(101)] {
            assert!(in_one_line(name, "/name").is_err(), "{name:?} was accepted");
        }
    }

    #[test]
    fn a_name_has_no_control_characters() {
        for name in ["two\nlines", "tab\there", "bell\u{7}", "\u{9b}31mred"] {
            assert!(in_one_line(name, "/name").is_err(), "{name:?} was accepted");
        }
    }
}
