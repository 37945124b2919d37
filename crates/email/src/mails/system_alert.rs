use crate::{Brand, Category, Letter, Locale, Template};

/// To the people who run the product, or to owners of an org: something needs them.
#[derive(Clone, Copy, Debug)]
pub struct SystemAlert<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// What is the matter, in one line.
    pub subject: &'a str,
    /// What is known about it, and what to do.
    pub paragraphs: &'a [String],
}

impl Template for SystemAlert<'_> {
    const NAME: &'static str = "system_alert";
    const CATEGORY: Category = Category::Account;

    fn letter(&self, _: &Brand, _: Locale) -> Letter {
        let letter = Letter::new(Locale::En, self.subject).greet(self.name);
        self.paragraphs.iter().fold(letter, Letter::say)
    }
}
