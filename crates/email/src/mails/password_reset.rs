use url::Url;

use crate::{Brand, Category, Letter, Locale, Template};

/// To somebody who asked to choose a new password.
#[derive(Clone, Copy, Debug)]
pub struct PasswordReset<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// Where the password is chosen.
    pub link: &'a Url,
    /// How long the link works.
    pub minutes: i64,
}

impl Template for PasswordReset<'_> {
    const NAME: &'static str = "password_reset";
    const CATEGORY: Category = Category::Security;

    fn letter(&self, brand: &Brand, locale: Locale) -> Letter {
        let (product, minutes) = (&brand.product, self.minutes);
        match locale {
            Locale::En => Letter::new(locale, format!("Choose a new password for {product}"))
                .greet(self.name)
                .say(format!(
                    "somebody, hopefully you, asked to choose a new password for your account at \
                     {product}:"
                ))
                .button("Choose a new password", self.link)
                .note(format!(
                    "The link works for {minutes} minutes, once. If it was not you, ignore this \
                     mail: your password stays."
                )),
            Locale::De => Letter::new(
                locale,
                format!("Wählen Sie ein neues Passwort für {product}"),
            )
            .greet(self.name)
            .say(format!(
                "jemand, hoffentlich Sie, möchte ein neues Passwort für Ihr Konto bei {product} \
                     wählen:"
            ))
            .button("Neues Passwort wählen", self.link)
            .note(format!(
                "Der Link gilt {minutes} Minuten und nur einmal. Waren Sie es nicht, tun Sie \
                     nichts: Ihr Passwort bleibt."
            )),
        }
    }
}
