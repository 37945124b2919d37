use crate::{Brand, Category, Letter, Locale, Template, harmless};

/// To those who pay for an org whose credits run out.
#[derive(Clone, Copy, Debug)]
pub struct CreditsLow<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// How many are left.
    pub left: i64,
    /// The org.
    pub org: &'a str,
}

impl Template for CreditsLow<'_> {
    const NAME: &'static str = "credits_low";
    const CATEGORY: Category = Category::Usage;

    fn letter(&self, brand: &Brand, _: Locale) -> Letter {
        let (left, org) = (self.left, harmless(self.org));
        let (subject, text) = if left > 0 {
            let text = format!(
                "{org} has {left} credits left. When they are used up, calls beyond the plan's \
                 quota are refused until there are new ones."
            );
            (format!("{left} credits are left"), text)
        } else {
            let text = format!(
                "{org} has no credits left. Calls beyond the plan's quota are refused until there \
                 are new ones."
            );
            ("Your credits are used up".to_owned(), text)
        };
        Letter::new(Locale::En, subject)
            .greet(self.name)
            .say(text)
            .button("Get more credits", &brand.app_url)
    }
}
