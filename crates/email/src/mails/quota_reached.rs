use crate::{Brand, Category, Letter, Locale, Template};

/// To those who answer for a budget or quota that is used up, in part or whole.
#[derive(Clone, Copy, Debug)]
pub struct QuotaReached<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// How much of it, in percent.
    pub percent: i16,
    /// What is used, such as `the daily request quota in the plan of your organization`.
    pub what: &'a str,
    /// What follows.
    pub consequence: &'a str,
}

impl Template for QuotaReached<'_> {
    const NAME: &'static str = "quota_reached";
    const CATEGORY: Category = Category::Usage;

    fn letter(&self, _: &Brand, _: Locale) -> Letter {
        let used = format!("{} % of {} are used", self.percent, self.what);
        Letter::new(Locale::En, &used)
            .greet(self.name)
            .say(format!("{used}."))
            .say(self.consequence)
    }
}
