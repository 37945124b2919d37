use crate::{Brand, Category, Letter, Locale, Template};

/// To somebody whose way into their account has changed, or is tried by somebody else.
#[derive(Clone, Copy, Debug)]
pub struct SecurityNotice<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// What has happened, in one line.
    pub subject: &'a str,
    /// What there is to know about it.
    pub paragraphs: &'a [String],
}

impl Template for SecurityNotice<'_> {
    const NAME: &'static str = "security_notice";
    const CATEGORY: Category = Category::Security;

    fn letter(&self, _: &Brand, _: Locale) -> Letter {
        let letter = Letter::new(Locale::En, self.subject).greet(self.name);
        self.paragraphs.iter().fold(letter, Letter::say)
    }
}
