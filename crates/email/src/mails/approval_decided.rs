use kernel::EmailAddress;

use crate::{Brand, Category, Letter, Locale, Template, harmless_line};

/// To whoever asked for an approval that was given or refused.
#[derive(Clone, Copy, Debug)]
pub struct ApprovalDecided<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// What was to be approved.
    pub title: &'a str,
    /// Who decided.
    pub decider: &'a EmailAddress,
    /// Whether they approved it.
    pub approved: bool,
    /// What they had to say.
    pub comment: Option<&'a str>,
}

impl Template for ApprovalDecided<'_> {
    const NAME: &'static str = "approval_decided";
    const CATEGORY: Category = Category::Account;

    fn letter(&self, _: &Brand, _: Locale) -> Letter {
        let title = harmless_line(self.title);
        let verdict = if self.approved { "approved" } else { "rejected" };
        let letter = Letter::new(Locale::En, format!("{title}: {verdict}"))
            .greet(self.name)
            .say(format!("{} has {verdict}: {title}", self.decider));
        match self.comment {
            Some(comment) => letter.say(format!("They say: {}", harmless_line(comment))),
            None => letter,
        }
    }
}
