use chrono::{DateTime, Utc};

use crate::{Brand, Category, Letter, Locale, Template, harmless_line};

/// To somebody whose account was signed in to from a device that it did not know.
#[derive(Clone, Copy, Debug)]
pub struct NewSignIn<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// When, in UTC.
    pub at: DateTime<Utc>,
    /// The browser or program, as it calls itself.
    pub device: &'a str,
    /// Where its request came from.
    pub ip: &'a str,
}

impl Template for NewSignIn<'_> {
    const NAME: &'static str = "new_sign_in";
    const CATEGORY: Category = Category::Security;

    fn letter(&self, brand: &Brand, _: Locale) -> Letter {
        let device = match harmless_line(&self.device.replace(['/', '.', '_'], " ")) {
            device if device.is_empty() => "unknown".to_owned(),
            device => device,
        };
        Letter::new(Locale::En, format!("A new sign-in to your account at {}", brand.product))
            .greet(self.name)
            .say("your account was signed in to from a device that it did not know:")
            .figures([
                ("When".to_owned(), self.at.format("%-d %B %Y, %H:%M UTC").to_string()),
                ("Device".to_owned(), device),
                ("Network address".to_owned(), self.ip.to_owned()),
            ])
            .say(
                "If it was you, there is nothing to do. If not, end that session and choose a new \
                 password at once.",
            )
            .button("Go to my account", &brand.app_url)
    }
}
