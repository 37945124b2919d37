use chrono::{Days, NaiveDate};

use crate::{Brand, Category, Letter, Locale, Template, harmless};

/// What an org did in a week, to its members.
#[derive(Clone, Copy, Debug)]
pub struct WeeklyDigest<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// The org.
    pub org: &'a str,
    /// The Monday that the week began with.
    pub week: NaiveDate,
    /// How many calls it made.
    pub calls: i64,
    /// What they cost, in words.
    pub cost: &'a str,
    /// How many credits they drew.
    pub credits: i64,
    /// How many more calls than the week before, in percent, if there were any then.
    pub growth: Option<i64>,
    /// The models it called most, each with how often.
    pub models: &'a [(String, i64)],
}

impl Template for WeeklyDigest<'_> {
    const NAME: &'static str = "weekly_digest";
    const CATEGORY: Category = Category::Digest;

    fn letter(&self, brand: &Brand, _: Locale) -> Letter {
        let org = harmless(self.org);
        let last = self.week + Days::new(6);
        let mut figures = vec![
            ("Calls".to_owned(), self.calls.to_string()),
            ("Cost".to_owned(), self.cost.to_owned()),
            ("Credits".to_owned(), self.credits.to_string()),
        ];
        if let Some(growth) = self.growth {
            figures.push(("Compared with the week before".to_owned(), format!("{growth:+} %")));
        }
        let letter = Letter::new(Locale::En, format!("{org}: the week in figures"))
            .greet(self.name)
            .say(format!(
                "this is what {org} did on {} from {} to {}:",
                brand.product,
                self.week.format("%-d %B"),
                last.format("%-d %B %Y")
            ))
            .figures(figures);
        let models = self.models.iter().map(|(name, calls)| (name.clone(), calls.to_string()));
        let letter = match self.models {
            [] => letter,
            _ => letter.say("The models that were called most:").figures(models),
        };
        letter.button("See all of it", &brand.app_url)
    }
}
