use url::Url;

use crate::{Brand, Category, Letter, Locale, Template};

/// To somebody who can do one thing about what the mail tells.
#[derive(Clone, Copy, Debug)]
pub struct ActionMail<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// What it is about, in one line.
    pub subject: &'a str,
    /// What there is to know. It goes on after the greeting.
    pub text: &'a str,
    /// What can be done.
    pub button: &'a str,
    /// Where it is done.
    pub link: &'a Url,
    /// How long that works, and what to do if one did not ask for it.
    pub note: &'a str,
}

impl Template for ActionMail<'_> {
    const NAME: &'static str = "action";
    const CATEGORY: Category = Category::Security;

    fn letter(&self, brand: &Brand, _: Locale) -> Letter {
        Letter::new(Locale::En, format!("{} · {}", self.subject, brand.product))
            .greet(self.name)
            .say(self.text)
            .button(self.button, self.link)
            .note(self.note)
    }
}
