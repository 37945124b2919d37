use kernel::EmailAddress;
use url::Url;

use crate::{Brand, Category, Letter, Locale, Template, harmless};

/// To somebody whom members of an org want to have among them.
#[derive(Clone, Copy, Debug)]
pub struct InvitationMail<'a> {
    /// What the org is called.
    pub org: &'a str,
    /// Who asks them.
    pub inviter: &'a EmailAddress,
    /// What they will be there.
    pub role: &'a str,
    /// Where the invitation is accepted.
    pub link: &'a Url,
    /// How long the link works.
    pub days: i64,
}

impl Template for InvitationMail<'_> {
    const NAME: &'static str = "invitation";
    const CATEGORY: Category = Category::Account;
    const LETS_IN: bool = true;

    fn letter(&self, brand: &Brand, _: Locale) -> Letter {
        let (org, product) = (harmless(self.org), &brand.product);
        Letter::new(Locale::En, format!("You are invited to {org} on {product}"))
            .greet("")
            .say(format!(
                "{} invites you to the organization {org} on {product}, as {}:",
                self.inviter, self.role
            ))
            .button("See the invitation", self.link)
            .note(format!(
                "The link works for {} days, once, and only for the account with this address. If \
                 you do not know them, ignore this mail: nothing happens.",
                self.days
            ))
    }
}
