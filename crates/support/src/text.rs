use crate::{Error, Result};

/// What somebody wrote, without the space around it, if it is not empty nor longer than `most` characters.
pub(crate) fn checked(pointer: &'static str, text: &str, most: usize) -> Result<String> {
    let text = text.trim();
    if (1..=most).contains(&text.chars().count()) {
        Ok(text.to_owned())
    } else {
        Err(Error::Field(pointer, format!("must be 1 to {most} characters")))
    }
}

/// The same of what may be left out.
pub(crate) fn optional(
    pointer: &'static str,
    text: Option<&str>,
    most: usize,
) -> Result<Option<String>> {
    text.map(|text| checked(pointer, text, most)).transpose()
}
