use crate::{Brand, Category, Letter, Locale, Template};

/// To somebody who should know that something has happened.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// What has happened, in one line.
    pub subject: &'a str,
    /// What there is to know about it.
    pub paragraphs: &'a [String],
}

impl Template for Notice<'_> {
    const NAME: &'static str = "notice";
    const CATEGORY: Category = Category::Account;

    fn letter(&self, _: &Brand, _: Locale) -> Letter {
        let letter = Letter::new(Locale::En, self.subject).greet(self.name);
        self.paragraphs.iter().fold(letter, Letter::say)
    }
}
