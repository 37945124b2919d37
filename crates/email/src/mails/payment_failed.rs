use chrono::{DateTime, Utc};

use crate::{Brand, Category, Letter, Locale, Template};

/// To those who pay, for a plan that could not be collected for.
#[derive(Clone, Copy, Debug)]
pub struct PaymentFailed<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// The plan.
    pub plan: &'a str,
    /// Until when it stays in force; `None`: it no longer is.
    pub until: Option<DateTime<Utc>>,
}

impl Template for PaymentFailed<'_> {
    const NAME: &'static str = "payment_failed";
    const CATEGORY: Category = Category::Account;

    fn letter(&self, brand: &Brand, _: Locale) -> Letter {
        let plan = self.plan;
        let (subject, consequence) = match self.until {
            Some(until) => (
                format!("A payment for your plan {plan} failed"),
                format!("The plan stays in force until {}.", until.format("%-d %B %Y, %H:%M UTC")),
            ),
            None => (
                format!("Your plan {plan} is no longer in force"),
                "Until it is paid your organization has what the free plan has. Nothing is deleted: \
                 members, data and bought credits stay."
                    .to_owned(),
            ),
        };
        Letter::new(Locale::En, subject)
            .greet(self.name)
            .say("The renewal of your organization's plan could not be collected.")
            .say(consequence)
            .say(format!(
                "Pay the open invoice or change the card in the billing portal: POST \
                 {}v1/billing/portal-sessions opens it.",
                brand.app_url
            ))
    }
}
