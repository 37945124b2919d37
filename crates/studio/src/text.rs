//! Texts that people write.

use web::Problem;

/// A name without space around it, if it can be shown in one line.
pub(crate) fn in_one_line(name: &str, field: &str) -> Result<String, Problem> {
    let name = name.trim();
    if (1..=100).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    let detail = "must have 1 to 100 characters, and no control characters";
    Err(Problem::invalid_field(field, detail))
}

/// Refuses a text that is empty, longer than `most` characters, or has characters that no prompt may have.
pub(crate) fn check(text: &str, most: usize, field: &str) -> Result<(), Problem> {
    let controls = |it: char| it.is_control() && !matches!(it, '\n' | '\r' | '\t');
    if text.trim().is_empty() || text.chars().count() > most {
        let detail = format!("must have 1 to {most} characters");
        return Err(Problem::invalid_field(field, detail));
    }
    if text.chars().any(controls) {
        let detail = "must have no control characters but tabs and ends of lines";
        return Err(Problem::invalid_field(field, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check, in_one_line};

    #[test]
    fn a_text_has_an_end_and_nothing_that_controls_a_terminal() {
        check("two\nlines\tand 月", 20, "/text").unwrap();
        for wrong in ["", " \n", "x\0", "\u{1b}[31m", "a\u{85}b", &"é".repeat(21)] {
            check(wrong, 20, "/text").unwrap_err();
        }
        assert_eq!(in_one_line(" a ", "/name").unwrap(), "a");
        in_one_line("two\nlines", "/name").unwrap_err();
    }
}
