use kernel::EmailAddress;
use url::Url;

use crate::{Brand, Category, Letter, Locale, Template};

/// To the old address of an account that is about to get another one.
#[derive(Clone, Copy, Debug)]
pub struct EmailChanged<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// The address that it gets.
    pub new: &'a EmailAddress,
    /// Where the change is undone.
    pub link: &'a Url,
}

impl Template for EmailChanged<'_> {
    const NAME: &'static str = "email_changed";
    const CATEGORY: Category = Category::Security;

    fn letter(&self, brand: &Brand, _: Locale) -> Letter {
        let subject = format!("Your e-mail address is about to change · {}", brand.product);
        Letter::new(Locale::En, subject)
            .greet(self.name)
            .say(format!(
                "your account is about to get another e-mail address: {}. If that is your doing, \
                 there is nothing to do. If not, undo it:",
                self.new
            ))
            .button("Keep my address", self.link)
            .note(
                "The link works for two weeks. It signs out every device, stops your API keys, unlinks \
                 accounts elsewhere, and you choose a new password.",
            )
    }
}
