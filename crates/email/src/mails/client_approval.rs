use kernel::EmailAddress;
use url::Url;

use crate::{Brand, Category, Letter, Locale, Template, harmless, harmless_line};

/// To an outsider whose approval somebody asks for.
#[derive(Clone, Copy, Debug)]
pub struct ClientApproval<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// Who asks, as they call themselves.
    pub asker: &'a str,
    /// Where they are reached.
    pub asker_email: &'a EmailAddress,
    /// For which org.
    pub org: &'a str,
    /// What is to be approved.
    pub title: &'a str,
    /// Where it is approved or rejected.
    pub link: &'a Url,
    /// How long the link works.
    pub days: i64,
}

impl Template for ClientApproval<'_> {
    const NAME: &'static str = "client_approval";
    const CATEGORY: Category = Category::Account;
    const LETS_IN: bool = true;

    fn letter(&self, brand: &Brand, _: Locale) -> Letter {
        let (org, title) = (harmless(self.org), harmless_line(self.title));
        Letter::new(Locale::En, format!("Your approval is asked for: {title}"))
            .greet(self.name)
            .say(format!(
                "{} ({}) of {org} asks for your approval on {}: {title}",
                harmless(self.asker),
                self.asker_email,
                brand.product
            ))
            .button("Look at it and decide", self.link)
            .note(format!(
                "The link works for {} days, and for one decision. You need no account. If you do \
                 not know them, ignore this mail: nothing happens.",
                self.days
            ))
    }
}
