use crate::{Brand, Category, Letter, Locale, Template};

/// To somebody who has not been here for a while.
#[derive(Clone, Copy, Debug)]
pub struct InactivityNudge<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// For how many days.
    pub days: i64,
    /// What they could do next.
    pub suggestion: &'a str,
}

impl Template for InactivityNudge<'_> {
    const NAME: &'static str = "inactivity_nudge";
    const CATEGORY: Category = Category::Nudges;

    fn letter(&self, brand: &Brand, _: Locale) -> Letter {
        let product = &brand.product;
        Letter::new(Locale::En, format!("Your account at {product} is waiting"))
            .greet(self.name)
            .say(format!("you were last at {product} {} days ago.", self.days))
            .say(self.suggestion)
            .button("Go on where you were", &brand.app_url)
    }
}
