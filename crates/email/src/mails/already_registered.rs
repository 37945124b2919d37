use crate::{Brand, Category, Letter, Locale, Template};

/// To the owner of an account whose address somebody tried to register again.
#[derive(Clone, Copy, Debug)]
pub struct AlreadyRegistered<'a> {
    /// Whom to greet.
    pub name: &'a str,
}

impl Template for AlreadyRegistered<'_> {
    const NAME: &'static str = "already_registered";
    const CATEGORY: Category = Category::Security;

    fn letter(&self, brand: &Brand, _: Locale) -> Letter {
        let product = &brand.product;
        Letter::new(Locale::En, format!("You already have an account at {product}"))
            .greet(self.name)
            .say(format!(
                "somebody tried to register your address at {product}, where you already have an \
                 account."
            ))
            .say(
                "If it was you, sign in with the password you have, or ask for a new one. If not, \
                 there is nothing to do: nobody got in.",
            )
            .button("Sign in", &brand.app_url)
    }
}
