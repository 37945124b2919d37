use crate::{Brand, Category, Letter, Locale, Template};

/// To somebody whose address has just been confirmed.
#[derive(Clone, Copy, Debug)]
pub struct Welcome<'a> {
    /// Whom to greet.
    pub name: &'a str,
}

impl Template for Welcome<'_> {
    const NAME: &'static str = "welcome";
    const CATEGORY: Category = Category::Account;

    fn letter(&self, brand: &Brand, locale: Locale) -> Letter {
        let product = &brand.product;
        match locale {
            Locale::En => Letter::new(locale, format!("Welcome to {product}"))
                .greet(self.name)
                .say(format!(
                    "your e-mail address is confirmed and your account at {product} is ready."
                ))
                .button("Sign in", &brand.app_url),
            Locale::De => Letter::new(locale, format!("Willkommen bei {product}"))
                .greet(self.name)
                .say(format!(
                    "Ihre E-Mail-Adresse ist bestätigt, und Ihr Konto bei {product} ist bereit."
                ))
                .button("Anmelden", &brand.app_url),
        }
    }
}
